"""Whether what is recorded of a study is so: computed again as far as it can be."""

import dataclasses
from collections.abc import Iterator

from cifar_keras.environment import keras

import numpy as np

from cifar_keras import data, evaluation, models, results, study, training
from cifar_keras.errors import UserError
from cifar_keras.evaluation import TOLERANCE
from cifar_keras.results import Run
from cifar_keras.study import Study


def verify(described: Study, measure: bool = True) -> Iterator[tuple[bool, str]]:
    """Checks every run of a study that is there, and names folders that the study does not plan.

    From its files: settings, hashes, recipe and parameters by today's code, the summary by the
    history, the accuracy by the predictions. With `measure`, which needs the images, also shipped
    weights: evaluated on the test images, they must give accuracy and predictions again.

    Yields:
        (whether it is as recorded, line of text) for each run that is there, at the end one for
        the runs that are not.

    Raises:
        UserError: the data cannot be had.
    """
    test = data.load_data(described.data)[1] if measure else None
    expected = Expected(described, data.known_hashes(described.data), test)
    planned = described.runs()
    for one in results.runs_in(described.folder):
        try:
            if one not in planned:
                raise UserError("the study plans no such run; remove it, or name it there")
            yield True, f"{one.name:43} {_verify_run(expected, one)}"
        except UserError as error:
            yield False, f"{one.name:43} {error}"
        except Exception as error:  # what else damage may raise must not hide the runs that follow
            yield False, f"{one.name:43} cannot be checked ({type(error).__name__}: {error})"
    runs = {one.name for one in results.runs_in(described.folder)}
    for stray in sorted(path.name for path in described.folder.glob("*-seed*")):
        if stray not in runs:
            yield False, f"{stray:43} is no folder of a run; remove it"
    if missing := sum(not one.folder.exists() for one in planned):
        yield True, f"{missing} of {len(planned)} runs are not recorded yet"


@dataclasses.dataclass
class Expected:
    """What the runs of a study are held against.

    Args:
        study: as it is described. hashes: SHA-256 of its four arrays.
        test: images uint8 and labels of its test part, or None.
    """

    study: Study
    hashes: list[str]
    test: tuple[np.ndarray, np.ndarray] | None

    def __post_init__(self):
        self._models = {}
        if self.test:
            self.labels = self.test[1].ravel()
        else:
            self.labels = data.load_labels(self.study.data)

    def model(self, variant: str) -> keras.Model:
        """The untrained net of a variant, built once."""
        if variant not in self._models:
            self._models[variant] = self.study.build(variant)
        return self._models[variant]


def _verify_run(expected: Expected, one: Run) -> str:
    """What was checked, in words; raises UserError on the first thing that is not so."""
    if not one.finished:
        state = study.state(expected.study, one)
        raise UserError(f"unfinished: {state}; `study run` goes on with it")
    record, history = one.record, one.history
    _verify_settings(expected, one, record)
    _verify_history(record, history)
    accuracy = record["summary"]["last_accuracy"]
    predictions = one.predictions
    # On an accelerator, evaluating and predicting may round differently: an image can change sides.
    # 1e-6 here and below: Keras reports an accuracy in float32.
    if expected.labels is not None and not (
        len(predictions) == len(expected.labels)
        and abs(np.mean(predictions == expected.labels) - accuracy) <= TOLERANCE + 1e-6
    ):
        raise UserError("predictions.csv does not give the accuracy in history.csv; restore both")
    files = study.file_hashes(one)
    if other := [
        n for n in {**record["sha256"], **files} if record["sha256"].get(n) != files.get(n)
    ]:
        raise UserError(f"{other[0]} is not the file that run.json speaks for; restore both")
    if one.seed in expected.study.keep_weights and not one.weights.exists():
        raise UserError("weights.npz is missing, which the study keeps; restore it")
    if expected.test is None or not one.weights.exists():
        return f"verified, {accuracy:.2%}"
    again = _measure(expected, expected.test[0], one, record)
    return f"verified, {accuracy:.2%}, weights {again:.2%}"


def _verify_settings(expected, one, record):
    """What was trained is what the study describes and today's code would train."""
    described = study.settings(expected.study, one, expected.hashes)
    other = [name for name, value in described.items() if record[name] != value]
    if other:
        raise UserError(f"was recorded with another {', '.join(other)} than the study has")
    model, recipe = expected.model(one.variant), expected.study.recipe_of(one.variant)
    if record["recipe_sha256"] != training.recipe_hash(model, recipe):
        raise UserError("was recorded by another recipe than today's code has; record it again")
    parameters = models.trainable_parameters(model)
    if record["trainable_parameters"] != parameters:
        raise UserError(f"the net has {parameters:,} trainable parameters; restore run.json")
    dtypes = {"float32", "mixed_bfloat16"} if expected.study.mixed_precision else {"float32"}
    if record["dtype"] not in dtypes:
        raise UserError(f"dtype is {record['dtype']!r}, which the study does not have; restore it")


def _verify_history(record, history):
    """The record sums up the history, which is whole."""
    if len(history) != record["recipe"]["epochs"]:
        raise UserError(f"history.csv has {len(history)} epochs; restore it or record it again")
    wrong = [
        row["epoch"]
        for row in history
        if row["training_loss"] < 0 or not 0 <= row["training_accuracy"] <= 1 or row["seconds"] < 0
    ]
    if wrong:
        raise UserError(f"history.csv holds what cannot be in epoch {wrong[0]:.0f}; restore it")
    if record["summary"] != dataclasses.asdict(results.summarize(history)):
        raise UserError("run.json does not sum up history.csv; restore both")
    if abs(record["seconds"] - sum(results.column(history, "seconds"))) > 0.1:
        raise UserError("the seconds of run.json are not those of history.csv; restore both")
    last = 0
    for part in record["trained_on"]:
        match part:
            case {"first_epoch": first, "last_epoch": int(end)} if first == last + 1:
                last = end
            case _:
                break
    if last != len(history):
        raise UserError("trained_on does not name what computed each epoch; restore run.json")


def _measure(expected, images, one, record):
    """The accuracy that the shipped weights give; raises UserError if it is not the record's."""
    recipe = expected.study.recipe_of(one.variant)
    images = data.normalize(images, recipe.normalization)
    model = expected.model(one.variant)
    evaluation.load_weights(model, one.weights)
    predictions = evaluation.predict(model, images)
    again, accuracy = np.mean(predictions == expected.labels), record["summary"]["last_accuracy"]
    if abs(again - accuracy) > TOLERANCE + 1e-6:
        raise UserError(f"the weights give {again:.2%}, the record says {accuracy:.2%}")
    # Rounded weights, and bfloat16, move images that are nearly as likely to be another class: 0.3%
    # of those of quick and compact.
    other = np.sum(predictions != one.predictions)
    if other > max(3, 10 * TOLERANCE * len(predictions)):
        raise UserError(f"{other} predictions are not those of the weights; restore both")
    both_ways = record.get("accuracy_both_ways")
    if both_ways is not None:
        measured = evaluation.accuracy_both_ways(model, images, expected.labels)
        if abs(measured - both_ways) > TOLERANCE + 1e-6:
            raise UserError(f"the weights do not give {both_ways:.2%} with mirrored images")
    return again

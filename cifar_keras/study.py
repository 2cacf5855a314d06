"""Many trainings as one experiment: variants × seeds on one data set, recorded as they finish.

A study is described in `studies/NAME.toml` and recorded in `results/NAME/<variant>-seed<k>/`:

    history.csv       every epoch: losses, accuracies, seconds
    predictions.csv   the class that the final net gives to each test image, in order
    weights.npz       the final weights, for the seeds that the study names
    run.json          recipe, seed, data, versions, machine, commit; written last
"""

import dataclasses
import hashlib
import json
import platform
import re
import subprocess
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_keras.environment import keras

import numpy as np

from cifar_keras import data, environment, evaluation, files, machine, models, results, training
from cifar_keras.callbacks import read_trained_on
from cifar_keras.errors import UserError, first_line
from cifar_keras.results import Run

PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch")


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained, how, and where the runs go.

    Args:
        folder: Path of the folder that holds one folder for each run.
        data: a name that `data.load_data` knows.
        recipe: how the runs are trained.
        seeds: from which seeds, whole numbers from 0 to 2³² - 1.
        variants: `{variant: builder's arguments}`; `model` among them names the builder where
            it is not the variant's own name, and `recipe` holds what its recipe has otherwise.
        keep_weights: seeds whose final weights are kept.
        mixed_precision: compute in bfloat16 where that is faster.

    Raises:
        UserError: a value of another type, or outside its range; a variant that cannot be built.
    """

    folder: Path
    data: str
    recipe: training.Recipe = training.REFERENCE
    seeds: tuple[int, ...] = (0,)
    variants: dict[str, dict[str, Any]] = dataclasses.field(
        default_factory=lambda: {v: {} for v in results.VARIANTS}
    )
    keep_weights: tuple[int, ...] = ()
    mixed_precision: bool = False

    def __post_init__(self):
        _fits("data", self.data, f"one of {', '.join(data.NAMES)}", self.data in data.NAMES)
        for name in ("seeds", "keep_weights"):
            seeds, wanted = getattr(self, name), "different whole numbers from 0 to 2**32 - 1"
            whole = isinstance(seeds, tuple) and all(
                type(seed) is int and 0 <= seed < 2**32 for seed in seeds
            )
            _fits(name, seeds, wanted, whole and len(set(seeds)) == len(seeds))
        _fits("seeds", self.seeds, "at least one", self.seeds)
        flag = self.mixed_precision
        _fits("mixed_precision", flag, "true or false", isinstance(flag, bool))
        tables = isinstance(self.variants, dict) and all(
            isinstance(arguments, dict) for arguments in self.variants.values()
        )
        _fits("variants", self.variants, "a table for each, at least one", tables and self.variants)
        for variant in self.variants:
            plain = re.fullmatch(r"[a-z][a-z0-9_]*", variant)
            _fits("a variant's name", variant, "lower-case letters, digits and _", plain)
            try:
                if "initialization" in self.variants[variant]:
                    raise UserError("initialization belongs to the recipe; move it there")
                self.recipe_of(variant)
            except UserError as error:
                raise UserError(f"variant {variant}: {error}") from error

    def runs(self) -> list[Run]:
        """Every run that is planned, seed by seed, so that early stops leave pairs."""
        return [Run.of(self.folder, v, seed) for seed in self.seeds for v in self.variants]

    def only(self, run: str) -> "Study":
        """The study that consists of one of the planned runs, `<variant>-seed<seed>`.

        Raises:
            UserError: no run of that name is planned.
        """
        for one in self.runs():
            if one.name == run:
                variants = {one.variant: self.variants[one.variant]}
                return dataclasses.replace(self, seeds=(one.seed,), variants=variants)
        raise UserError(f"no run {run!r} is planned; `study status` lists those that are")

    def recipe_of(self, variant: str) -> training.Recipe:
        """The `training.Recipe` by which a variant is trained."""
        return _recipe(self.variants[variant].get("recipe", {}), self.recipe)

    def build(self, variant: str) -> keras.Model:
        """The untrained net of a variant, compiled, in the precision that layers have now."""
        recipe = self.recipe_of(variant)
        model = build_variant(variant, self.variants[variant], initialization=recipe.initialization)
        model.name = variant  # what the progress line says
        return training.compile_model(model, recipe)

    def new_model(self, variant: str, seed: int) -> keras.Model:
        """The net with which a run begins: seeded, in the study's precision, compiled."""
        keras.utils.set_random_seed(seed)
        with environment.dtype_policy(self.dtype):
            return self.build(variant)

    @property
    def dtype(self) -> str:
        """The dtype policy in which this computer trains the study."""
        return environment.fastest_dtype() if self.mixed_precision else "float32"


def build_variant(variant: str, settings: Mapping[str, Any], **more: Any) -> keras.Model:
    """The net of a study's variant, not compiled.

    Args:
        variant: its name, which is the builder's, too, unless `settings` names one as "model".
        settings: what the study says of the variant; its "recipe" is no argument of a builder.
        more: further arguments of the builder.

    Raises:
        UserError: as `models.build` does.
    """
    arguments = {"model": variant, **settings}
    arguments.pop("recipe", None)
    return models.build(arguments.pop("model"), **more, **arguments)


def _fits(name, value, wanted, fits):
    if not fits:
        raise UserError(f"{name} is {value!r}; give {wanted}")


def _recipe(settings, base=training.REFERENCE):
    """`base` with other settings; raises UserError if one of them does not exist or fit."""
    _fits("recipe", settings, "a table", isinstance(settings, dict))
    known = [field.name for field in dataclasses.fields(training.Recipe)]
    if unknown := sorted(settings.keys() - set(known)):
        raise UserError(f"there is no {unknown[0]!r} in a recipe; choose from: {', '.join(known)}")
    return dataclasses.replace(base, **settings)


def load(name: str) -> Study:
    """The `Study` that `studies/NAME.toml` describes.

    What a study has in common with another it takes from there: `base = "OTHER"`.

    Raises:
        UserError: there is no such study, or its file is not a study.
    """
    path = files.study_file(name)
    try:
        content = _read(path)
        recipe = _recipe(content.pop("recipe", {}))
        for key in ("seeds", "keep_weights"):
            if isinstance(content.get(key), list):
                content[key] = tuple(content[key])
        fields = {field.name for field in dataclasses.fields(Study)} - {"folder"}
        if unknown := sorted(content.keys() - fields):
            raise UserError(f"there is no {unknown[0]!r} in a study; leave it out")
        if "data" not in content:
            raise UserError(f"data is missing; give one of {', '.join(data.NAMES)}")
        study = Study(files.RESULTS / name, recipe=recipe, **content)
        for variant in study.variants:
            logits = study.build(variant).output_shape[-1]  # or its arguments are unfit
            if logits < len(data.CLASS_NAMES):
                raise UserError(f"variant {variant} has {logits} logits, fewer than classes")
        return study
    except Exception as error:  # building a net may raise nearly anything
        reason = first_line(error)
        raise UserError(f"{path} does not describe a study ({reason}); mend it") from error


def _read(path):
    """The content of a study's file, laid over that of its base."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    if "base" not in content:
        return content
    base = content.pop("base")
    others = [name for name in files.studies() if name != path.stem]
    _fits("base", base, f"one of {', '.join(others)}", base in others)
    under = tomllib.loads(files.study_file(base).read_text(encoding="utf-8"))
    _fits("base", base, "a study that has no base itself", "base" not in under)
    for table in ("recipe", "variants"):
        if isinstance(content.get(table), dict) and isinstance(under.get(table), dict):
            content[table] = under[table] | content[table]
    return under | content


def run(study: Study, verbose: bool = True) -> results.Runs:
    """Trains what the study lacks; finished runs are not trained again.

    A run that was killed goes on at its last finished epoch. Several processes may run one study
    at the same time: each takes runs that no other has locked.

    Args:
        study: what to train. verbose: say which run is trained, how far it and the study are.

    Returns:
        The histories of the finished runs.

    Raises:
        UserError: a finished run has other settings, or as `training.fit` does.
    """
    arrays = data.load_data(study.data)
    hashes = [data.array_hash(array) for part in arrays for array in part]
    planned, elsewhere = study.runs(), []
    if verbose and study.mixed_precision and study.dtype == "float32":
        print("bfloat16 is not faster on this processor: training in float32")
    seconds = []  # what the runs of this process took
    for number, one in enumerate(planned, start=1):
        if not needs_training(study, one, hashes):
            continue
        with files.lock(one.folder) as ours:
            if not ours:
                elsewhere.append(one.name)
                continue
            if one.finished:  # meanwhile, by another process
                continue
            if verbose:
                left = sum(not other.finished for other in planned)
                print(_headline(number, len(planned), one.name, left, seconds))
            started = time.monotonic()
            _train(study, one, arrays, hashes, verbose)
            seconds.append(time.monotonic() - started)
    if verbose and elsewhere:
        print(f"left to another process, which is training them: {', '.join(elsewhere)}")
    runs: results.Runs = {variant: {} for variant in study.variants}
    for one in planned:
        if one.finished:
            runs[one.variant][one.seed] = one.history
    return runs


def _headline(number, total, name, left, seconds):
    line = f"run {number} of {total}: {name}"
    if seconds:
        line += f" (the study has {np.mean(seconds) * left / 60:.0f} min left)"
    return line


def settings(study: Study, one: Run, hashes: list[str]) -> dict[str, Any]:
    """What the record of a run must say of what was trained, by the study as it is described.

    Args:
        hashes: SHA-256 of the study's four arrays.
    """
    return {
        "variant": one.variant,
        "seed": one.seed,
        "arguments": study.variants[one.variant],
        "recipe": study.recipe_of(one.variant).record(),
        "data": study.data,
        "data_sha256": hashes,
    }


def needs_training(study: Study, one: Run, hashes: list[str]) -> bool:
    """Whether a run is not finished yet; of one that is, deletes what it needs no more.

    Args:
        hashes: as in `settings`.

    Raises:
        UserError: it is finished and not what the study wants.
    """
    if not one.finished:
        return True
    record = one.record
    other = [n for n, value in settings(study, one, hashes).items() if record[n] != value]
    if other:
        raise UserError(
            f"{one.folder} holds a run with another {', '.join(other)}; name another folder"
        )
    checkpoint = one.folder / "checkpoint.npz"
    if checkpoint.exists():  # killed between run.json and this
        checkpoint.unlink(missing_ok=True)  # another process may have done it just now
    return False


@environment.graphs_released()  # or each run of a study would take some more memory
def _train(study, one, arrays, hashes, verbose):
    commit = _commit()  # before: the code may be edited meanwhile
    keras.backend.clear_session()
    model, recipe = study.new_model(one.variant, one.seed), study.recipe_of(one.variant)
    try:
        history = training.fit(model, arrays, recipe, one.seed, one.folder, verbose)
        trained_on = read_trained_on(one.folder)
    except UserError as error:
        raise UserError(f"{one.name}: {error}") from error
    images = data.normalize(arrays[1][0], recipe.normalization)
    labels = arrays[1][1].ravel()
    predictions = evaluation.predict(model, images)
    files.write(one.folder / "predictions.csv", _predictions_csv(predictions))
    if one.seed in study.keep_weights:
        files.write(one.weights, evaluation.pack_weights(model, images, labels))
    both_ways = {}
    if recipe.mirror:
        # Of the weights that are kept, where they are, so that it can be measured again.
        both_ways["accuracy_both_ways"] = evaluation.accuracy_both_ways(model, images, labels)
    content = {
        **settings(study, one, hashes),
        "recipe_sha256": training.recipe_hash(model, recipe),
        "trainable_parameters": models.trainable_parameters(model),
        "summary": dataclasses.asdict(results.summarize(history)),
        **both_ways,
        "dtype": study.dtype,
        "versions": {"python": platform.python_version(), **machine.versions(PACKAGES)},
        "trained_on": trained_on,
        "commit": commit,
        "seconds": round(sum(results.column(history, "seconds")), 1),
        "peak_memory_mb": machine.peak_memory(),
        "sha256": file_hashes(one),
    }
    files.write(one.folder / "run.json", (json.dumps(content, indent=1) + "\n").encode())
    (one.folder / "checkpoint.npz").unlink(missing_ok=True)


def file_hashes(one: Run) -> dict[str, str]:
    """SHA-256, in hexadecimal, of the files that a record speaks for, as far as they are there."""
    paths = [one.folder / name for name in ("history.csv", "predictions.csv", "weights.npz")]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.exists()}


def _predictions_csv(predictions):
    return "\n".join(["class", *map(str, predictions), ""]).encode()


def load_model(study: Study, variant: str, seed: int = 0) -> keras.Model:
    """The trained net of a recorded run, compiled, in float32.

    Args:
        variant, seed: one of the study's runs whose weights are kept.

    Raises:
        UserError: as `evaluation.load_weights` does.
    """
    model = study.build(variant)
    evaluation.load_weights(model, Run.of(study.folder, variant, seed).weights)
    return model


def status(study: Study) -> list[str]:
    """A line for each run: finished, in training, interrupted, not begun, or damaged."""
    lines = []
    for one in study.runs():
        try:
            lines.append(f"{one.name:43} {state(study, one)}")
        except UserError as error:
            lines.append(f"{one.name:43} {error}")
    return lines


def state(study: Study, one: Run) -> str:
    """How far a run is, in words.

    Raises:
        UserError: its record is damaged.
    """
    if one.finished:
        return f"finished, last test accuracy {one.record['summary']['last_accuracy']:.1%}"
    if not one.folder.exists():
        return "not begun"
    history = one.folder / "history.csv"  # its lines are counted: the last may lack test figures
    epochs = history.read_bytes().count(b"\n") - 1 if history.exists() else 0
    total, in_training = study.recipe_of(one.variant).epochs, files.locked(one.folder)
    if one.finished:  # meanwhile
        return state(study, one)
    return f"{'in training' if in_training else 'interrupted'}, {epochs} of {total} epochs done"


def _commit():
    """The checkout's commit, with "+" if the package differs from it; None where it is none."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != files.CHECKOUT.resolve():
            return None  # of a repository around it
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None

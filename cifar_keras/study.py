"""Many trainings as one experiment: variants × seeds on one data set, recorded as they finish.

A study is described in `studies/NAME.toml` and recorded in `results/NAME/<variant>-seed<k>/`:

    history.csv       every epoch: losses, accuracies, seconds
    predictions.csv   the class that the final net gives to each test image, in order
    weights.npz       the final weights, for the seeds that the study names
    run.json          recipe, seed, data, versions, machine, commit; written last
"""

import dataclasses
import importlib.metadata
import io
import json
import platform
import subprocess
import time
import tomllib
import zipfile
from pathlib import Path

import keras
import numpy as np

from cifar_keras import data, environment, files, machine, models, results, training
from cifar_keras.callbacks import read_trained_on
from cifar_keras.errors import UserError

STUDIES = Path(__file__).parents[1] / "studies"
PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch")
# A share of the test images: how far what is computed again may be from the record.
TOLERANCE = 0.001


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained, how, and where the runs go.

    Args:
        folder: Path of the folder that holds one folder for each run.
        data: a name that `data.load_data` knows.
        recipe: how the runs are trained.
        seeds: from which seeds.
        variants: `{variant: builder's arguments}`; `model` among them names the builder where
            it is not the variant's own name, and `recipe` holds what its recipe has otherwise.
        keep_weights: seeds whose final weights are kept.
        mixed_precision: compute in bfloat16 where the processor has instructions for it.
    """

    folder: Path
    data: str
    recipe: training.Recipe = training.REFERENCE
    seeds: tuple = (0,)
    variants: dict = dataclasses.field(default_factory=lambda: {v: {} for v in results.VARIANTS})
    keep_weights: tuple = ()
    mixed_precision: bool = False

    def runs(self):
        """(variant, seed, folder) of every run, seed by seed, so that early stops leave pairs."""
        return [
            (variant, seed, self.folder / f"{variant}-seed{seed}")
            for seed in self.seeds
            for variant in self.variants
        ]

    def recipe_of(self, variant):
        """The `training.Recipe` by which a variant is trained."""
        return dataclasses.replace(self.recipe, **self.variants[variant].get("recipe", {}))

    def build(self, variant):
        """The untrained, compiled net of a variant."""
        recipe = self.recipe_of(variant)
        arguments = {"model": variant, **self.variants[variant]}
        arguments.pop("recipe", None)
        model = models.build(
            arguments.pop("model"), initialization=recipe.initialization, **arguments
        )
        model.name = variant  # what the progress line says
        return training.compile_model(model, recipe)


def names():
    """The names of the studies that are described in `studies/`."""
    return sorted(path.stem for path in STUDIES.glob("*.toml"))


def load(name):
    """The `Study` that `studies/NAME.toml` describes.

    Raises:
        UserError: there is no such study, or its file is not a study.
    """
    path = STUDIES / f"{name}.toml"
    if name not in names():
        raise UserError(f"there is no study {name!r}; choose one of: {', '.join(names())}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = training.Recipe(**content.pop("recipe"))
        lists = {key: tuple(content.pop(key)) for key in ("seeds", "keep_weights")}
        study = Study(folder=results.RESULTS / name, recipe=recipe, **lists, **content)
        for variant in study.variants:
            study.recipe_of(variant)  # or it is not one
        return study
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} does not describe a study ({error}); mend it") from error


def run(study, verbose=True):
    """Trains what the study lacks; finished runs are not trained again.

    A run that was killed goes on at its last finished epoch. Several processes may run one study
    at the same time: each takes runs that no other has claimed.

    Args:
        study: a `Study`. verbose: say which run is trained, how far it and the study are.

    Returns:
        `{variant: {seed: history}}` of the finished runs.

    Raises:
        UserError: a finished run has other settings, or as `training.fit` does.
    """
    arrays = data.load_data(study.data)
    hashes = [data.array_hash(array) for part in arrays for array in part]
    planned, elsewhere = study.runs(), []
    if verbose and study.mixed_precision and environment.fastest_dtype() == "float32":
        print("this processor has no instructions for bfloat16: training in float32")
    seconds = []  # what the runs of this process took
    for number, (variant, seed, folder) in enumerate(planned, start=1):
        with files.claim(folder) as claimed:
            if not claimed:
                elsewhere.append(folder.name)
            elif not _finished(study, variant, seed, folder, hashes):
                if verbose:
                    left = [f for _, _, f in planned if not (f / "run.json").exists()]
                    print(_headline(number, len(planned), folder.name, len(left), seconds))
                started = time.monotonic()
                _record(study, variant, seed, folder, arrays, hashes, verbose)
                seconds.append(time.monotonic() - started)
    if verbose and elsewhere:
        print(f"left to another process, which is training them: {', '.join(elsewhere)}")
    runs = {variant: {} for variant in study.variants}
    for variant, seed, folder in planned:
        if (folder / "run.json").exists():
            runs[variant][seed] = results.read_history(folder / "history.csv")
    return runs


def _headline(number, planned, name, left, seconds):
    line = f"run {number} of {planned}: {name}"
    if seconds:
        line += f" (the study has {np.mean(seconds) * left / 60:.0f} min left)"
    return line


def _finished(study, variant, seed, folder, hashes):
    """Whether the run is there, as the study wants it."""
    if not (folder / "run.json").exists():
        return False
    recorded = results.read_run(folder)
    expected = {
        "variant": variant,
        "seed": seed,
        "recipe": study.recipe_of(variant).record(),
        "arguments": study.variants[variant],
        "data": study.data,
        "data_sha256": hashes,
    }
    other = [name for name, value in expected.items() if recorded.get(name) != value]
    if other:
        raise UserError(
            f"{folder} holds a run with another {', '.join(other)}; name another folder"
        )
    (folder / "checkpoint.npz").unlink(missing_ok=True)  # killed between run.json and this
    return True


def _record(study, variant, seed, folder, arrays, hashes, verbose):
    commit = _commit()  # before: the code may be edited meanwhile
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    dtype = environment.fastest_dtype() if study.mixed_precision else "float32"
    with environment.dtype_policy(dtype):
        model = study.build(variant)
    recipe = study.recipe_of(variant)
    try:
        history = training.fit(model, arrays, recipe, seed, folder, verbose)
    except UserError as error:
        raise UserError(f"{folder.name}: {error}") from error
    images = data.normalize(arrays[1][0], recipe.normalization)
    labels = arrays[1][1].ravel()
    predictions = _predict(model, images)
    files.write(folder / "predictions.csv", _predictions_csv(predictions))
    if seed in study.keep_weights:
        files.write(folder / "weights.npz", _weights(model, images, labels, predictions))
    both_ways = {}
    if recipe.mirror:
        both_ways["accuracy_both_ways"] = _accuracy_both_ways(model, images, labels)
    content = {
        "variant": variant,
        "seed": seed,
        "arguments": study.variants[variant],
        "recipe": recipe.record(),
        "recipe_sha256": training.recipe_hash(model, recipe),
        "trainable_parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "data": study.data,
        "data_sha256": hashes,
        "summary": dataclasses.asdict(results.summarize(history)),
        **both_ways,
        "dtype": dtype,
        "versions": _versions(),
        "trained_on": read_trained_on(folder),
        "commit": commit,
        "seconds": round(sum(results.column(history, "seconds")), 1),
        "peak_memory_mb": machine.peak_memory(),
    }
    files.write(folder / "run.json", (json.dumps(content, indent=1) + "\n").encode())
    (folder / "checkpoint.npz").unlink()


def _predict(model, images):
    return model.predict(images, batch_size=500, verbose=0).argmax(axis=1)


def _accuracy_both_ways(model, images, labels):
    """The accuracy of the mean of two logits, an image's and its mirror image's."""
    logits = sum(
        model.predict(each, batch_size=500, verbose=0) for each in (images, images[:, :, ::-1])
    )
    return float(np.mean(logits.argmax(axis=1) == labels))


def _predictions_csv(predictions):
    return "\n".join(["class", *map(str, predictions), ""]).encode()


def _weights(model, images, labels, predictions):
    """The weights as an `.npz`, in half precision if the accuracy is (nearly) the same in it."""
    accuracy = np.mean(predictions == labels)
    full = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    for dtype in ("float16", "float32"):
        stored = {path: value.astype(dtype) for path, value in full.items()}
        for weight in model.weights:
            weight.assign(stored[weight.path].astype("float32"))
        if abs(np.mean(_predict(model, images) == labels) - accuracy) <= TOLERANCE / 2:
            break
    content = io.BytesIO()
    np.savez_compressed(content, **stored)
    return content.getbuffer()


def load_weights(model, path):
    """Puts stored weights into a model of the same architecture.

    Args:
        model: any net of the package. path: a `weights.npz` that a study wrote.

    Raises:
        UserError: no such file, it is damaged, or it belongs to another architecture.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            stored = {name: saved[name].astype("float32") for name in saved.files}
    except FileNotFoundError as error:
        raise UserError(f"there are no weights {path}; its study kept none") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); restore it from the repository") from error
    shapes = {weight.path: tuple(weight.shape) for weight in model.weights}
    if {name: value.shape for name, value in stored.items()} != shapes:
        raise UserError(f"{path} does not fit {model.name}: it holds the weights of another net")
    for weight in model.weights:
        weight.assign(stored[weight.path])


def load_model(study, variant, seed=0):
    """The trained net of a recorded run, compiled.

    Args:
        study: a `Study`. variant, seed: one of its runs whose weights are kept.

    Raises:
        UserError: as `load_weights` does.
    """
    model = study.build(variant)
    load_weights(model, study.folder / f"{variant}-seed{seed}" / "weights.npz")
    return model


def status(study):
    """One line of text for each run: finished, in training, begun, or not begun."""
    lines = []
    for variant, _, folder in study.runs():
        epochs = study.recipe_of(variant).epochs
        lines.append(f"{folder.name:46} {_state(folder, epochs)}")
    return lines


def _state(folder, planned):
    if (folder / "run.json").exists():
        return (
            f"finished, test accuracy {results.read_run(folder)['summary']['final_accuracy']:.1%}"
        )
    if not folder.exists():
        return "not begun"
    epochs = 0
    if (folder / "history.csv").exists():
        epochs = len(results.read_history(folder / "history.csv"))
    with files.claim(folder) as idle:
        state = "interrupted" if idle else "in training"
    return f"{state}, {epochs} of {planned} epochs done"


def verify(study):
    """Measures and computes again what the study's finished runs say of themselves.

    Every shipped weight file is evaluated on the test images, every summary is computed from its
    history, every accuracy from the predictions; recipe hashes are compared with today's code.

    Yields:
        (whether it is as recorded, line of text) for each run that is there, at the end one for
        the runs that are not.

    Raises:
        UserError: the data cannot be had.
    """
    there = [(variant, folder) for variant, _, folder in study.runs() if folder.exists()]
    if there:
        (_, _), (images, labels) = data.load_data(study.data)
    for variant, folder in there:
        try:
            yield True, f"{folder.name:46} {_verify_run(study, variant, folder, images, labels)}"
        except UserError as error:
            yield False, f"{folder.name:46} {error}"
    if missing := len(study.runs()) - len(there):
        yield True, f"{missing} of {len(study.runs())} runs are not recorded yet"


def _verify_run(study, variant, folder, images, labels):
    """What was checked, in words; raises UserError on the first thing that is not so."""
    labels = labels.ravel()
    recipe = study.recipe_of(variant)
    if not (folder / "run.json").exists():
        raise UserError(f"unfinished: {_state(folder, recipe.epochs)}; `study run` goes on with it")
    recorded, history = results.read_run(folder), results.read_history(folder / "history.csv")
    if len(history) != recorded["recipe"]["epochs"]:
        raise UserError(f"history.csv has {len(history)} epochs; restore it or record it again")
    if recorded["summary"] != dataclasses.asdict(results.summarize(history)):
        raise UserError("run.json does not sum up history.csv; restore both")
    accuracy = recorded["summary"]["final_accuracy"]
    predictions = results.read_predictions(folder)
    # On an accelerator, evaluating and predicting may round differently: an image can change sides.
    off = len(predictions) != len(labels) or abs(np.mean(predictions == labels) - accuracy)
    if off > TOLERANCE + 1e-6:  # histories hold float32
        raise UserError("predictions.csv does not give the accuracy in history.csv; restore both")
    model = study.build(variant)
    if recorded["recipe_sha256"] != training.recipe_hash(model, recipe):
        raise UserError("was recorded by another recipe than today's code has; record it again")
    if not (folder / "weights.npz").exists():
        return f"verified, {accuracy:.2%}"
    images = data.normalize(images, recipe.normalization)
    load_weights(model, folder / "weights.npz")
    again = np.mean(_predict(model, images) == labels)
    if abs(again - accuracy) > TOLERANCE + 1e-9:
        raise UserError(f"the weights give {again:.2%}, the record says {accuracy:.2%}")
    both_ways = recorded.get("accuracy_both_ways")
    if both_ways and abs(_accuracy_both_ways(model, images, labels) - both_ways) > TOLERANCE + 1e-9:
        raise UserError(f"the weights do not give {both_ways:.2%} with mirrored images; restore it")
    return f"verified, {accuracy:.2%}, its weights measured again {again:.2%}"


def _versions():
    installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    packages = {name: installed[name] for name in PACKAGES if name in installed}
    return {"python": platform.python_version(), **packages}


def _commit():
    """The checkout's commit, with "+" if the package differs from it; None outside git."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None

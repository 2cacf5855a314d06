"""A small study, planned or trained, and what tests do to its folders."""

import contextlib
import dataclasses
import json
import subprocess
import sys
from unittest import mock

import keras

from cifar_keras import results, study, training

ONE_EPOCH = dataclasses.replace(training.REFERENCE, epochs=1)
# A recipe of the fast nets, and a small one of them.
FAST = training.Recipe(
    epochs=3,
    batch_size=32,
    learning_rate=0.1,
    weight_decay=0.01,
    initialization="dirac",
    normalization="standardized",
    momentum=0.9,
    warmup=0.25,
    mirror=True,
    translation=2,
)
NARROW = {"widths": [8, 16]}
HEADLESS = {"model": "average_pooling", "classifier": False}
FILES = {"history.csv", "predictions.csv", "run.json", "weights.npz"}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


@contextlib.contextmanager
def eagerly():
    """TensorFlow does not trace networks compiled in it, which takes longer than a few steps."""
    compiled = keras.Model.compile

    def eager(model, *arguments, **options):
        return compiled(model, *arguments, **{"run_eagerly": True} | options)

    if keras.backend.backend() == "tensorflow":
        with mock.patch.object(keras.Model, "compile", eager):
            yield
    else:
        yield


@contextlib.contextmanager
def locked_elsewhere(folder):
    """Another process holds the lock of `folder` while the block runs, and is killed then."""
    script = (
        "import pathlib, sys, time; from cifar_keras import files\n"
        "with files.lock(pathlib.Path(sys.argv[1])) as ours:\n"
        "    print(ours, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == "True\n"
            yield
        finally:
            process.kill()


def plan(folder):
    """Two variants, one seed, one epoch, weights kept."""
    variants = {"average_pooling": {}, "average_pooling_no_classifier": HEADLESS}
    return study.Study(folder, "sample", ONE_EPOCH, (3,), variants, (3,))


def folder_of(planned, variant="average_pooling"):
    return planned.folder / f"{variant}-seed3"


def run_in(folder):
    return results.Run("", 0, folder)


def record(folder):
    return run_in(folder).record


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def edit(folder, **changes):
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def forge(folder, **changes):
    """A record that speaks for whatever files lie beside it."""
    edit(folder, sha256=study.file_hashes(run_in(folder)), **changes)

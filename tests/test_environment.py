"""Whether the backend starts without a word, and whether trouble is still heard."""

import ast
import importlib
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from cifar_keras import environment, files, machine
from cifar_keras.errors import UserError

FASTER = "TF_ENABLE_ONEDNN_OPTS"


def test_who_has_said_which_convolutions_to_take_gets_them(monkeypatch):
    monkeypatch.setenv(FASTER, "0")
    importlib.reload(environment)
    assert os.environ[FASTER] == "0"


def test_what_was_held_back_is_shown_if_starting_fails(capfd):
    with pytest.raises(RuntimeError), environment._notices_dropped():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"


def test_what_was_held_back_is_dropped_otherwise(capfd):
    with environment._notices_dropped():
        os.write(2, b"a notice\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


IN_A_NOTEBOOK = """
import logging, sys
sys.ps1 = "In : "  # by this TensorFlow knows that somebody types
from cifar_keras import environment
print(logging.getLogger("tensorflow").isEnabledFor(logging.WARNING))
"""


def test_a_notebook_is_not_warned_of_retracing():
    command = [sys.executable, "-c", IN_A_NOTEBOOK]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert told.stdout == "False\n"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data is TensorFlow's")
def test_no_epoch_waits_for_the_autotuner(monkeypatch):
    """The wait is a matter of luck; whether the iterators' options allow it is not."""
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    autotuned, create = [], OwnedIterator._create_iterator

    def watch(iterator, dataset):
        autotuned.append(dataset.options().autotune.enabled)
        create(iterator, dataset)

    monkeypatch.setattr(OwnedIterator, "_create_iterator", watch)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    zeros = np.zeros((4, 1))
    model.fit(zeros, zeros, epochs=2, validation_data=(zeros, zeros), verbose=0)
    assert len(autotuned) >= 4
    assert set(autotuned) == {False}


@pytest.mark.parametrize(
    ("features", "dtype"),
    [
        ("flags : amx_bf16 amx_tile", "mixed_bfloat16"),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16", "float32"),
        ("flags\t\t: fpu avx2 avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_bfloat16_only_where_it_is_faster(tmp_path, monkeypatch, features, dtype):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    if features:
        (tmp_path / "cpuinfo").write_text(features)
    assert environment.fastest_dtype() == dtype


# --- Settings that were made for something else --------------------------------------------------

TRAINING = f"""
import os
from cifar_keras import models, training, environment  # whatever module comes first
print(os.environ["{FASTER}"], environment.describe())
import keras, numpy as np
assert (keras.config.floatx(), keras.config.epsilon()) == ("float32", 1e-7)
images, labels = np.zeros((8, 32, 32, 3), "uint8"), np.zeros((8, 1), "uint8")
recipe = training.Recipe(epochs=2, batch_size=4, initialization="keras")
model, rows = training.train("practice", ((images, labels),) * 2, recipe, verbose=False)
print(len(rows), model.dtype_policy.name, model.get_layer("logits").kernel.dtype)
"""


def run(script, **variables):
    command = [sys.executable, *(["-c", script] if isinstance(script, str) else script)]
    variables = os.environ | {name: str(value) for name, value in variables.items()}
    return subprocess.run(command, capture_output=True, text=True, env=variables)


@pytest.fixture
def keras_json(tmp_path, monkeypatch):
    """A function that writes keras.json and says where."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def write(text):
        (tmp_path / "keras.json").write_text(text)
        return tmp_path / "keras.json"

    return write


def test_starting_says_nothing_and_another_s_settings_change_nothing(keras_json, monkeypatch):
    monkeypatch.delenv(FASTER, raising=False)
    keras_json('{"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}')
    done = run(TRAINING, KERAS_MAX_EPOCHS=1, KERAS_MAX_STEPS_PER_EPOCH=1)
    assert done.stderr == ""
    described, trained = done.stdout.splitlines()
    assert described.startswith("1 Python ")
    assert f"Keras {keras.__version__} · {keras.backend.backend()} " in described
    assert trained == "2 float32 float32"


def test_the_command_line_names_a_backend_that_cannot_train():
    done = run(["-m", "cifar_keras", "study", "status", "seeds"], KERAS_BACKEND="theano")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: KERAS_BACKEND names the backend 'theano', which the course cannot train with; "
        "make it one of tensorflow, jax, torch\n"
    )


@pytest.mark.parametrize("name", ["theano", "numpy", "Tensorflow", "openvino"])
def test_a_backend_that_cannot_train_is_one_line(name, keras_json, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(UserError, match=f"^KERAS_BACKEND names the backend {name!r}, which the"):
        environment.check_settings()
    path = keras_json(f'{{"backend": "{name}"}}')
    monkeypatch.delenv("KERAS_BACKEND")
    with pytest.raises(UserError, match=f"^{path} names the backend {name!r}, which the"):
        environment.check_settings()


@pytest.mark.parametrize("setting", [None, "", "tensorflow", "jax", "torch"])
def test_a_backend_that_is_not_installed_is_one_line(setting, keras_json, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    name, place = setting or "tensorflow", "KERAS_BACKEND" if setting else "Keras' default"
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if setting is not None:
        monkeypatch.setenv("KERAS_BACKEND", setting)
    line = f"^{place} names the backend '{name}', which is not installed; `pip install {name}`"
    with pytest.raises(UserError, match=line):
        environment.check_settings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "holds no settings; mend or delete it"),
        ('{"floatx": "bfloat16"}', "sets floatx to 'bfloat16'; make it 'float32'"),
        ('{"floatx": 32}', "sets floatx to 32; make it 'float32'"),
        ('{"image_data_format": "NCHW"}', "sets image_data_format to 'NCHW'; make it 'channels_"),
        ('{"epsilon": 1}', "sets epsilon to 1; make it 1e-07"),
        ('{"backend": []}', r"names the backend \[\], which the course cannot train with"),
    ],
)
def test_settings_with_which_keras_does_not_start_are_one_line(
    text, complaint, keras_json, monkeypatch
):
    path = keras_json(text)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(UserError, match=f"^{path} {complaint}"):
        environment.check_settings()
    keras_json("{")  # Keras itself makes nothing of that
    environment.check_settings()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data is TensorFlow's")
def test_the_autotuner_is_left_out_once():
    import tensorflow

    patched = tensorflow.data.Dataset.__iter__
    importlib.reload(environment)
    assert tensorflow.data.Dataset.__iter__ is patched
    assert not hasattr(patched.__wrapped__, "__wrapped__")


MODULES = sorted((files.CHECKOUT / "cifar_keras").glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_room_has_keras_from_environment(path):
    """So that whichever of them is imported first, the settings are there before Keras starts."""
    modules = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    if "cifar_keras.environment" in modules:
        modules = modules[: modules.index("cifar_keras.environment")]
    assert not {"keras"} & {module.partition(".")[0] for module in modules}

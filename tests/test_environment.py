"""Whether the backend starts without a word, and whether trouble is still heard."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from cifar_keras import environment


def test_starting_writes_nothing_but_what_is_asked():
    script = "from cifar_keras import environment; print(environment.describe())"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert f"Keras {keras.__version__} · {keras.backend.backend()} " in run.stdout


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


def test_the_faster_convolutions_are_on_unless_the_user_says_no():
    name = "TF_ENABLE_ONEDNN_OPTS"
    script = f"import os; from cifar_keras import environment; print(os.environ['{name}'])"
    for setting, expected in ((None, "1"), ("0", "0")):
        variables = {k: v for k, v in os.environ.items() if k != name}
        variables |= {name: setting} if setting else {}
        run = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=variables,
        )
        assert run.stdout == expected + "\n"

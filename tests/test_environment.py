"""Whether the backend starts without a word, and whether trouble is still heard."""

import os
import subprocess
import sys

import keras
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

"""The progress line: what it says, where, of any training; and what the recorder takes."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import keras
import numpy as np
import pytest
from nbval.plugin import get_sanitize_patterns
from small_study import eagerly

from cifar_keras import callbacks, environment, models, training
from cifar_keras.errors import UserError


class Terminal(io.StringIO):
    """What a terminal got; `isatty` is all that tells it from a file."""

    def isatty(self):
        return True


@pytest.fixture
def sanitize():
    # In ASCII, as the locale of the machine may have it.
    text = Path(__file__).with_name("nbval_sanitize.cfg").read_text(encoding="ascii")
    patterns = get_sanitize_patterns(text)

    def apply(output):
        for regex, replacement in patterns:
            output = re.sub(regex, replacement, output)
        return output

    return apply


def progress(label, epochs, steps, test=True, pace=0.0, first=0, known=True, to=Terminal):
    """What the progress line writes in a training of this size; one step takes `pace` seconds."""
    line, now, output = training.Progress(label), [0.0], to()
    line.set_params({"epochs": epochs, "steps": steps if known else None})
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(callbacks.time, "monotonic", lambda: now[0])
        line.on_train_begin()
        for epoch in range(first, epochs):
            line.on_epoch_begin(epoch)
            for step in range(steps):
                now[0] += pace
                line.on_train_batch_end(step)
            logs = {"accuracy": 0.1 + epoch / 1000, "val_accuracy": 0.2}
            line.on_epoch_end(epoch, logs if test else {"accuracy": 0.5})
        line.on_train_end()
    return output.getvalue()


def states(output):
    return [state.rstrip() for state in output.split("\r")[1:]]


def test_it_is_one_line_that_says_how_far():
    output = progress("net", epochs=4, steps=20, pace=3.0)
    assert output.count("\n") == 1 and output.endswith("\n")
    assert states(output)[0] == "net █░░░░░░░░░  1/4  3:30 left"
    assert states(output)[2] == "net ██░░░░░░░░  1/4  train 0.100  test 0.200  3:00 left"
    assert states(output)[-1] == "net ██████████  4/4  train 0.103  test 0.200  240 s"


def test_nearly_a_minute_is_a_minute():
    assert states(progress("net", epochs=2, steps=20, pace=1.988))[0].endswith(" 1:00 left")


def test_in_a_file_or_a_pipe_each_epoch_is_a_line():
    output = progress("net", epochs=4, steps=20, pace=3.0, to=io.StringIO)
    assert "\r" not in output
    lines = output.splitlines()
    assert lines[0] == "net ██░░░░░░░░  1/4  train 0.100  test 0.200  3:00 left"
    assert lines[-1] == "net ██████████  4/4  train 0.103  test 0.200  240 s"
    assert len(lines) == 4


@pytest.mark.parametrize("label", [max(models.BUILDERS, key=len), "a_name_without_end" * 5])
def test_it_fits_a_terminal_and_covers_what_stood_there(label):
    for line in progress(label, 100, 20, pace=9.99).rstrip("\n").split("\r")[1:]:
        assert len(line) == 79
    for line in progress(label, 100, 20, pace=9.99, to=io.StringIO).splitlines():
        assert len(line) <= 79
        assert re.search(r"\d/100  train 0\.\d{3}  test 0\.200  (\d+:\d\d left|\d+ s)$", line)


def test_it_is_sanitized_to_the_same_text(sanitize):
    one, other = progress("", 3, 30, pace=1.0), progress("“none”", 100, 7, False, 0.001)
    last = [f"{states(output)[-1]}\n" for output in (one, other)]  # as committed
    assert one != other and last[0] != last[1]
    assert {sanitize(output) for output in (one, other, *last)} == {sanitize(last[0])}
    assert not re.search(r"[\d█░]", sanitize(one)) and sanitize(one).endswith("\n")
    assert sanitize("12.5% of 1/2 images\n") == "12.5% of 1/2 images\n"


@eagerly()
def test_of_a_real_training(small, monkeypatch, sanitize):
    output = Terminal()
    with redirect_stdout(output):
        training.train("average_pooling", small, training.Recipe(epochs=1))
    output = output.getvalue()
    assert output.count("\n") == 1 and output.endswith("\n")
    assert states(output)[-1].startswith("average_pooling ██████████  1/1  train 0.")
    assert sanitize(output) == sanitize(progress("", 2, 3))


def test_of_a_resumed_training_counts_what_is_left():
    shown = states(progress("net", epochs=4, steps=10, pace=3.0, first=2))
    assert shown[0] == "net █████░░░░░  3/4  0:30 left"
    assert shown[-1] == "net ██████████  4/4  train 0.103  test 0.200  60 s"


def test_of_an_unknown_number_of_steps_knows_it_after_an_epoch():
    shown = states(progress("net", epochs=4, steps=20, pace=3.0, known=False))
    assert shown[0] == "net ░░░░░░░░░░  1/4  30 s"
    assert shown[2] == "net ██░░░░░░░░  1/4  train 0.100  test 0.200  3:00 left"
    assert shown[3] == "net ████░░░░░░  2/4  train 0.100  test 0.200  2:30 left"


@pytest.mark.parametrize(
    ("metrics", "figures"),
    [
        (["accuracy"], r"train \d\.\d{3}  test \d\.\d{3}"),
        ([keras.metrics.BinaryAccuracy()], r"train \d\.\d{3}  test \d\.\d{3}"),
        (["mae"], r"train loss \d\.\d{3}  test loss \d\.\d{3}"),
        ([], r"train loss \d\.\d{3}  test loss \d\.\d{3}"),
    ],
    ids=["accuracy", "an object", "another", "none"],
)
@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # it is told so on purpose
@eagerly()
def test_of_any_net_and_a_generator(metrics, figures, validation):
    """The form is the reader's: metrics, validation and the number of steps are his choice."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "mse", metrics=metrics)
    ones = np.ones((4, 1), "float32")
    output = io.StringIO()
    with redirect_stdout(output):
        model.fit(
            ((ones, ones) for _ in range(3)),
            validation_data=(ones, ones) if validation else None,
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[training.Progress("mine")],
        )
    figures = figures if validation else figures.partition("  test")[0]
    assert re.fullmatch(rf"mine ██████████  1/1  {figures}  \d+ s\n", output.getvalue())


@eagerly()
def test_the_line_ends_before_an_error(small):
    output = Terminal()
    with redirect_stdout(output), pytest.raises(UserError, match="no longer a number"):
        training.train(
            "average_pooling", small, training.Recipe(2, batch_size=10, learning_rate=1e20)
        )
    assert output.getvalue().startswith("\r") and output.getvalue().endswith("\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp949"])
def test_an_encoding_that_lacks_the_bar_gets_an_ascii_one(encoding):
    line = ascii("net ███░░ · 1–2 … ?")
    script = f"import cifar_keras; print({line})"
    variables = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=os.environ | variables, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    printed = run.stdout.decode(encoding).strip()
    assert re.fullmatch(r"net (███|###)(░░|\.\.) [·|] 1[–-]2 (…|\.\.\.) \?", printed)


# --- The recorder --------------------------------------------------------------------------------


@eagerly()
def test_a_training_that_moved_says_what_computed_which_epochs(tmp_path, monkeypatch):
    here = {
        "backend": keras.backend.backend(),
        "threads": environment.threads(),
        "dtype": "float32",
    }
    for epochs, device, dtype in (
        (2, "a GPU", "float32"),
        (3, "a processor", "float32"),
        (4, "a processor", "float32"),
        (5, "a processor", "mixed_bfloat16"),
    ):
        monkeypatch.setattr(environment, "device", lambda name=device: name)
        with environment.dtype_policy(dtype):
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["accuracy"])
        recorder = training.Recorder(tmp_path)
        done = recorder.restore(model)
        model.fit(
            np.ones((4, 1)),
            np.ones(4),
            initial_epoch=done,
            epochs=epochs,
            verbose=0,
            callbacks=[recorder],
        )
    half = {"dtype": "mixed_bfloat16"}
    assert callbacks.read_trained_on(tmp_path) == [
        {"first_epoch": 1, "last_epoch": 2, "device": "a GPU", **here},
        {"first_epoch": 3, "last_epoch": 4, "device": "a processor", **here},
        {"first_epoch": 5, "last_epoch": 5, "device": "a processor", **here, **half},
    ]


@pytest.mark.parametrize("key", callbacks.KERAS_NAMES.values())
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_every_figure_must_be_a_number(key, value):
    recorder = training.Recorder()
    recorder.on_epoch_begin(0)
    with pytest.raises(UserError, match="no longer a number in epoch 1"):
        recorder.on_epoch_end(0, dict.fromkeys(callbacks.KERAS_NAMES.values(), 0.5) | {key: value})
    assert recorder.rows == []


@eagerly()
def test_keras_own_lines_are_sanitized_to_one_whatever_their_number(capsys, sanitize):
    shown = set()
    for epochs, patience in ((1, 9), (3, 9), (9, 0)):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"])
        callbacks = [
            keras.callbacks.EarlyStopping("mae", 1, patience, 1, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("mae", patience=0, min_delta=1, verbose=1),
        ]
        x = np.ones((8, 1))
        print("a plain line")
        model.fit(x, x, validation_data=(x, x), epochs=epochs, verbose=2, callbacks=callbacks)
        model.evaluate(x, x, verbose=2)
        print("Epoch 3: 40% of 1/2 images, 3/4 - 5")
        shown.add(capsys.readouterr().out)
    assert "early stopping" in "".join(shown) and "Restoring" in "".join(shown)
    assert len({len(output.splitlines()) for output in shown}) == 3
    lines = {tuple(sanitize(output).splitlines()) for output in shown}
    assert lines == {("a plain line", "EPOCHS", "Epoch 3: 40% of 1/2 images, 3/4 - 5")}

"""What a lesson says to right, wrong, missing and endless answers."""

from cifar_keras.environment import keras

import numpy as np
import pytest

from cifar_keras import exercises


def checked(answer, seconds=60):
    with exercises.check("double", seconds):
        assert answer(2) == 4, "2 became something else; multiply by two"
        assert answer(-1) < 0, "a negative number lost its sign"


def test_a_right_answer_is_told_so(capsys):
    checked(lambda x: 2 * x)
    assert capsys.readouterr().out == "double: right\n"


def not_written(x):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda x: x, "double: 2 became something else; multiply by two"),
        (lambda x: abs(2 * x), "double: a negative number lost its sign"),
        (lambda x: None, "double: 2 became something else"),
        (not_written, "double: not written yet; write your answer into the cell above"),
        (lambda x: x / 0, "double: your answer raises ZeroDivisionError: division by zero"),
        (eval("lambda x: undefined"), "'undefined' is not defined; correct this name in your"),
        (lambda x: np.zeros(2) @ np.zeros(3), "double: your answer raises ValueError: matmul"),
        (lambda x: np.ones(2), "double: your answer raises ValueError: The truth value"),
    ],
)
def test_a_wrong_answer_gets_one_line(capsys, answer, hint):
    with pytest.raises(exercises.Hint) as caught:
        checked(answer)
    assert hint in str(caught.value) and "\n" not in str(caught.value)
    assert "right" not in capsys.readouterr().out


def test_a_name_that_the_check_itself_lacks_comes_from_the_cell_above():
    with (
        pytest.raises(exercises.Hint, match="'double' is not defined; run the cell above first"),
        exercises.check("double"),
    ):
        double(2)  # noqa: F821


def test_a_training_without_end_is_stopped_and_fit_is_itself_again():
    fit = keras.Model.fit
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((8, 1))
    with pytest.raises(exercises.Hint, match="double: the training was stopped after 1 seconds"):
        checked(lambda _: model.fit(x, x, batch_size=1, epochs=10**6, verbose=0), seconds=1)
    assert keras.Model.fit is fit


def test_an_answer_may_have_callbacks_of_its_own_in_a_list_or_not():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((8, 1))
    for given in (None, keras.callbacks.History(), [keras.callbacks.History()]):
        checked(lambda n, own=given: (model.fit(x, x, verbose=0, callbacks=own), 2 * n)[1])


@pytest.mark.parametrize(
    ("guess", "first"),
    [
        (4000, "your guess: 4,000"),
        (np.int64(4000), "your guess: 4,000"),
        (np.float32(0.5), "your guess: 0.5"),
        (None, "your guess: no guess yet; write one into the cell above"),
        (..., "your guess: no guess yet; write one into the cell above"),
        ("many", "your guess: 'many' is no number"),
    ],
)
def test_a_guess_stands_beside_the_measurement(capsys, guess, first):
    exercises.compare(guess, 63, form="{:,}")
    assert capsys.readouterr().out == f"{first}\nmeasured:   63\n"


@pytest.mark.parametrize(
    ("guess", "first"),
    [
        ("same", "your guess: same: right, a maximum forgives one pixel"),
        ("other", "your guess: other: a convolution moves with its image"),
        (..., "your guess: no guess yet; write one into the cell above"),
        ("neither", "your guess: choose one of same, other"),
        (["same"], "your guess: choose one of same, other"),
        (np.array(["same", "other"]), "your guess: choose one of same, other"),
    ],
)
def test_a_choice_gets_a_reply_of_its_own(capsys, guess, first):
    replies = {
        "same": "right, a maximum forgives one pixel",
        "other": "a convolution moves with its image",
    }
    exercises.compare(guess, "same", replies)
    assert capsys.readouterr().out == f"{first}\nmeasured:   same\n"


def compiled(*metrics):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=list(metrics))
    return model


def test_a_network_is_measured_in_loss_and_accuracy():
    x, y = np.zeros((4, 2)), np.array([0, 0, 1, 0])
    loss, accuracy = exercises.evaluate(compiled("accuracy"), x, y)
    assert (loss, accuracy) == pytest.approx((np.log(2), 0.75))
    for metrics in ((), ("accuracy", "sparse_categorical_crossentropy")):
        with pytest.raises(
            exercises.Hint, match=r'compile the network with metrics=\["accuracy"\]'
        ):
            exercises.evaluate(compiled(*metrics), x, y)

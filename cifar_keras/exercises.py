"""What a lesson answers its reader: to a guess, and to the solution of an exercise."""

import numbers
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cifar_keras.environment import keras

import numpy as np

from cifar_keras.errors import UserError, first_line


class Hint(UserError):
    """What is probably wrong with an answer: one line, which a notebook shows without a traceback.

    It is raised, so that whatever grades a notebook sees that the check failed.
    """


class _TimeLimit(keras.callbacks.Callback):
    """Ends a training of an answer that would go on for ever, at the end of a batch."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.started = seconds, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.started > self.seconds:
            raise Hint(
                f"the training was stopped after {self.seconds:.0f} seconds; give it fewer "
                "epochs, or the check more seconds"
            )


@contextmanager
def check(task: str, seconds: float = 60) -> Iterator[None]:
    """Runs the checks of an exercise, which are `assert`s with a message; says if all hold.

    Args:
        task: the exercise, by a word or two; it heads what is printed.
        seconds: after which a `model.fit` in the answer is stopped, at the end of a batch.

    Raises:
        Hint: a check fails, the answer is not written yet, or it raises something.
    """
    fit = keras.Model.fit

    def limited(model, *arguments, callbacks=None, **options):
        limit = _TimeLimit(seconds)
        return fit(model, *arguments, callbacks=[callbacks or [], limit], **options)

    keras.Model.fit = limited
    try:
        yield
    except Hint as hint:
        raise Hint(f"{task}: {hint}") from None
    except NotImplementedError:
        raise Hint(f"{task}: not written yet; write your answer into the cell above") from None
    except NameError as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        by_check = files[-1] == files[1]  # each cell is a file of its own
        advice = "run the cell above first" if by_check else "correct this name in your answer"
        raise Hint(f"{task}: {error}; {advice}") from None
    except AssertionError as error:
        raise Hint(f"{task}: {first_line(error)}") from None
    except Exception as error:  # whatever a wrong answer may raise
        raised = f"{type(error).__name__}: {first_line(error)}"
        raise Hint(f"{task}: your answer raises {raised}") from error
    finally:
        keras.Model.fit = fit
    print(f"{task}: right")


def evaluate(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(loss, accuracy) of an answer's network on images: the mean loss, the share that is right.

    Args:
        model: compiled, with accuracy as its one metric.
        images: float (n, height, width, 3), scaled as the network wants them. labels: integers.

    Raises:
        Hint: it is compiled without accuracy, or with more.
    """
    found = model.evaluate(images, labels, verbose=0)
    if np.size(found) != 2:
        raise Hint('compile the network with metrics=["accuracy"], please')
    loss, accuracy = found
    return loss, accuracy


def compare(
    guess: object, measured: object, replies: Mapping | None = None, form: str = "{}"
) -> None:
    """Prints a guess beside what was measured.

    Args:
        guess: a number or one of the choices; None or ... if the reader has not guessed.
        measured: the number, or the right choice.
        replies: for a choice, what is said to each of them; a wrong one names its misconception.
        form: format of the two values, such as "{:.0%}" or "{:,}".

    A guess that is neither is told so; the lesson goes on in any case.
    """
    if guess is None or guess is ...:
        said = "no guess yet; write one into the cell above"
    elif replies is not None:
        # Of others, a list has no hash, and an array is neither equal to a choice nor not.
        chosen = isinstance(guess, str | numbers.Real) and guess in replies
        known = ", ".join(map(str, replies))
        said = f"{guess}: {replies[guess]}" if chosen else f"choose one of {known}"
    elif isinstance(guess, numbers.Real) and not isinstance(guess, bool):
        said = form.format(guess)
    else:
        said = f"{guess!r} is no number"
    print(f"your guess: {said}\nmeasured:   {form.format(measured)}")

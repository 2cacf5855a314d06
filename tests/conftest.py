"""What several rooms' tests share: a small cut of the sample, and hand-made histories."""

import pytest

# environment first, as everywhere: the processes that tests start inherit its settings, and have to
# compute the same digits.
from cifar_keras import environment  # noqa: F401  isort: skip
from cifar_keras import data


@pytest.fixture(scope="session")
def small():
    """130 training and 60 test images of the sample, as the loaders return them.

    At a batch size of 64 the last batch holds 2 images.
    """
    (x_train, y_train), (x_test, y_test) = data.load_sample()
    return (x_train[:130], y_train[:130]), (x_test[:60], y_test[:60])


@pytest.fixture
def small_sample(small, monkeypatch):
    """The same in the place of whatever `data.load_data` would load."""
    monkeypatch.setattr(data, "load_data", lambda name=None: small)
    return small


@pytest.fixture(scope="session")
def make_history():
    """A function that makes a history from its test curve (and its training losses)."""

    def make(test_accuracy, test_loss, training_loss=None):
        training_loss = training_loss or [2 / (epoch + 1) for epoch in range(len(test_loss))]
        return [
            {
                "epoch": float(epoch),
                "training_loss": training,
                "training_accuracy": 0.5,
                "test_loss": loss,
                "test_accuracy": accuracy,
                "seconds": 1.0,
            }
            for epoch, (accuracy, loss, training) in enumerate(
                zip(test_accuracy, test_loss, training_loss, strict=True), start=1
            )
        ]

    return make

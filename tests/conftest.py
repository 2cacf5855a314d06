"""What several rooms' tests share: a small cut of the sample, a small study, made-up histories."""

import shutil

import pytest
from matplotlib.figure import Figure

# environment first, as everywhere: the processes that tests start inherit its settings, and have to
# compute the same digits.
from cifar_keras import environment  # noqa: F401  isort: skip
from small_study import plan

from cifar_keras import data, study


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


@pytest.fixture
def planned(small_sample, tmp_path):
    """A small study that nothing is recorded of."""
    return plan(tmp_path / "study")


@pytest.fixture(scope="session")
def trained(small, tmp_path_factory):
    """The small study, trained once: (its folder, its runs)."""
    folder = tmp_path_factory.mktemp("trained") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load_data", lambda name=None: small)
        return folder, study.run(plan(folder), verbose=False)


@pytest.fixture
def recorded(planned, trained):
    """(the small study, its runs), in a folder that a test may damage."""
    folder, runs = trained
    shutil.copytree(folder, planned.folder)
    return planned, runs


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


@pytest.fixture(scope="session")
def check_figures():
    """A function that checks figures, by the name of their function, for what all of them need."""

    def check(module, drawn):
        public = {
            name
            for name, value in vars(module).items()
            if callable(value) and value.__module__ == module.__name__ and name[0].islower()
        }
        assert drawn.keys() == public
        for name, figure in drawn.items():
            assert isinstance(figure, Figure)
            assert len(figure.get_suptitle()) > 20, name
            assert len(figure.get_label()) > 60, name
            assert all(axis.get_xlabel() or axis.get_ylabel() for axis in figure.axes), name
            figure.canvas.draw()
            right = figure._suptitle.get_window_extent().x1
            assert right <= figure.bbox.x1, f"the title of {name} is wider than the figure"

    return check

"""What tests of several modules share: a cut of the sample, a small study, made-up histories."""

import dataclasses
import shutil
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

# environment first, as everywhere: the processes that tests start inherit its settings, and have to
# compute the same digits.
from cifar_keras import environment  # noqa: F401  isort: skip
from small_study import FAST, NARROW, eagerly, plan

from cifar_keras import data, study

# Repeatable, and without a deadline: other work may hold the machine up.
settings.register_profile("course", derandomize=True, deadline=None)
settings.load_profile("course")


@pytest.fixture
def images():
    """Three images of noise, float32 (3, 32, 32, 3)."""
    return np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype("float32")


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
    with eagerly():
        yield small


@pytest.fixture
def planned(small_sample, tmp_path):
    """A small study that nothing is recorded of."""
    return plan(tmp_path / "study")


@pytest.fixture(scope="session")
def trained(small, tmp_path_factory):
    """The small study, trained once: (its folder, its runs)."""
    folder = tmp_path_factory.mktemp("trained") / "study"
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setattr(data, "load_data", lambda name=None: small)
        return folder, study.run(plan(folder), verbose=False)


@pytest.fixture
def recorded(planned, trained):
    """(the small study, its runs), in a folder that a test may damage."""
    folder, runs = trained
    shutil.copytree(folder, planned.folder)
    return planned, runs


@pytest.fixture
def described(small_sample, tmp_path, monkeypatch):
    """A small `quick` study in the place of the shipped one."""
    variants = {"quick": {"model": "whitened", **NARROW}}
    recipe = dataclasses.replace(FAST, epochs=1, test_once=True)
    small = study.Study(tmp_path, "full", recipe, (0,), variants, mixed_precision=True)
    monkeypatch.setattr(study, "load", lambda name: small)
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


@pytest.fixture(scope="session")
def check_figures(check_legible):
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
            assert len(figure.get_suptitle()) > 15, name
            assert len(figure.get_label()) > 60 and "\n" not in figure.get_label(), name
            for axis in figure.axes:
                labelled = axis.get_xlabel() or axis.get_ylabel()
                assert labelled or axis.images or not axis.axison, name
            check_legible(figure)

    return check


@pytest.fixture(scope="session")
def check_legible():
    """A function that checks that a figure's texts stand out (WCAG 2.1: 4.5:1) and lie within."""

    def check(figure):
        texts = list(texts_of(figure))
        pale = [(text, round(contrast, 1)) for text, contrast, _ in texts if contrast < 4.5]
        assert not pale, figure.get_suptitle()
        outside = [text for text, _, inside in texts if not inside]
        assert not outside, figure.get_suptitle()

    return check


def texts_of(figure):
    """(text, contrast, whether it lies in the figure) of every text that a figure draws.

    The contrast of its colour with the median of the pixels behind it, from 1 to 21 (WCAG 2.1).
    """
    canvas, texts = FigureCanvasAgg(figure), []
    with mock.patch.object(Text, "draw", lambda text, renderer: texts.append(text)):
        canvas.draw()  # everything but the texts
    pixels = np.flipud(canvas.buffer_rgba())[..., :3] / 255
    for text in (text for text in texts if text.get_visible() and text.get_text().strip()):
        box = text.get_window_extent()
        behind = pixels[max(int(box.y0), 0) : int(box.y1), max(int(box.x0), 0) : int(box.x1)]
        dark, light = sorted(
            map(luminance, (to_rgb(text.get_color()), np.median(behind, axis=(0, 1))))
        )
        (width, height), edge = figure.bbox.size, 1
        inside = -edge <= min(box.x0, box.y0) and box.x1 <= width + edge and box.y1 <= height + edge
        yield text.get_text(), (light + 0.05) / (dark + 0.05), inside


def luminance(color):
    """Relative luminance of an sRGB colour in [0, 1] (WCAG 2.1)."""
    color = np.asarray(color)
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)

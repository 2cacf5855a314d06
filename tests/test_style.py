"""Whether figures look alike, and are shown and saved with their descriptions."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cifar_keras import results, style


@pytest.fixture
def figure():
    """A small figure with a title and a description."""
    drawn, axis = style.subplots(3, 2)
    axis.plot([1, 2, 3], [1, 3, 2])
    drawn.suptitle("It rises, then falls: 2 of 3")
    drawn.set_label("A line over three places.")
    return drawn


def test_variants_differ_in_colour_line_and_grey():
    looks = [style.STYLES[variant] for variant in results.VARIANTS]
    assert len({look.line for look in looks}) == len({look.color for look in looks}) == 3
    for one, other in combinations(looks, 2):
        greys = [np.dot(to_rgb(look.color), (0.2126, 0.7152, 0.0722)) for look in (one, other)]
        assert abs(greys[0] - greys[1]) > 0.08, (one.label, other.label)


def test_axes_are_open_at_the_top_and_the_right(figure):
    spines = figure.axes[0].spines
    assert {side for side in spines if spines[side].get_visible()} == {"left", "bottom"}


def test_showing_gives_a_picture_and_its_description(figure, monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", lambda *a, **k: shown.append((a, k)))
    style.show(figure)
    [((bundle,), options)] = shown
    assert bundle["image/png"].startswith("iVBOR")
    assert bundle["text/plain"] == figure.get_label()
    assert options == {"metadata": {"image/png": {"alt": figure.get_label()}}, "raw": True}


def test_saving_writes_a_png_that_carries_its_description(figure, tmp_path):
    path = tmp_path / "new folder" / "picture.png"
    style.save(figure, path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert b"Description" in content

"""Whether the figures of the lessons of Part I, and of lesson 12, say what they show."""

import numpy as np
import pytest

from cifar_keras import claims, plots_lessons
from cifar_keras.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype("uint8")
SHARES = np.array([0.02, 0.02, 0.02, 0.2, 0.02, 0.6, 0.03, 0.03, 0.03, 0.03])

MAP = np.log([[1.0, 2.0], [3.0, 4.0]])  # whose softmax is 10, 20, 30 and 40%

LOSS = {
    name: claims.judge([mean - 0.02, mean, mean + 0.02])  # intervals of 0.05 to either side
    for name, mean in (("before pools, ½", 0.1), ("in head, ½", 0.06), ("behind pools, ½", -0.1))
}
ACCURACY = {name: claims.judge([0, 1, 2]) for name in LOSS}  # which contain 0


@pytest.fixture(scope="module")
def figures():
    return {
        "path": plots_lessons.path(3),
        "ten_bars": plots_lessons.ten_bars(IMAGE, SHARES, 3),
        "dropout_gains": plots_lessons.dropout_gains(LOSS, ACCURACY),
        "pooling_weights": plots_lessons.pooling_weights(MAP),
    }


def filled(figure):
    [axis] = figure.axes
    faces = [patch.get_facecolor() for patch in axis.patches]
    return [
        name for name, face in zip(plots_lessons.PATH, faces, strict=True) if face != (1, 1, 1, 1)
    ]


def test_every_figure_is_described_labelled_and_legible(figures, check_figures):
    check_figures(plots_lessons, figures)


@pytest.mark.parametrize("known", range(7))
def test_the_first_boxes_of_the_path_are_filled(known, check_legible):
    figure = plots_lessons.path(known)
    assert filled(figure) == list(plots_lessons.PATH)[:known]
    assert f"{known} of 6" in figure.get_suptitle()
    check_legible(figure)


def test_the_boxes_that_are_named_are_filled():
    figure = plots_lessons.path({"loss", "image"})
    assert filled(figure) == ["image", "loss"]
    assert figure.get_label().endswith("Filled: image, loss.")


@pytest.mark.parametrize("known", [7, -1, "image", ["picture"]])
def test_other_boxes_are_refused(known):
    with pytest.raises(UserError, match="some of: image, convolutions"):
        plots_lessons.path(known)


@pytest.mark.parametrize("label", [3, np.uint8(3), np.array([3], "uint8")])
def test_the_title_says_what_the_true_class_gets(label):
    figure = plots_lessons.ten_bars(IMAGE, SHARES, label)
    assert figure.get_suptitle() == "The true class, cat, gets 20%; dog gets most, 60%"


def test_the_title_says_if_the_true_class_gets_most():
    title = plots_lessons.ten_bars(IMAGE, SHARES, 5).get_suptitle()
    assert title == "The true class, dog, gets 60%, most of the ten"


def test_ten_equal_bars_have_no_largest():
    title = plots_lessons.ten_bars(IMAGE, np.full(10, 0.1), 0).get_suptitle()
    assert title == "All ten classes get 10%"


def test_the_bar_of_the_true_class_looks_different(figures):
    colors = [bar.get_facecolor() for bar in figures["ten_bars"].axes[1].patches]
    assert len(set(colors)) == 2 and colors.count(colors[3]) == 1


@pytest.mark.parametrize(
    ("image", "shares", "advice"),
    [
        (IMAGE / 127.5 - 1, SHARES, "as loaded"),
        (IMAGE[np.newaxis], SHARES, "as loaded"),
        (IMAGE, 5 * SHARES, "softmax"),
        (IMAGE, SHARES[np.newaxis], "softmax"),
        (IMAGE, np.full(10, np.nan), "softmax"),
    ],
)
def test_numbers_of_another_kind_get_advice(image, shares, advice):
    with pytest.raises(UserError, match=advice):
        plots_lessons.ten_bars(image, shares, 3)


def test_the_title_says_what_the_largest_position_counts(figures):
    title = figures["pooling_weights"].get_suptitle()
    expected = "25% in the mean, 40% in attention, 100% in the maximum"
    assert title == f"The largest position counts {expected}"
    texts = [[text.get_text() for text in axis.texts] for axis in figures["pooling_weights"].axes]
    assert texts[2] == ["10%", "20%", "30%", "40%"]
    assert texts[3] == ["0%", "0%", "0%", "100%"]
    flat = plots_lessons.pooling_weights(np.zeros((2, 2))).get_suptitle()
    assert "25% in the mean, 25% in attention" in flat


def test_the_title_counts_what_gains(figures):
    title = figures["dropout_gains"].get_suptitle()
    assert "Of 3 variants with dropout, 2 reach a lower loss and 0 a higher" in title
    other = plots_lessons.dropout_gains(ACCURACY, LOSS).get_suptitle()
    assert "Of 3 variants with dropout, 0 reach a lower loss and 2 a higher" in other
    markers = [line.get_marker() for line in figures["dropout_gains"].axes[0].lines[1:-1:2]]
    assert markers == ["o", "o", "X"]


def test_many_feature_maps_are_refused():
    with pytest.raises(UserError, match="takes one feature map"):
        plots_lessons.pooling_weights(np.zeros((4, 4, 64)))

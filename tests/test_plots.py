"""Whether the figures say their finding, in the picture and in words, and can be told apart."""

import numpy as np
import pytest

from cifar_keras import models, plots, results

RISING = ([0.3, 0.6, 0.5], [2.0, 1.0, 1.8])
FALLING = ([0.2, 0.4, 0.7], [2.2, 1.4, 0.9])


@pytest.fixture(scope="module")
def runs(make_history):
    rising, falling = make_history(*RISING), make_history(*FALLING)
    return {
        "fully_connected": {0: rising, 1: rising},
        "average_pooling": {0: rising, 1: falling},
        "average_pooling_dropout": {0: falling, 1: falling},
    }


@pytest.fixture(scope="module")
def figures(runs, make_history):
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (20, 32, 32, 3)).astype("uint8")
    return {
        "image_grid": plots.image_grid(images, np.arange(20) % 2, ("cat", "dog"), columns=4),
        "parameter_bars": plots.parameter_bars([models.build_average_pooling()]),
        "comparison": plots.comparison(runs, results.read_reference()),
        "with_and_without_classifier": plots.with_and_without_classifier(
            runs | {f"{variant}_no_classifier": by_seed for variant, by_seed in runs.items()}
        ),
        "reproduction": plots.reproduction(runs, results.read_reference()),
    }


def test_a_grid_of_few_images_says_so():
    images = np.zeros((5, 32, 32, 3), "uint8")
    figure = plots.image_grid(images, np.array([0, 0, 0, 1, 1]), ("cat", "dog"), columns=3)
    assert figure.get_suptitle() == "2 classes, up to 3 images of each, 32×32 pixels"
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1, 1, 1, 0]


def title(figure):
    return figure.get_suptitle()


def test_every_figure_is_described_labelled_and_legible(figures, check_figures):
    check_figures(plots, figures)


def test_a_quantity_has_its_unit(figures):
    axes = [axis for figure in figures.values() for axis in figure.axes]
    over_epochs = [axis for axis in axes if "epoch" in axis.get_xlabel()]
    assert len(over_epochs) > 5
    for axis in over_epochs:
        assert axis.get_ylabel().endswith(("(share of images)", "(cross-entropy, nats)"))


def test_the_reproduction_sets_the_same_nets_beside_each_other(make_history, runs):
    theirs = {variant: by_seed[0] for variant, by_seed in runs.items()}
    twins = {f"{variant}_no_classifier": {0: theirs[variant]} for variant in results.VARIANTS[1:]}
    ours = {**runs, **twins, "fully_connected": {0: make_history([0.3, 0.6, 0.54], RISING[1])}}
    figure = plots.reproduction(ours, theirs)
    assert "within 4.0 points" in title(figure)  # fully connected alone differs
    lines = [len([line for line in axis.lines if len(line.get_xdata())]) for axis in figure.axes]
    assert lines == [6, 6, 6, 6]
    ours.pop("fully_connected")
    assert "within 0.0 points" in title(plots.reproduction(ours, theirs))  # of those there are


def test_titles_tell_what_is_drawn_of_nets():
    nets = [models.build_fully_connected(), models.build_average_pooling()]
    bars = plots.parameter_bars(nets)
    assert title(bars) == (
        "Average pooling has 52% of the parameters of fully connected; the trunk has 1,130,272"
    )
    assert "fully connected 2,190,122, of which 1,130,272 in the trunk" in bars.get_label()


def test_both_rows_of_the_comparison_have_their_finding_and_one_scale(make_history, runs):
    theirs = {}
    theirs["average_pooling"] = make_history([0.3, 0.9], [2.0, 6.0])
    theirs["average_pooling_dropout"] = make_history([0.3, 0.7], [2.0, 1.0])
    theirs["fully_connected"] = make_history([0.3, 0.8], [2.0, 0.5])
    figure = plots.comparison(runs, theirs)
    assert title(figure) == (
        "Above, after 3 epochs, average pooling + dropout is most accurate (70%) and lowest in "
        "loss;\nbelow, after 2 epochs, average pooling is most accurate (90%) but fully connected "
        "lowest in loss"
    )
    for above, below in zip(figure.axes[:2], figure.axes[2:], strict=True):
        assert above.get_ylim() == below.get_ylim()
    assert figure.axes[1].get_ylim()[1] > 6


def test_both_rows_of_the_reproduction_have_one_scale(make_history, runs):
    twins = {f"{v}_no_classifier": {0: make_history([0.1], [9])} for v in results.VARIANTS[1:]}
    figure = plots.reproduction(runs | twins, results.read_reference())
    assert title(figure).startswith("Above, ")
    for above, below in zip(figure.axes[:2], figure.axes[2:], strict=True):
        assert above.get_ylim() == below.get_ylim()


def test_one_epoch_is_a_point_on_whole_ticks(make_history):
    history = make_history([0.3], [2.0])
    runs = {variant: {0: history, 1: history} for variant in results.VARIANTS}
    figure = plots.comparison(runs, {variant: history for variant in runs})
    assert "1 epochs" not in title(figure) + figure.get_label()
    for axis in figure.axes:
        points = [line for line in axis.lines if len(line.get_xdata()) == 1]
        assert points and all(line.get_marker() == "o" for line in points)
        low, high = axis.get_xlim()
        assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]


def test_titles_follow_the_numbers(make_history, runs):
    rising, falling = make_history(*RISING), make_history(*FALLING)
    assert "After 3 epochs, average pooling + dropout is most accurate (70%) and lowest" in title(
        plots.comparison(runs)
    )
    swapped = {"fully_connected": {0: falling}, "average_pooling": {0: rising}}
    assert "fully connected is most accurate" in title(plots.comparison(swapped))
    twins = {f"{variant}_no_classifier": {0: rising} for variant in runs}
    assert "ends at 2.2 nats with a classifier, at 2.0 without" in title(
        plots.with_and_without_classifier(runs | twins)
    )

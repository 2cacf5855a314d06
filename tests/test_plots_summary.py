"""Whether the README's picture shows and says what the recorded runs come to."""

import numpy as np
import pytest

from cifar_keras import plots_summary, results


@pytest.fixture
def runs(make_history):
    def net(accuracy, *losses):
        """Two seeds, 2 points and 0.2 nats apart."""
        return {
            seed: make_history(
                [accuracy + 0.02 * seed] * len(losses), [loss + 0.2 * seed for loss in losses]
            )
            for seed in (0, 1)
        }

    return {
        "fully_connected": net(0.5, 2.0, 1.0, 1.5),
        "average_pooling": net(0.6, 1.9, 1.0, 1.4),
        "average_pooling_dropout": net(0.7, 2.2, 1.5, 1.2),
    }


def test_it_shows_means_and_intervals(check_figures, runs):
    figure = plots_summary.summary(runs)
    check_figures(plots_summary, {"summary": figure, "curves": plots_summary.curves(runs)})
    left, right = figure.axes
    assert [text.get_text().split("\n")[1] for text in left.texts] == ["51.0%", "61.0%", "71.0%"]
    # Two values 0.02 apart: t is 12.706, and s / √2 is 0.01.
    assert left.lines[0].get_xdata() == pytest.approx([0.51 - 0.12706, 0.51 + 0.12706], abs=1e-4)
    assert right.lines[0].get_ydata() == pytest.approx([2.1, 1.1, 1.6])
    band = right.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((1.1 - 1.2706, 2.1 + 1.2706), abs=1e-3)


def test_its_title_follows_the_numbers(runs):
    def title():
        return plots_summary.summary(runs).get_suptitle()

    assert title() == "Average pooling + dropout is most accurate; its final loss is lowest"
    runs["fully_connected"] = runs.pop("average_pooling_dropout")
    assert title() == "Fully connected is most accurate; its final loss is lowest"
    runs["average_pooling_dropout"] = {
        seed: [row | {"test_loss": 1.0} for row in history]
        for seed, history in runs["average_pooling"].items()
    }
    assert (
        title() == "Fully connected is most accurate; average pooling + dropout has the lowest loss"
    )


def test_the_recorded_runs_make_it(check_legible):
    check_legible(
        plots_summary.summary(results.paired(results.read_runs(results.RESULTS / "seeds")))
    )


def test_a_single_seed_has_no_interval(runs):
    figure = plots_summary.summary({variant: {0: of[0]} for variant, of in runs.items()})
    bar, dot, *_ = figure.axes[0].lines
    assert np.isnan(bar.get_xdata()).all() and dot.get_xdata() == [0.5]


def test_curves_of_a_study_are_told_apart(runs):
    runs |= {f"rung_{k}": runs["average_pooling"] for k in range(6)}
    left, right = plots_summary.curves(runs).axes
    looks = {(line.get_color(), line.get_linestyle()) for line in left.lines}
    assert len(looks) == len(left.lines) == len(right.lines) == len(runs)
    assert len({line.get_marker() for line in left.lines}) == len(runs)
    assert right.lines[0].get_ydata() == pytest.approx([2.1, 1.1, 1.6])


def test_test_images_that_were_met_once_are_dots(runs):
    nan = {"test_loss": np.nan, "test_accuracy": np.nan}
    once = {
        variant: {k: [row | nan for row in each[:-1]] + each[-1:] for k, each in by_seed.items()}
        for variant, by_seed in runs.items()
    }
    figure = plots_summary.curves(once)
    line, dot, *_ = figure.axes[1].lines
    assert line.get_ydata() == pytest.approx([2, 1, 2 / 3])  # the training loss
    assert (dot.get_xdata(), dot.get_ydata()) == ([3], pytest.approx([1.6]))
    assert len({mark.get_marker() for mark in figure.axes[1].lines}) == len(once)
    assert "marks at the end for the test images" in figure.get_label()
    single = plots_summary.curves({"average_pooling": runs["average_pooling"]}, "held-out")
    assert single.get_suptitle() == "Average pooling reaches a final held-out accuracy of 61.0%"

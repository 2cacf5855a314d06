"""Whether the figures of how sure a result is say their finding, in the title and in words."""

import math

import numpy as np
import pytest

from cifar_keras import claims, results
from cifar_keras import plots_statistics as figures

SEEDS = np.arange(3, 201)
HOLDS, FAILS = claims.judge([0.9, 1.0, 1.1]), claims.judge([-2.1, -2.0, -1.9])
NAMES = results.VARIANTS


@pytest.fixture(scope="module")
def drawn(make_history):
    history = make_history([0.2, 0.4, 0.7], [2.2, 1.4, 0.9])
    return {
        "pairs": figures.pairs({name: np.array([0.5, 0.6, 0.62]) + i for i, name in NUMBERED}),
        "disagreements": figures.disagreements({"one, other": (5, 2, 1, 2), "a, b": (5, 1, 1, 3)}),
        "seeds_needed": figures.seeds_needed(SEEDS, 0.05 / SEEDS, 0.1 / SEEDS),
        "luck": figures.luck(SPREADS, {"falling"}, [("constant", "falling")]),
        "best_epoch": figures.best_epoch(history),
        "holm": figures.holm({"1": 0.02, "2": 0.04}),
        "verdicts": figures.verdicts({"here": [HOLDS] * len(claims.CLAIMS)}),
        "run_among_recorded": figures.run_among_recorded(history, {0: history, 1: history}, 7),
    }


NUMBERED = [(0.01 * i, name) for i, name in enumerate(NAMES)]
SPREADS = {"constant": (0.01, 0.03, 5), "falling": (0.01, 0.008, 5)}


def title(figure):
    return figure.get_suptitle()


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn, make_history):
    others = {
        "pairs": figures.pairs({name: np.array([0.1, 0.2, 0.9]) - i for i, name in NUMBERED}),
        "disagreements": figures.disagreements({"one, other": (1, 1, 7, 1), "a, b": (0, 9, 1, 0)}),
        "seeds_needed": figures.seeds_needed(SEEDS, 0.01 / SEEDS, 0.02 / SEEDS),
        "luck": figures.luck({"constant": (0.02, 0.02, 9)}, set()),
        "best_epoch": figures.best_epoch(make_history([0.5, 0.9], [1.0, 2.0])),
        "holm": figures.holm({"1": 0.9, "2": 0.8, "3": 0.0001}),
        "verdicts": figures.verdicts({"here": [FAILS] * len(claims.CLAIMS)}),
    }
    for name, figure in others.items():
        assert figure.get_label() == drawn[name].get_label()


def test_pairs_say_what_pairing_leaves():
    ten = np.array([0.50, 0.52, 0.54])
    parallel = figures.pairs({NAMES[0]: ten, NAMES[1]: ten + 0.1})
    assert "leaves 0% of the spread" in title(parallel)
    assert parallel.axes[0].get_title() == "correlation +1.00"
    crossing = figures.pairs({NAMES[0]: ten, NAMES[1]: ten[::-1]})
    assert "leaves 141% of the spread" in title(crossing)
    assert crossing.axes[0].get_title() == "correlation −1.00"
    assert len(figures.pairs({name: ten + i for i, name in NUMBERED}).axes) == 3


def test_disagreements_say_on_how_many_images_one_is_right(drawn):
    assert "on 20% to 30% of the images" in title(drawn["disagreements"])
    widths = [bar.get_width() for bar in drawn["disagreements"].axes[0].patches[:4]]
    assert widths == pytest.approx([0.5, 0.2, 0.1, 0.2])


def test_seeds_needed_names_both_numbers():
    few = figures.seeds_needed(
        SEEDS, np.where(SEEDS < 10, 1, 0.001), np.where(SEEDS < 20, 1, 0.001)
    )
    assert (
        title(few) == "An interval of half a point takes 10 seeds,\nto find half a point takes 20"
    )
    none = figures.seeds_needed(SEEDS, np.where(SEEDS < 10, 1, 0.001), np.ones(198))
    assert title(none).endswith("to find half a point takes more than 200")


def test_luck_sets_what_was_seen_over_what_luck_makes(drawn):
    assert title(drawn["luck"]) == (
        "Spread seen over spread by luck:\nfalling rate 0.8 to 0.8, constant rate 3.0 to 3.0"
    )
    axis = drawn["luck"].axes[0]
    band, dot = axis.lines[:2]
    # 95% of standard deviations of five normal values: χ² from 0.484 to 11.143.
    assert band.get_ydata() == pytest.approx([3 * 2 / 11.143**0.5, 3 * 2 / 0.4844**0.5], rel=1e-3)
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == pytest.approx((1, 3))
    assert dot.get_markerfacecolor() == "white" != axis.lines[3].get_markerfacecolor()
    assert "constant rate" not in title(figures.luck({"falling": (1, 1, 3)}, {"falling"}))


def test_the_best_epoch_stands_beside_the_final_accuracy(make_history):
    history = make_history([0.5] * 9 + [0.8] + [0.6] * 10, [1.0] * 20)
    assert title(figures.best_epoch(history)) == (
        "The best of 20 epochs is 20.0 points above the final accuracy"
    )


def test_holm_counts_before_and_after():
    figure = figures.holm({"a": 0.04, "b": 0.001, "c": 0.9})
    assert title(figure) == "2 of 3 p-values are below 0.05, 1 after Holm's correction"
    axis = figure.axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["b", "a", "c"]
    assert axis.lines[0].get_ydata() == pytest.approx([0.05 / 3, 0.025, 0.05])


def test_verdicts_show_every_interval_and_count_the_words():
    rest = [HOLDS] * (len(claims.CLAIMS) - 2)
    figure = figures.verdicts(
        {"here": [HOLDS, FAILS, *rest], "there": [claims.judge([0.5]), HOLDS, *rest]}
    )
    count = 2 * len(claims.CLAIMS) - 1  # a single seed has no verdict
    assert title(figure) == (
        f"Of {count} verdicts from several seeds {count - 1} hold, 1 does not hold, "
        "0 cannot be told"
    )
    first = figure.axes[0]
    assert list(first.lines[0].get_xdata()) == pytest.approx([HOLDS.low, HOLDS.high])
    assert list(first.lines[1].get_xdata()) == pytest.approx([1])
    low, high = first.get_xlim()
    assert low == -high and high > 1
    colors = [axis.lines[1].get_color() for axis in figure.axes[:2]]
    assert len(set(colors)) == 2 and first.lines[3].get_markerfacecolor() == "white"


def test_verdicts_that_cannot_be_computed_leave_their_panel_empty():
    """Runs that end before a claim's epoch say nothing of it."""
    unknown = claims.judge([math.nan] * 2)
    figure = figures.verdicts({"here": [unknown] + [HOLDS] * (len(claims.CLAIMS) - 1)})
    assert figure.axes[0].get_xlim() == (-1.7, 1.7)
    assert [text.get_text() for text in figure.axes[0].texts] == ["too few epochs"]
    assert title(figure).startswith(f"Of {len(claims.CLAIMS) - 1} verdicts")


def test_verdicts_have_a_panel_for_a_claim_more(monkeypatch):
    monkeypatch.setattr(claims, "CLAIMS", (*claims.CLAIMS, claims.CLAIMS[0]))
    figure = figures.verdicts({"here": [HOLDS] * len(claims.CLAIMS)})
    drawn = [axis for axis in figure.axes if axis.axison]
    assert len(drawn) == len(claims.CLAIMS) and all(axis.get_title(loc="left") for axis in drawn)


def test_an_interval_that_leaves_the_axis_ends_in_an_arrowhead():
    wide = claims.judge([-10.0, 12.0])
    figure = figures.verdicts({"here": [wide] + [HOLDS] * (len(claims.CLAIMS) - 1)})
    cut, within = figure.axes[:2]
    assert [line.get_marker() for line in cut.lines[1:4]] == ["s", "<", ">"]
    low, high = cut.get_xlim()
    assert list(cut.lines[0].get_xdata()) == pytest.approx([low, high])
    assert not {"<", ">"} & {line.get_marker() for line in within.lines}


def test_a_run_lies_among_the_recorded_ones_or_outside(make_history):
    rising, falling = make_history([0.3, 0.6], [2, 1]), make_history([0.2, 0.7], [2, 1])
    for accuracy, word in ((0.1, "outside"), (0.65, "among")):
        figure = figures.run_among_recorded(
            make_history([0.25, accuracy], [2, 1]), {0: rising, 1: falling}, 5
        )
        assert title(figure) == f"After 2 epochs seed 5 lies {word} the 2 recorded seeds"
        assert all(round(100 * tick, 6).is_integer() for tick in figure.axes[0].get_yticks())


def test_one_epoch_is_a_point_on_whole_ticks(make_history):
    history = make_history([0.3], [2.0])
    figure = figures.run_among_recorded(history, {0: history, 1: history}, 2)
    assert "1 epochs" not in title(figure) + figure.get_label()
    [axis] = figure.axes
    assert all(line.get_marker() == "o" for line in axis.lines)
    low, high = axis.get_xlim()
    assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]

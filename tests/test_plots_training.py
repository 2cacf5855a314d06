"""Whether the figures of lesson 09 say their finding, in the title and in words."""

import numpy as np
import pytest

from cifar_keras import plots_training as figures

STEPS = np.array([1, 10, 100, 1000])
SLOW, QUICK = np.array([1, 0.5, 0.1, 0.001]), np.array([1, 0.001, 0.0, 0.0])
METHODS = ("none", "unit", "symmetric", "standardized")


def title(figure):
    return figure.get_suptitle()


@pytest.fixture
def drawn():
    rates = np.logspace(-5, -1, 60)
    return {
        "descent_by_scale": figures.descent_by_scale(STEPS, dict.fromkeys(METHODS, SLOW)),
        "descent_at_the_bound": figures.descent_at_the_bound(
            {"half the bound": [2, 1], "4 times the bound": [2, 3]}
        ),
        "range_test": figures.range_test(rates, np.abs(np.log10(rates) + 3), 1e-2),
        "batch_sizes": figures.batch_sizes({"early": 10.0, "late": 200.0}),
        "weights_into_dead_channels": figures.weights_into_dead_channels(
            np.random.default_rng(0).random(1024)
        ),
    }


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn):
    again = figures.batch_sizes({"early": 20.0, "late": 30.0})
    assert again.get_label() == drawn["batch_sizes"].get_label()


def test_titles_follow_the_numbers():
    assert "64 lies between" in title(figures.batch_sizes({"early": 10.0, "late": 200.0}))
    for scales in ({"early": 100.0, "late": 200.0}, {"early": 10.0, "late": 30.0}):
        assert "64 lies outside" in title(figures.batch_sizes(scales))
    losses = {"none": SLOW, "unit": QUICK, "symmetric": SLOW, "standardized": SLOW}
    assert "“none” takes 100 times the steps of “unit”" in title(
        figures.descent_by_scale(STEPS, losses)
    )
    losses["symmetric"] = np.ones(4)
    assert "“symmetric” has not fallen to 1% after 1,000 steps" in title(
        figures.descent_by_scale(STEPS, losses)
    )
    assert "from 2.00 to 1.00 nats at low,\nfrom 2.00 to 3.00 nats at high" in title(
        figures.descent_at_the_bound({"low": [2, 1.5, 1], "high": [2, 5, 3]})
    )
    assert "75% of the weights into dead channels end below 0.03" in title(
        figures.weights_into_dead_channels(np.array([0.0, 0.01, 0.02, 0.1]))
    )
    rates = np.logspace(-5, -1, 61)
    breaking = np.where(rates < 1e-2, 2.0, 9.0)
    assert "At 5 times" in title(figures.range_test(rates, breaking, 1e-2))  # smoothed over 9
    falling = np.linspace(2, 1, 61)
    assert "Up to 100 times" in title(figures.range_test(rates, falling, 1e-2))

"""Whether the mathematical figures say their finding, in the title and in words."""

import numpy as np
import pytest

from cifar_keras import measure, models
from cifar_keras import plots_mathematics as figures

STEPS = np.array([1, 10, 100, 1000])
SLOW, QUICK = np.array([1, 0.5, 0.1, 0.001]), np.array([1, 0.001, 0.0, 0.0])
SIGNAL = {
    "He": {"convolution_1": (1.0, 0.1), "convolution_2": (1.0, 0.1)},
    "PyTorch": {"convolution_1": (0.4, 0.1), "convolution_2": (0.1, 0.1)},
}
FORMULA = {name: {layer: a for layer, (a, _) in s.items()} for name, s in SIGNAL.items()}
SWEEP = {
    ("convolutions", 0.0): (0.2, 2.2),
    ("convolutions", 0.5): (1.0, 1.5),
    ("classifier", 0.5): (0.9, 1.6),
}
METHODS = ("none", "unit", "symmetric", "standardized")


def title(figure):
    return figure.get_suptitle()


@pytest.fixture
def drawn():
    noise = np.random.default_rng(0)
    square = noise.random((32, 32))
    rates = np.logspace(-5, -1, 60)
    return {
        "influence_of_pixels": figures.influence_of_pixels(square, square, square),
        "receptive_fields": figures.receptive_fields(
            {"before training": square, "after training": square},
            6,
            24,
            {"before training": 18, "after training": 12},
        ),
        "pools": figures.pools({"convolution 3×3": 0.4, "maximum 2×2": 0.39}, 1000),
        "costs_by_layer": figures.costs_by_layer(measure.costs(models.build_fully_connected())),
        "signal_over_depth": figures.signal_over_depth(SIGNAL, FORMULA),
        "descent_by_scale": figures.descent_by_scale(STEPS, dict.fromkeys(METHODS, SLOW)),
        "descent_at_the_bound": figures.descent_at_the_bound(
            {"half the bound": [2, 1], "4 times the bound": [2, 3]}
        ),
        "range_test": figures.range_test(rates, np.abs(np.log10(rates) + 3), 1e-2),
        "batch_sizes": figures.batch_sizes({"early": 10.0, "late": 200.0}),
        "weights_into_dead_channels": figures.weights_into_dead_channels(square.ravel()),
        "dropout_sweep": figures.dropout_sweep(SWEEP),
        "seeds_needed": figures.seeds_needed(np.arange(3, 201), 0.05 / np.arange(3, 201)),
    }


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn):
    again = figures.seeds_needed(np.arange(3, 201), 0.01 / np.arange(3, 201))
    assert again.get_label() == drawn["seeds_needed"].get_label()
    again = figures.batch_sizes({"early": 20.0, "late": 30.0})
    assert again.get_label() == drawn["batch_sizes"].get_label()
    again = figures.pools({"convolution 3×3": 0.2, "maximum 2×2": 0.5}, 1000)
    assert again.get_label() == drawn["pools"].get_label()


def test_titles_follow_the_numbers():
    seeds = np.arange(3, 201)
    assert "takes 10 seeds" in title(figures.seeds_needed(seeds, np.where(seeds < 10, 0.01, 0.001)))
    assert "Not even 200 seeds" in title(figures.seeds_needed(seeds, np.ones(198)))
    assert "64 lies between" in title(figures.batch_sizes({"early": 10.0, "late": 200.0}))
    for scales in ({"early": 100.0, "late": 200.0}, {"early": 10.0, "late": 30.0}):
        assert "64 lies outside" in title(figures.batch_sizes(scales))
    assert "PyTorch's initialisation starts 10 times weaker" in title(
        figures.signal_over_depth(SIGNAL, FORMULA)
    )
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
    flat = np.ones((32, 32))
    dark = np.pad(np.ones((30, 30)), 1)
    assert "counts 0.0% of the centre without padding, 100.0% with it, 50.0% once" in title(
        figures.influence_of_pixels(dark, flat, 0.5 * (dark + flat))
    )
    assert "can see 24 pixels across (dashed); it looks at 18 before and 24 after" in title(
        figures.receptive_fields(
            {"before": flat, "after": flat}, 4, 24, {"before": 18, "after": 24}
        )
    )
    sweep = title(figures.dropout_sweep(SWEEP))
    assert "2.0 nats apart without dropout, with it at least 0.5" in sweep
    assert "75% of the weights into dead channels end below 0.03" in title(
        figures.weights_into_dead_channels(np.array([0.0, 0.01, 0.02, 0.1]))
    )
    close, apart = {"maximum": 0.4, "mean": 0.39}, {"maximum": 0.2, "mean": 0.5}
    assert "“maximum” is 1.0 points above “mean”,\nless than" in title(figures.pools(close, 1000))
    assert "“mean” is 30.0 points above “maximum”,\nmore than" in title(figures.pools(apart, 1000))
    rates = np.logspace(-5, -1, 61)
    breaking = np.where(rates < 1e-2, 2.0, 9.0)
    assert "At 5 times" in title(figures.range_test(rates, breaking, 1e-2))  # smoothed over 9
    falling = np.linspace(2, 1, 61)
    assert "Up to 100 times" in title(figures.range_test(rates, falling, 1e-2))
    spent = {"first": (1, 10), "last": (9, 1)}
    assert "Most parameters: last layer; most work: first" in title(figures.costs_by_layer(spent))

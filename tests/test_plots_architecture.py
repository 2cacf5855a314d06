"""Whether the figures of lesson 08 say their finding, in the title and in words."""

import numpy as np
import pytest

from cifar_keras import measure, models
from cifar_keras import plots_architecture as figures

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


def title(figure):
    return figure.get_suptitle()


@pytest.fixture
def drawn():
    square = np.random.default_rng(0).random((32, 32))
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
        "dropout_sweep": figures.dropout_sweep(SWEEP),
    }


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn):
    again = figures.pools({"convolution 3×3": 0.2, "maximum 2×2": 0.5}, 1000)
    assert again.get_label() == drawn["pools"].get_label()


def test_titles_follow_the_numbers():
    assert "PyTorch's initialisation starts 10 times weaker" in title(
        figures.signal_over_depth(SIGNAL, FORMULA)
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
    close, apart = {"maximum": 0.4, "mean": 0.39}, {"maximum": 0.2, "mean": 0.5}
    assert "“maximum” is 1.0 points above “mean”,\nless than" in title(figures.pools(close, 1000))
    assert "“mean” is 30.0 points above “maximum”,\nmore than" in title(figures.pools(apart, 1000))
    spent = {"first": (1, 10), "last": (9, 1)}
    assert "Most parameters: last layer; most work: first" in title(figures.costs_by_layer(spent))

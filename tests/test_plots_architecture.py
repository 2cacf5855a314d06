"""Whether the figures of lesson 08 say their finding, in the title and in words."""

import numpy as np
import pytest

from cifar_keras import measure, models
from cifar_keras import plots_architecture as figures

FLAT = np.ones((32, 32))


def signal(last, between):
    """Three layers whose activations end at `last`, and their part between images at `between`."""
    activations = np.geomspace(1, last, 3)
    return {
        "activations": activations,
        "predicted activations": 1.1 * activations,
        "between images": np.geomspace(1, between, 3),
        "gradients": activations[::-1] / 1e4,
        "predicted gradients": np.array([1e-4, 2e-4, np.nan]),
    }


def receptive_fields(before, after):
    spread = {"before training": before, "after training": after, "predicted": 4.3}
    maps = {
        when: np.pad(np.ones((24, 24)), (6, 2)) for when in ("before training", "after training")
    }
    return figures.receptive_fields(maps, range(6, 30), np.ones(24) / 24, spread)


def mcnemar(p_value):
    counts = {"maximum 3×3": (104, 96, 0.6), "mean 2×2": (87, 108, p_value)}
    return figures.mcnemar(counts, "maximum 2×2", 0.025)


def toll(with_dropout):
    parts = {"without": (2.0, 0.1), "with": (1.7, with_dropout), "with × s": (2.1, 0.7)}
    return figures.toll(parts)


def maximum(measured):
    ratios = {"pool_2": (measured, 1.41, 1.0), "pool_3": (1.44, 1.43, 1.01)}
    return figures.maximum_after_dropout([1, 4, 2, 1], 0.5, ratios)


def gaps(seen):
    return figures.accuracy_gaps(
        {"without\ndropout": (0.97, 0.55), "dropout,\ninference mode": (seen, 0.57)}
    )


def influence(trained):
    return figures.influence_of_pixels(
        {"counted": FLAT, "measured": 2 * FLAT}, {"counted": 0.18, "measured": trained}
    )


def initialisations(between):
    return figures.signal_over_depth({"He": signal(1, 0.5), "PyTorch": signal(0.01, between)})


@pytest.fixture(scope="module")
def drawn():
    return {
        "influence_of_pixels": influence(0.14),
        "receptive_fields": receptive_fields(4.3, 3.6),
        "mcnemar": mcnemar(0.1),
        "costs_by_layer": figures.costs_by_layer(measure.costs(models.build_fully_connected())),
        "signal_over_depth": initialisations(0.001),
        "toll": toll(2.4),
        "maximum_after_dropout": maximum(1.42),
        "accuracy_gaps": gaps(0.86),
    }


def test_one_panel_is_drawn_as_well():
    maps = {"alone": np.ones((32, 32))}
    assert len(figures.influence_of_pixels(maps, {"alone": 0.2}).axes) == 2  # and its colour bar


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn):
    again = {
        "influence_of_pixels": influence(0.3),
        "receptive_fields": receptive_fields(4.0, 4.6),
        "mcnemar": mcnemar(0.001),
        "signal_over_depth": initialisations(0.1),
        "toll": toll(0.2),
        "maximum_after_dropout": maximum(1.2),
        "accuracy_gaps": gaps(0.7),
    }
    for name, figure in again.items():
        assert figure.get_label() == drawn[name].get_label()
        assert figure.get_suptitle() != drawn[name].get_suptitle(), name


def test_titles_follow_the_numbers(drawn):
    titles = {name: figure.get_suptitle() for name, figure in drawn.items()}
    assert "influence: counted 18% · measured 14%" in titles["influence_of_pixels"]
    assert "shrinks with training: ±4.3 → ±3.6 pixels" in titles["receptive_fields"]
    assert "grows with training" in receptive_fields(3.6, 4.3).get_suptitle()
    assert "None differs from “maximum 2×2”" in titles["mcnemar"]
    assert "mean 2×2 differs from “maximum 2×2”: p below" in mcnemar(0.001).get_suptitle()
    assert "“PyTorch” is 100 times weaker than “He”" in titles["signal_over_depth"]
    assert "differs between images, 500 times" in titles["signal_over_depth"]
    assert "2.40 nats “with”, and 0.70 “with × s”" in titles["toll"]
    title = titles["maximum_after_dropout"]
    assert "4 in inference mode, 5.38 on average in training mode" in title
    assert "give 1.42, 1.44 times" in title
    assert (
        "gap: without dropout 42 points · dropout, inference mode 29 points"
        in titles["accuracy_gaps"]
    )
    spent = {"first": (1, 10), "last": (9, 1)}
    title = figures.costs_by_layer(spent).get_suptitle()
    assert "Most parameters: last layer; most work: first" in title

"""Whether the figures of how sure a result is say their finding, in the title and in words."""

import numpy as np
import pytest

from cifar_keras import plots_statistics as figures

SEEDS = np.arange(3, 201)


@pytest.fixture
def drawn():
    return {"seeds_needed": figures.seeds_needed(SEEDS, 0.05 / SEEDS)}


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn):
    again = figures.seeds_needed(SEEDS, 0.01 / SEEDS)
    assert again.get_label() == drawn["seeds_needed"].get_label()


def test_titles_follow_the_numbers():
    few = figures.seeds_needed(SEEDS, np.where(SEEDS < 10, 0.01, 0.001))
    assert "takes 10 seeds" in few.get_suptitle()
    none = figures.seeds_needed(SEEDS, np.ones(198))
    assert "Not even 200 seeds" in none.get_suptitle()

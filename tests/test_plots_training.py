"""Whether the figures of lesson 09 say their finding, in the title and in words."""

import numpy as np
import pytest

from cifar_keras import plots_training as figures

STEPS = np.array([1.0, 200.0, 7e6])
PARTS = {"none": (STEPS, np.array([0.5, 0.4, 0.1])), "unit": (STEPS, np.array([0.5, 0.5, 0.001]))}
RATES, BOUNDS, LOSSES = [1e-4, 1e-3, 1e-2], [4e-3, 7e-3, 4e-2], [2.0, 1.5, 1.8]


def title(figure):
    return " ".join(figure.get_suptitle().split())


@pytest.fixture(scope="module")
def drawn():
    waves = [3.0, 2.0, 2.5]
    return {
        "valley": figures.valley((10, 1), np.array([[1.0, 4.0], [0.1, 2.0]])),
        "loss_by_eigenvector": figures.loss_by_eigenvector(PARTS),
        "steps_by_scale": figures.steps_by_scale(
            {"gradient descent": {"none": 4000, "unit": 10}, "Adam": {"none": 40, "unit": 20}}
        ),
        "three_rates": figures.three_rates({0.5: np.array([1, 0.5]), 2.5: np.array([1, -1.5])}),
        "descent_at_the_bound": figures.descent_at_the_bound(
            {"below": [2, 1.8, 1.5], "above": [2, 5, 1]}, [0, 1, 2], waves, 2.2
        ),
        "edge_of_stability": figures.edge_of_stability([0, 1, 2], {0.5: waves, 1.0: waves}),
        "bound_over_rate": figures.bound_over_rate(RATES, BOUNDS, LOSSES),
        "noise_scales": figures.noise_scales({1: 200.0, 8: 30.0}),
        "weights_without_gradient": figures.weights_without_gradient(
            {"coupled": [0.05, 0.01, 0.0], "decoupled": [0.05, 0.05, 0.05]}, 1e-3
        ),
        "weights_by_decay": figures.weights_by_decay(
            {"living": np.linspace(0, 1, 11), "dead": np.zeros(5)}, 0.03
        ),
        "decay_sweep": figures.decay_sweep({1e-6: (1.0, 2.0), 1e-2: (1.5, 1.8)}, (0.9, 2.0)),
        "bias_correction": figures.bias_correction(
            [3.0, 6.0, 1.0], {"corrected": [2, 1], "not corrected": [2, 3]}
        ),
        "kernel_sizes": figures.kernel_sizes({"decay": [1.0, 2.0]}, {"decay": [3.0, 5.0]}),
        "as_predicted": figures.as_predicted(
            {4: 0.1, 64: 1.0}, ([4, 64], [0.1, 0.9]), ("batch size", "best rate"), "log"
        ),
        "steepest": figures.steepest({"sum": {"A": 1.0, "B": 0.5}, "entry": {"A": 0.1, "B": 1.0}}),
    }


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_descriptions_hold_no_number_of_this_run(drawn):
    again = figures.noise_scales({1: 20.0, 8: 30.0})
    assert again.get_label() == drawn["noise_scales"].get_label()
    again = figures.bound_over_rate(RATES, LOSSES, BOUNDS)
    assert again.get_label() == drawn["bound_over_rate"].get_label()


def test_titles_follow_the_numbers(drawn):
    said = {name: title(figure) for name, figure in drawn.items()}
    assert "10% of the error across is left, 50% of the error along" in said["valley"]
    assert "7,000,000 steps with “none”, 200 steps with “unit”" in said["loss_by_eigenvector"]
    assert "400 for gradient descent, 2 for Adam" in said["steps_by_scale"]
    assert said["three_rates"] == "With the rate 2.5 / λ the error grows"
    assert (
        "above: the loss rises from 2.00 to 5.00, then falls to 1.00"
        in (said["descent_at_the_bound"])
    )
    assert "ends at 0.6 and 1.2 times 2/η" in said["edge_of_stability"]
    assert (
        (said["bound_over_rate"])
        == "A rate 100 times as large makes the bound 10.0 times as large; lowest loss at 0.001"
    )
    assert "between 30 and 200 images" in said["noise_scales"]
    assert "below 0.001: coupled 3, decoupled never" in said["weights_without_gradient"]
    assert said["weights_by_decay"].endswith("dead 100%")
    assert "1.10 nats without decay, 0.30 at 0.01" in said["decay_sweep"]
    assert "up to 6.0 times as long, in step 2" in said["bias_correction"]
    assert "by 4.0° (decay)" in said["kernel_sizes"]
    assert said["as_predicted"] == "The best rate lies within 12% of the prediction"
    assert said["steepest"] == "Steepest: A by sum, B by entry"


def test_a_rate_with_which_nothing_grows():
    assert "of no panel" in title(figures.three_rates({0.5: np.array([1, 0.5])}))

"""Whether the figures of the fast nets say their finding, in the title and in words."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cifar_keras import claims
from cifar_keras import plots_recipes as figures

PARAMETERS = {
    "large": {"32×32": 100_000, "4×4": 900_000},
    "small": {"32×32": 80_000, "4×4": 20_000},
}
IDLE = {
    "fully_connected": {"convolution_1": (0, 10), "hidden": (10, 80), "logits": (0, 10)},
    "average_pooling": {"convolution_1": (5, 10), "logits": (1, 10)},
}
ACCURACIES = {
    "before": [0.50, 0.52, 0.51, 0.53],
    "+ much": [0.60, 0.63, 0.61, 0.64],
    "+ nothing": [0.61, 0.62, 0.63, 0.62],
}
# Singular values of 1, 0.1, 0.01 and of 1, 0.9, 0.8.
GRADIENT, STEP = (np.diag(sizes)[None, None] for sizes in ([1, 0.1, 0.01], [1, 0.9, 0.8]))
GAINS = {"one net": [1.0, 2.0, 3.0, 2.0], "another": [-1.0, 1.0, 2.0, -2.0]}
REFERENCE, COMPACT = (1_000_000, [0.82]), (125_000, [0.90, 0.91, 0.92])


def title(figure):
    return figure.get_suptitle()


def ladder(accuracies):
    gains = 100 * np.diff(list(accuracies.values()), axis=0)
    return figures.ladder(accuracies, claims.judge_family(gains))


def race(own):
    return figures.race({"reference": [(1, 0.3), (20, 0.5)], "ours": [(1, 0.4), (19, own)]})


@pytest.fixture(scope="module")
def drawn():
    return {
        "parameter_diet": figures.parameter_diet(PARAMETERS),
        "idle_weights": figures.idle_weights(IDLE),
        "schedule": figures.schedule(np.minimum(np.arange(20) / 4, (20 - np.arange(20)) / 16)),
        "directions": figures.directions(GRADIENT, STEP),
        "ladder": ladder(ACCURACIES),
        "race": race(0.7),
        "mean_or_maximum": figures.mean_or_maximum(
            GAINS, {net: claims.judge(gains) for net, gains in GAINS.items()}
        ),
        "accuracy_by_parameters": figures.accuracy_by_parameters(
            {"reference": REFERENCE, "compact": COMPACT}
        ),
    }


def test_every_figure_is_described_labelled_and_legible(drawn, check_figures):
    check_figures(figures, drawn)


def test_titles_follow_the_numbers(drawn):
    assert title(drawn["parameter_diet"]) == "Small has 10% of the parameters of large"
    assert title(drawn["idle_weights"]) == (
        "Training ended with 30% of average pooling's weights at 0"
    )
    first, second = drawn["idle_weights"].axes[0].lines
    assert first.get_xydata().tolist() == [[0, 0], [1, 0.125], [2, 0]]
    np.testing.assert_equal(second.get_ydata(), [0.5, np.nan, 0.1])  # no line through "hidden"
    assert "the gradient goes 10% as far as in the first" in title(drawn["directions"])
    assert "Muon's step 90%" in title(drawn["directions"])
    gradient, _ = drawn["directions"].axes[0].lines
    np.testing.assert_allclose(gradient.get_xydata(), [[1, 1], [2, 0.1], [3, 0.01]])
    assert "From 52% to 62% in 2 changes" in title(drawn["ladder"])
    assert "1 gain, 0 lose, of 1 it cannot be told" in title(drawn["ladder"])
    falling = dict(reversed(ACCURACIES.items()))
    assert "0 gain, 1 lose, of 1 it cannot be told" in title(ladder(falling))
    found = title(drawn["mean_or_maximum"])
    assert "+2.0 points in one net (a gain)" in found
    assert "+0.0 points in another (cannot be told)" in found
    rise = title(figures.schedule(np.array([0.5, 1, 0.5, 0])))
    assert rise == "The rate rises for 2 steps to 1, and ends at 0"
    assert title(race(0.4)) == "Reference has 50% after 20 seconds, ours 40% after 19"
    assert "Compact passes 90% with 12% of the parameters of reference" in title(
        drawn["accuracy_by_parameters"]
    )
    alone = figures.accuracy_by_parameters({"reference": REFERENCE})
    assert title(alone) == "None reaches 90% yet"


def test_the_race_s_description_holds_no_number_of_this_run():
    assert race(0.7).get_label() == race(0.4).get_label()


def test_gains_are_paired_over_the_seeds(drawn):
    texts = [text.get_text() for text in drawn["ladder"].axes[0].texts]
    # Differences of 10, 11, 10, 11 points: s is 0.577, t of three degrees of freedom 3.18.
    assert "+10.5 ± 0.9" in texts and "+0.0 ± 2.9" in texts
    heavy = [
        text.get_text() for text in drawn["ladder"].axes[0].texts if text.get_weight() == "bold"
    ]
    assert heavy == ["+10.5 ± 0.9"]
    lost = ladder(dict(reversed(ACCURACIES.items()))).axes[0].texts
    assert "−10.5 ± 0.9" in [text.get_text() for text in lost]


def test_the_goal_s_line_crosses_no_label():
    nets = {"reference": REFERENCE, "below": (300_000, [0.89]), "at": (150_000, [0.901])}
    figure = figures.accuracy_by_parameters(nets)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axis = figure.axes[0]
    height = axis.transData.transform((1e5, 0.9))[1]
    for label in axis.texts:
        box = label.get_window_extent()
        assert not box.y0 <= height <= box.y1, label.get_text()

"""Whether the figures of notebook 10 say their finding, in the picture and in words."""

import numpy as np
import pytest

from cifar_keras import data, plots_inside, results

NOISE = np.random.default_rng(0)
LABELS = np.arange(200) % 10


def net(sharpness, right):
    """Logits that are `sharpness` for one class, the true one in a share `right` of the images."""
    chosen = np.where(NOISE.random(200) < right, LABELS, (LABELS + 1) % 10)
    return sharpness * np.eye(10)[chosen]


@pytest.fixture(scope="module")
def figures():
    pictures = NOISE.random((5, 32, 32, 3))
    before = {variant: net(20, 0.5) for variant in results.VARIANTS}
    after = {variant: net(2, 0.5) for variant in results.VARIANTS}
    parts = {variant: ((0.1, 2.9), (0.3, 0.9)) for variant in results.VARIANTS}
    curves = {variant: {0: 0.6, 2: 0.5, 4: 0.3} for variant in results.VARIANTS}
    weaker = {variant: {0: 0.6, 1: 0.4, 2: 0.1} for variant in results.VARIANTS}
    maps = NOISE.random((5, 2, 2))
    finer = np.zeros((5, 4, 4))
    finer[:, 1, 1:] = 1
    described = "Five pictures of noise in two rows, with a caption of one word above each."
    points = np.stack([np.where(LABELS < 2, 5.0, 0.0), LABELS], axis=1) + NOISE.random((200, 2))
    six = NOISE.random((4, 4, 6))
    return {
        "confusion": plots_inside.confusion(np.eye(10) * 80 + 2, data.CLASS_NAMES),
        "gallery": plots_inside.gallery(pictures, ["a\nb"] * 5, 3, "Noise, five times", described),
        "reliability": plots_inside.reliability(
            {"as trained": before, "with the temperature of the other half": after}, LABELS
        ),
        "loss_parts": plots_inside.loss_parts(parts, dict.fromkeys(parts, 1.2)),
        "feature_maps": plots_inside.feature_maps(pictures[0], {"one": NOISE.random((4, 4, 9))}),
        "dropout_maps": plots_inside.dropout_maps(pictures[0], six, 2 * six, 0.5),
        "heat_maps": plots_inside.heat_maps(pictures, [("map", maps), ("other\nmap", finer)]),
        "projection": plots_inside.projection(points, LABELS, data.CLASS_NAMES, 0.5),
        "robustness": plots_inside.robustness({"shift": curves, "blur": weaker}, images=100),
    }


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_every_figure_is_described_labelled_and_legible(figures, check_figures):
    check_figures(plots_inside, figures)


def test_confusion_names_the_commonest_mistake():
    matrix = np.eye(10, dtype=int) * 60
    matrix[3, 5], matrix[5, 5] = 40, 10
    figure = plots_inside.confusion(matrix, data.CLASS_NAMES)
    assert "40% of “cat” are called “dog”" in figure.get_suptitle()
    assert "40" in texts(figure.axes[0]) and "60" in texts(figure.axes[0])


def test_confusion_can_be_read_on_every_shade(check_legible):
    shares = np.linspace(0, 100, 26)
    matrix = np.diag(shares) + np.roll(np.diag(100 - shares), 1, axis=1)
    check_legible(plots_inside.confusion(matrix, [f"class {i}" for i in range(26)]))


def test_a_gallery_shows_every_picture_with_its_caption(figures):
    axes = figures["gallery"].axes
    assert [len(axis.images) for axis in axes] == [1, 1, 1, 1, 1, 0]
    assert axes[4].get_title() == "a\nb"


def test_reliability_draws_confidence_against_accuracy_and_tells_the_error(figures):
    before, _, counts, _ = figures["reliability"].axes
    line = before.lines[1]  # behind the diagonal
    [confidence], [accuracy] = line.get_data()
    assert np.isclose(confidence, 1) and 0.35 < accuracy < 0.65
    error = round(100 * (1 - accuracy))
    assert before.get_legend().get_texts()[0].get_text() == f"{error} points"
    assert counts.patches[0].get_data().values.tolist() == [0] * 9 + [200]


def test_one_panel_is_drawn_as_well():
    logits = {variant: net(2, 0.5) for variant in results.VARIANTS}
    assert len(plots_inside.reliability({"raw": logits}, LABELS).axes) == 2
    curves = {variant: {0: 0.6, 2: 0.5} for variant in results.VARIANTS}
    assert len(plots_inside.robustness({"shift": curves}, images=100).axes) == 1


def test_reliability_s_title_follows_the_numbers():
    logits = {"raw": {"fully_connected": net(20, 0.5)}, "fair": {"fully_connected": 0 * net(1, 1)}}
    figure = plots_inside.reliability(logits, LABELS)
    errors = [axis.get_legend().get_texts()[0].get_text().split()[0] for axis in figure.axes[:2]]
    assert errors[1] == "0"
    expected = f"{errors[0]} to {errors[0]} points raw, 0 to 0 points fair"
    assert figure.get_suptitle() == f"Calibration error: {expected}"


def test_loss_parts_name_the_net_that_gains_most():
    parts = {variant: ((0.1, 2.9), (0.3, 0.9)) for variant in results.VARIANTS}
    parts["average_pooling"] = ((1.0, 3.0), (0.5, 0.5))
    title = plots_inside.loss_parts(parts, dict.fromkeys(parts, 1.2)).get_suptitle()
    assert "takes average pooling from 4.00 to 1.00 nats;\nthe lowest" in title
    assert title.endswith("was 1.20")


def test_feature_maps_tell_their_sizes():
    maps = {"first": np.ones((16, 16, 9)), "last": np.ones((4, 4, 9))}
    title = plots_inside.feature_maps(np.zeros((32, 32, 3), "uint8"), maps).get_suptitle()
    assert "from an image of 32×32 pixels to maps of 4×4" in title


def test_loss_parts_add_up(figures):
    axis = figures["loss_parts"].axes[0]
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert np.allclose(ends, [0.1, 3.0, 0.3, 1.2] * 3)
    assert texts(axis)[:2] == [" 3.00 as trained", " 1.20 with temperature"]
    assert np.allclose(axis.lines[0].get_xdata(), 1.2)


def test_feature_maps_are_the_most_active_ones():
    maps = np.ones((2, 2, 10)) * np.arange(10)
    figure = plots_inside.feature_maps(np.zeros((32, 32, 3), "uint8"), {"one": maps})
    shown = [axis.images[0].get_array().max() for axis in figure.axes[1:]]
    assert shown == [9, 8, 7, 6, 5, 4, 3, 2]


def test_dropout_maps_count_what_is_dropped():
    before, after = np.ones((2, 2, 6)), np.full((2, 2, 6), 1.25)
    after[0, 0] = 0
    image = np.full((32, 32, 3), 0.5)
    figure = plots_inside.dropout_maps(image, before, after, 0.2)
    title = figure.get_suptitle()
    assert "sets 25% of the activations above 0 to 0 and multiplies the others by 1.25" in title
    photograph, *maps, bar = figure.axes
    assert np.array_equal(photograph.images[0].get_array(), image)
    assert {axis.images[0].get_clim() for axis in maps} == {(0, 1.25)}, "one scale for all maps"
    assert bar.get_ylabel() == "activation"


def test_heat_maps_cover_their_image(figures):
    axis = figures["heat_maps"].axes[1]
    image, heat = axis.images
    assert tuple(image.get_extent()) == tuple(heat.get_extent()) == (-0.5, 31.5, 31.5, -0.5)
    assert figures["heat_maps"].get_suptitle().endswith("of 4 or 2 to 2 of 16 cells")


@pytest.mark.parametrize("turned", [1, -1])
def test_projection_names_classes_on_the_side_where_they_lie(turned):
    animal = np.isin(LABELS, [2, 3, 4, 5, 6, 7])
    points = np.stack([turned * np.where(animal, -1.0, 1.0), np.zeros(200)], axis=1)
    points[:2, 0] *= -1  # one of a vehicle, one of an animal: LABELS 0 and 1 are both vehicles
    figure = plots_inside.projection(points, LABELS, data.CLASS_NAMES, 0.5)
    assert "tells vehicles from animals in 99%" in figure.get_suptitle()
    axis = figure.axes[0]
    places = {text.get_text(): text.xyann[0] > 0.5 for text in axis.texts}
    assert places == {name: animal[i] != (turned == 1) for i, name in enumerate(data.CLASS_NAMES)}


def test_robustness_names_the_costliest(figures):
    title = figures["robustness"].get_suptitle()
    assert title == (
        "At full strength blur leaves 10% of 100 images right, shift 30% (mean of the nets)"
    )
    labels = [axis.get_xlabel() for axis in figures["robustness"].axes]
    assert labels == ["strength (pixels)"] * 2


def test_robustness_draws_wilson_s_intervals(figures):
    _, bars = figures["robustness"].axes[0].containers[0][1:]
    ends = bars[0].get_segments()[0][:, 1]
    # 60 of 100: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96.
    np.testing.assert_allclose(ends, [0.502, 0.691], atol=0.001)

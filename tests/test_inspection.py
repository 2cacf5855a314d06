"""Whether the looks inside a net agree with closed forms, and odd input is refused."""

import io
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image, ImageOps, WebPImagePlugin
from scipy import special

from cifar_keras import data, inspection, models, training
from cifar_keras.errors import UserError

LABELS = np.array([0, 1])


@pytest.fixture(scope="module")
def images():
    return data.normalize(data.load_sample()[1][0][:3])


@pytest.fixture(scope="module")
def pooled():
    keras.utils.set_random_seed(0)
    model = training.compile_model(models.build_average_pooling())
    kernel = np.random.default_rng(0).normal(size=(256, 10))
    model.get_layer("logits").set_weights([kernel, np.arange(10.0)])
    return model


def calibrated(n=200_000, classes=3):
    """Logits, and labels that are drawn by the very probabilities which these logits give."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2, size=(n, classes))
    cumulative = special.softmax(logits, axis=1).cumsum(axis=1)
    return logits, (generator.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)


class TestCalibration:
    def test_cross_entropy_is_minus_the_logarithm_of_the_true_probability(self):
        logits = np.log([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]) + 100
        assert np.allclose(inspection.cross_entropies(logits, LABELS), -np.log([0.7, 0.25]))

    def test_reliability_counts_bin_by_bin(self):
        # Confidences 0.7 (right), 0.7 (wrong) and 0.9 (right) in bins of a quarter.
        logits = np.log([[0.7, 0.3], [0.7, 0.3], [0.1, 0.9]])
        images, confidence, accuracy = inspection.reliability(logits, np.array([0, 1, 1]), bins=4)
        assert images.tolist() == [0, 0, 2, 1]
        assert np.allclose(confidence[2:], [0.7, 0.9]) and np.isnan(confidence[:2]).all()
        assert np.allclose(accuracy[2:], [0.5, 1])

    def test_full_confidence_falls_into_the_last_bin(self):
        images, _, _ = inspection.reliability(np.array([[1000.0, 0.0]]), np.array([0]))
        assert len(images) == 10 and images[-1] == 1

    def test_calibration_error_is_the_weighted_distance(self):
        logits = np.log([[0.7, 0.3], [0.7, 0.3], [0.1, 0.9]])
        error = inspection.calibration_error(logits, np.array([0, 1, 1]), bins=4)
        assert np.isclose(error, (2 * 0.2 + 1 * 0.1) / 3)

    def test_a_calibrated_net_has_no_error_and_temperature_1(self):
        logits, labels = calibrated()
        assert inspection.calibration_error(logits, labels) < 0.005
        assert np.isclose(inspection.temperature(logits, labels), 1, atol=0.02)

    @pytest.mark.parametrize("known", [0.3, 5.0])
    def test_a_known_temperature_is_recovered(self, known):
        logits, labels = calibrated()
        assert np.isclose(inspection.temperature(known * logits, labels), known, rtol=0.02)
        assert inspection.calibration_error(known * logits, labels) > 0.05

    def test_a_temperature_that_does_not_exist_is_refused(self):
        for logits in (np.eye(2), -np.eye(2), np.array([[1, 0], [1, 0]])):
            with pytest.raises(UserError, match="all of them right, or knows nothing"):
                inspection.temperature(logits, LABELS)

    @pytest.mark.parametrize(
        ("logits", "labels", "message"),
        [
            (np.empty((0, 10)), np.empty(0, int), "at least one image"),
            (np.ones((2, 10)), np.zeros((2, 1), int), "at least one image"),
            (np.ones(2), LABELS, "at least one image"),
            (np.ones((2, 10)), np.array([0, 10]), "0..9"),
            (np.ones((2, 10)), np.array([-1, 0]), "0..9"),
            (np.ones((2, 10)), np.array([0.0, 1.0]), "integers"),
            (np.full((2, 10), np.nan), LABELS, "not a finite number"),
        ],
    )
    @pytest.mark.parametrize("measure", ["cross_entropies", "reliability", "temperature"])
    def test_odd_input_is_refused(self, measure, logits, labels, message):
        with pytest.raises(UserError, match=message):
            getattr(inspection, measure)(logits, labels)


class TestMaps:
    def test_activations_are_what_the_layers_compute(self, pooled, images):
        found = inspection.activations(pooled, images, ["convolution_1", "logits"])
        first = keras.ops.convert_to_numpy(pooled.get_layer("convolution_1")(images))
        assert np.allclose(found["convolution_1"], first, atol=1e-5)
        assert np.allclose(found["logits"], pooled.predict(images, verbose=0), atol=1e-4)

    def test_activations_are_those_at_test_time(self, images):
        model = models.build_average_pooling_dropout()
        found = inspection.activations(model, images, ["convolution_4", "dropout_4"])
        assert np.array_equal(found["convolution_4"], found["dropout_4"])

    def test_activations_take_any_number_of_images(self, pooled, images):
        found = inspection.activations(pooled, images[np.zeros(501, int)], ["average"])["average"]
        assert found.shape == (501, 256)
        assert np.allclose(found[0], found[-1], atol=1e-5)

    def test_a_class_activation_map_averages_to_its_logit(self, pooled, images):
        maps = inspection.class_activation_maps(pooled, images)
        assert maps.shape == (3, 2, 2, 10)
        logits = pooled.predict(images, verbose=0)
        assert np.allclose(maps.mean(axis=(1, 2)) + np.arange(10), logits, atol=1e-4)

    def test_grad_cam_at_the_last_pool_is_the_positive_map_over_its_positions(self, pooled, images):
        classes = np.array([3, 1, 4])
        maps = inspection.class_activation_maps(pooled, images)[np.arange(3), :, :, classes]
        found = inspection.grad_cam(pooled, images, classes, "pool_4")
        assert (maps > 0).any() and (maps < 0).any()
        assert np.allclose(found, np.maximum(maps, 0) / 4, atol=1e-6)

    def test_grad_cam_weighs_channels_by_their_mean_derivative(self, images):
        # Behind a flattening, each position has a weight of its own.
        inputs = keras.Input((32, 32, 3))
        features = layers.Conv2D(2, 16, strides=16, name="features")(inputs)
        model = keras.Model(inputs, layers.Dense(4, name="logits")(layers.Flatten()(features)))
        kernel = model.get_layer("logits").get_weights()[0].reshape(2, 2, 2, 4)
        maps = inspection.activations(model, images, ["features"])["features"]
        expected = np.maximum(0, maps @ kernel[..., 2].mean(axis=(0, 1)))
        found = inspection.grad_cam(model, images, [2, 2, 2], "features")
        assert expected.any()
        assert np.allclose(found, expected, atol=1e-5)

    def test_grad_cam_takes_labels_as_they_are_loaded(self, pooled, images):
        flat, loaded = (
            inspection.grad_cam(pooled, images, labels, "pool_4")
            for labels in (np.array([3, 1, 4]), np.array([[3], [1], [4]]))
        )
        np.testing.assert_array_equal(flat, loaded)

    def test_grad_cam_takes_a_net_that_was_never_called(self, images):
        built = models.build_fully_connected()
        found = inspection.grad_cam(built, images, [3, 1, 4], "convolution_5")
        assert found.shape == (3, 8, 8)

    def test_grad_cam_leaves_dropout_out(self, images):
        model = models.build_average_pooling_dropout()
        once, again = (
            inspection.grad_cam(model, images, LABELS[[0, 0, 1]], "pool_1") for _ in "ab"
        )
        assert np.array_equal(once, again)

    def test_nets_without_the_layers_are_refused(self, pooled, images):
        with pytest.raises(UserError, match="use grad_cam"):
            inspection.class_activation_maps(models.build_fully_connected(), images)
        with pytest.raises(UserError, match="use grad_cam"):
            inspection.class_activation_maps(models.build_average_pooling(classifier=False), images)
        pooled_then_relu = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                layers.Conv2D(2, 3),
                layers.GlobalAveragePooling2D(),
                layers.Dense(10, activation="relu"),
            ]
        )
        with pytest.raises(UserError, match="use grad_cam"):
            inspection.class_activation_maps(pooled_then_relu, images)
        with pytest.raises(UserError, match="no layer 'pool_5'; choose one of: .*pool_4"):
            inspection.activations(pooled, images, ["pool_5"])
        with pytest.raises(UserError, match="no feature map"):
            inspection.grad_cam(pooled, images, [0, 0, 0], "average")
        with pytest.raises(UserError, match="at least one"):
            inspection.activations(pooled, images[:0], ["pool_4"])


class TestPerturbations:
    pixels = np.random.default_rng(0).integers(60, 200, (4, 32, 32, 3)).astype("uint8")

    @pytest.mark.parametrize("kind", inspection.PERTURBATIONS)
    def test_strength_0_changes_nothing_and_more_changes_more(self, kind):
        assert np.array_equal(inspection.perturb(self.pixels, kind, 0), self.pixels)
        weak, strong = (
            np.abs(inspection.perturb(self.pixels, kind, s).astype(float) - self.pixels).mean()
            for s in (1, 30)
        )
        assert weak > 0 and (kind == "shift" or weak < strong)

    def test_a_shift_moves_right_and_down_and_repeats_the_edge(self):
        shifted = inspection.perturb(self.pixels, "shift", 2)
        assert np.array_equal(shifted[:, 2:, 2:], self.pixels[:, :-2, :-2])
        assert np.array_equal(shifted[:, 2:, 0], self.pixels[:, :-2, 0])

    def test_noise_has_its_standard_deviation_and_is_the_same_again(self):
        grey = np.full((10, 32, 32, 3), 128, "uint8")
        noisy = inspection.perturb(grey, "noise", 10)
        assert np.isclose(noisy.std(), 10, rtol=0.02) and np.isclose(noisy.mean(), 128, atol=0.2)
        assert np.array_equal(noisy, inspection.perturb(grey, "noise", 10))

    def test_a_blur_spreads_a_point_and_keeps_channels_and_images_apart(self):
        point = np.zeros((2, 31, 31, 3), "uint8")
        point[0, 15, 15, 1] = 250
        blurred = inspection.perturb(point, "blur", 1)
        assert np.isclose(blurred[0, 15, 15, 1], 250 / (2 * np.pi), atol=1)
        assert not blurred[1].any() and not blurred[..., [0, 2]].any()

    def test_brightness_is_added_and_cut_off(self):
        assert np.array_equal(inspection.perturb(self.pixels, "brightness", 5), self.pixels + 5)
        assert (inspection.perturb(self.pixels, "brightness", 255) == 255).all()
        assert (inspection.perturb(self.pixels, "brightness", -255) == 0).all()

    def test_other_kinds_and_dtypes_are_refused(self):
        with pytest.raises(UserError, match="no perturbation 'fog'"):
            inspection.perturb(self.pixels, "fog", 1)
        with pytest.raises(UserError, match="uint8"):
            inspection.perturb(self.pixels / 255, "blur", 1)


def corners(picture):
    """The colours near the four corners, row by row."""
    return [tuple(int(v) for v in picture[0, y, x]) for y in (3, 28) for x in (3, 28)]


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def quarters():
    """A picture of 120×80 pixels whose central square has a colour in each quarter."""
    picture = Image.new("RGB", (120, 80), "yellow")
    for color, place in ((RED, (20, 0)), (GREEN, (60, 0)), (BLUE, (20, 40)), (WHITE, (60, 40))):
        picture.paste(color, (*place, place[0] + 40, place[1] + 40))
    return picture


def saved(picture, kind="png", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return io.BytesIO(file.getvalue())


CLEAR = Path("/proc/self/clear_refs")
READS = """
import sys
from pathlib import Path
from cifar_keras import errors, inspection

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(name + ":"))

for path in sys.argv[1:]:
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    try:
        red = inspection.load_picture(path)[0, 0, 0]
        said = "red" if red[0] > 250 and red[1] < 5 else f"is {red}"
    except errors.UserError as error:
        said = str(error)
    print(status("VmHWM") - before, said)
"""


class TestPictures:
    def test_the_central_square_is_taken(self, quarters, tmp_path):
        quarters.save(tmp_path / "picture.png")
        for source in (tmp_path / "picture.png", str(tmp_path / "picture.png"), saved(quarters)):
            picture = inspection.load_picture(source)
            assert picture.shape == (1, 32, 32, 3) and picture.dtype == np.uint8
            assert corners(picture) == [RED, GREEN, BLUE, WHITE]

    def test_it_is_turned_upright_as_its_exif_says(self, quarters):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise by 90 degrees
        turned = saved(quarters.rotate(90, expand=True), exif=exif)
        assert corners(inspection.load_picture(turned)) == [RED, GREEN, BLUE, WHITE]

    @pytest.mark.parametrize("kind", ["png", "gif", "tiff", "webp", "bmp"])
    def test_formats(self, quarters, kind):
        options = {"lossless": True} if kind == "webp" else {}
        picture = inspection.load_picture(saved(quarters, kind, **options))
        assert corners(picture) == [RED, GREEN, BLUE, WHITE]

    def test_palette(self, quarters):
        palette = quarters.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
        assert corners(inspection.load_picture(saved(palette))) == [RED, GREEN, BLUE, WHITE]

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_what_is_transparent_becomes_white(self, mode):
        assert (inspection.load_picture(saved(Image.new(mode, (40, 40), 0))) == 255).all()

    def test_transparent_colour_of_a_palette_becomes_white(self, quarters):
        palette = Image.new("P", (40, 40), 0)
        palette.putpalette([*RED, *GREEN])
        palette.paste(1, (0, 0, 20, 40))
        picture = inspection.load_picture(saved(palette, transparency=0))
        assert corners(picture) == [GREEN, WHITE, GREEN, WHITE]

    @pytest.mark.parametrize(("mode", "value"), [("L", 100), ("1", 1), ("I;16", 100 * 257)])
    def test_grey_modes(self, mode, value):
        grey = Image.new(mode, (50, 40), value)
        assert np.unique(inspection.load_picture(saved(grey))).tolist() == [
            100 if value > 1 else 255
        ]

    def test_cmyk(self):
        picture = inspection.load_picture(saved(Image.new("CMYK", (50, 40)), "tiff"))
        assert (picture == 255).all()

    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2)])
    def test_any_size(self, size):
        assert inspection.load_picture(saved(Image.new("RGB", size))).shape == (1, 32, 32, 3)

    def test_files_that_are_no_pictures_are_refused(self, quarters, tmp_path):
        (tmp_path / "letter.png").write_text("Dear reader")
        whole = saved(quarters.resize((400, 400))).getvalue()
        (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
        floats = saved(Image.new("F", (40, 40)), "tiff")
        for source, message in (
            (tmp_path / "absent.png", r"there is no file .*absent\.png; check"),
            (tmp_path / "letter.png", r"letter\.png is no picture .* PNG or JPEG"),
            (tmp_path / "cut.png", r"cut\.png cannot be read \(OSError\)"),
            (tmp_path, "is no file of a picture"),
            (io.BytesIO(b""), "the file is no picture"),
            (floats, "floating-point"),
        ):
            with pytest.raises(UserError, match=message) as refused:
                inspection.load_picture(source)
            assert "\n" not in str(refused.value)

    def test_pictures_with_too_many_pixels_are_refused(self, quarters, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(UserError, match="too many pixels"):
            inspection.load_picture(saved(quarters))

    def test_arrays_and_pillow_images(self, quarters):
        pixels = np.asarray(quarters)
        red = [RED, GREEN, BLUE, WHITE]
        for source in (quarters, pixels, pixels.astype("int64"), pixels / 255, pixels.tolist()):
            assert corners(inspection.load_picture(source)) == red
        assert corners(inspection.load_picture(np.repeat(pixels, 100, axis=1))) == red
        assert (inspection.load_picture(np.full((40, 50), 100, np.uint8)) == 100).all()
        assert (inspection.load_picture(np.zeros((40, 40, 4))) == 255).all(), "transparent"

    @pytest.mark.parametrize(
        ("pixels", "message"),
        [
            (np.zeros((3, 32, 32)), r"shape \(3, 32, 32\) .* channels last"),
            (np.zeros((2, 32, 32, 3)), "shape"),
            (np.zeros((0, 32, 3)), "shape"),
            (np.zeros((32, 32), bool), "of bool"),
            (np.array("a letter"), "shape"),
            (np.full((32, 32, 3), 256), "from 256 to 256"),
            (np.full((32, 32, 3), -0.1), "floats in 0..1"),
            (np.full((32, 32, 3), np.nan), "from nan"),
        ],
    )
    def test_arrays_of_no_picture_are_refused(self, pixels, message):
        with pytest.raises(UserError, match=message) as refused:
            inspection.load_picture(pixels)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("size", [(1501, 1203), (701, 2400)])
    @pytest.mark.parametrize("kind", ["jpeg", "png"])
    def test_large_pictures_look_as_if_shrunk_at_once(self, kind, size):
        photograph = Image.fromarray(data.load_sample()[1][0][0]).resize(size)
        picture = inspection.load_picture(saved(photograph, kind)).astype(int)
        assert np.abs(picture - np.asarray(ImageOps.fit(photograph, (32, 32)))).max() < 8

    def test_an_eps_that_is_called_png_starts_no_program(self, tmp_path, monkeypatch):
        drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
        (tmp_path / "picture.png").write_bytes(drawing)
        ghostscript = tmp_path / "gs"
        ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
        ghostscript.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(UserError, match="is no picture"):
            inspection.load_picture(tmp_path / "picture.png")
        assert not (tmp_path / "started").exists()

    def test_a_pillow_without_webp_says_so(self, quarters, monkeypatch):
        picture = saved(quarters, "webp")
        monkeypatch.setattr(WebPImagePlugin, "SUPPORTED", False)
        with pytest.raises(UserError, match="WEBP support not installed.*; save it as PNG"):
            inspection.load_picture(picture)

    @pytest.mark.skipif(not CLEAR.exists(), reason="peak memory can be reset on Linux alone")
    def test_memory_is_bounded(self, tmp_path):
        """A process of its own reads each file; it may not need 300 MB more than it had."""
        large = Image.new("RGB", (11600, 8700), "red")  # 101 megapixels
        large.save(tmp_path / "photograph.jpg")
        large.crop((0, 0, 7000, 6100)).save(tmp_path / "progressive.jpg", progressive=True)
        Image.new("1", large.size).save(tmp_path / "large.png")
        large.crop((0, 0, 8000, 7000)).save(tmp_path / "smaller.png", compress_level=1)
        large.crop((0, 0, 4000, 3500)).save(tmp_path / "smaller.webp", method=0)
        large.crop((0, 0, 4000, 3700)).save(tmp_path / "large.webp", method=0)
        del large
        run = subprocess.run(
            [sys.executable, "-c", READS, *sorted(map(str, tmp_path.iterdir()))],
            capture_output=True,
            text=True,
            check=True,
        )
        told = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
        assert all(float(megabytes) < 300 for megabytes, _ in told), told
        words = [word for _, word in told]
        refused = [word.split(";")[0].split("/")[-1] for word in words if word != "red"]
        assert refused == [
            "large.png has 101 megapixels, too many for its format",
            "large.webp has 15 megapixels, too many for its format",
            "progressive.jpg has 43 megapixels, too many for its format",
        ]
        assert len(words) == 6

"""The embedded sample, the checks of what comes in, and normalisation."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from cifar_keras import data, results, sources
from cifar_keras.errors import UserError


@pytest.fixture(scope="module")
def sample():
    return data.load_sample()


@pytest.fixture(scope="module")
def full_cifar10():
    found = sources.find()  # verified against the true hashes
    if found is None:
        pytest.skip("no copy of the full CIFAR-10 here: python -m cifar_keras data fetch")
    return found[0]


@pytest.fixture
def sample_copy(tmp_path, monkeypatch):
    """A copy of the sample's folder, which a test may damage."""
    folder = tmp_path / "sample"
    shutil.copytree(data.SAMPLE_FOLDER, folder)
    monkeypatch.setattr(data, "SAMPLE_FOLDER", folder)
    return folder


def test_sample_has_the_form_that_keras_returns(sample):
    for (images, labels), count in zip(sample, (5000, 1000), strict=True):
        assert images.shape == (count, 32, 32, 3) and images.dtype == np.uint8
        assert labels.shape == (count, 1) and labels.dtype == np.uint8
        assert images.flags.writeable and labels.flags.writeable
        assert np.bincount(labels[:, 0]).tolist() == [count // 10] * 10


def test_sample_tail_holds_every_class(sample):
    # Keras' validation_split takes the tail.
    (_, labels), _ = sample
    assert len(np.unique(labels[-500:])) == 10


def test_sample_indices_ascend_in_the_original_order():
    for part in ("train", "test"):
        table = np.loadtxt(data.SAMPLE_FOLDER / f"{part}.csv", dtype=int, delimiter=",", skiprows=1)
        assert (np.diff(table[:, 0]) > 0).all()


def test_data_card_states_the_true_hashes(sample):
    card = (data.SAMPLE_FOLDER / "README.md").read_text(encoding="utf-8")
    for array in (*sample[0], *sample[1]):
        assert data.array_hash(array) in card


def test_sample_is_part_of_the_full_set(sample, full_cifar10):
    for part, (images, labels) in zip(("train", "test"), sample, strict=True):
        all_labels = full_cifar10[f"y_{part}"]
        first = [np.flatnonzero(all_labels == c)[: len(images) // 10] for c in range(10)]
        indices = np.sort(np.concatenate(first))
        assert np.array_equal(images, full_cifar10[f"x_{part}"][indices])
        assert np.array_equal(labels[:, 0], all_labels[indices])


def test_all_test_labels_are_those_of_the_recorded_runs():
    labels = data.load_labels("full")
    assert labels.dtype == np.uint8
    [*_, recorded] = results.Run.of(results.RESULTS / "full", "average_pooling", 0).record[
        "data_sha256"
    ]
    assert data.array_hash(labels) == recorded


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def change_one_pixel(path):
    with data.Image.open(path) as sheet:
        pixels = np.array(sheet)
    pixels[400, 400, 0] ^= 1
    data.Image.fromarray(pixels).save(path, lossless=True, method=0)


def shrink(path):
    with data.Image.open(path) as sheet:
        sheet.crop((0, 0, 1279, 800)).save(path, lossless=True, method=0)


def postscript(path):
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1280 800\nshowpage\n")


def png(path):
    with data.Image.open(path) as sheet:
        pixels = sheet.convert("RGB")
    pixels.save(path, "PNG")


@pytest.mark.parametrize("damage", [truncate, empty, change_one_pixel, shrink, postscript, png])
def test_damaged_sheet_is_named(sample_copy, damage):
    damage(sample_copy / "train-3.webp")
    with pytest.raises(UserError, match=r"train-3\.webp .*reinstall"):
        data.load_sample()


def test_a_sheet_with_more_pixels_is_not_decoded(sample_copy, monkeypatch):
    data.Image.new("RGB", (2560, 1600)).save(sample_copy / "train-3.webp", method=0)
    monkeypatch.setattr(data.Image.Image, "load", lambda self: pytest.fail("it is decoded"))
    with pytest.raises(UserError, match=r"train-3\.webp cannot be read \(ValueError\)"):
        data._read_sample_file("train-3.webp")


def test_a_pillow_without_webp_is_named():
    code = (
        "import sys; sys.modules['PIL._webp'] = None\n"
        "from cifar_keras import data; data.load_sample()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UserError: this Pillow cannot read WebP" in run.stderr


@pytest.mark.parametrize("name", ["test-1.webp", "test.csv"])
def test_only_regular_files_of_the_sample_are_opened(sample_copy, name):
    (sample_copy / name).unlink()
    os.mkfifo(sample_copy / name)
    code = (
        "import pathlib, sys; from cifar_keras import data\n"
        "data.SAMPLE_FOLDER = pathlib.Path(sys.argv[1]); data.load_sample()"
    )
    command = [sys.executable, "-c", code, str(sample_copy)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert f"{name} is missing; reinstall" in run.stderr


def test_a_long_file_in_the_samples_place_is_not_read(sample_copy):
    with (sample_copy / "train.csv").open("w") as file:
        file.write("index,label\n" + "0,0\n" * 1_000_000)
    with pytest.raises(UserError, match=r"train\.csv cannot be read \(ValueError\)"):
        data.load_sample()


@pytest.mark.parametrize("name", ["train-5.webp", "test-1.webp", "train.csv", "test.csv"])
def test_missing_file_is_named(sample_copy, name):
    (sample_copy / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing; reinstall"):
        data.load_sample()


def change_one_label(path):
    text = path.read_text()
    path.write_text(text[:-2] + ("0" if text[-2] != "0" else "1") + "\n")


def add_a_word(path):
    path.write_text(path.read_text() + "9999,cat\n")


@pytest.mark.parametrize("damage", [truncate, change_one_label, add_a_word])
def test_damaged_table_is_named(sample_copy, damage):
    damage(sample_copy / "test.csv")
    with pytest.raises(UserError, match=r"test\.csv .*reinstall"):
        data.load_sample()


def test_load_data_chooses_by_name_then_by_environment(monkeypatch):
    monkeypatch.setattr(data, "load_sample", lambda: "the sample")
    monkeypatch.setattr(data, "load_cifar10", lambda: "the full set")
    monkeypatch.delenv("CIFAR_KERAS_DATA", raising=False)
    assert data.load_data() == "the sample"
    assert data.load_data("full") == "the full set"
    monkeypatch.setenv("CIFAR_KERAS_DATA", "full")
    assert data.load_data() == "the full set"
    assert data.load_data("sample") == "the sample"
    monkeypatch.setenv("CIFAR_KERAS_DATA", "fulll")
    with pytest.raises(UserError, match="'fulll'; use one of: sample, sample-held-out, full"):
        data.load_data()


def test_hashes_of_what_is_held_out_are_known_without_images(monkeypatch, full_cifar10):
    monkeypatch.setattr(sources, "load", lambda: (full_cifar10, "here"))
    of_images = [data.array_hash(each) for part in data.load_held_out() for each in part]
    monkeypatch.setattr(sources, "load", lambda: pytest.fail("the images were loaded"))
    assert data.known_hashes("held-out") == of_images


def test_load_cifar10_has_the_form_that_keras_returns(monkeypatch):
    arrays = {
        "x_train": np.zeros((10, 32, 32, 3), np.uint8),
        "y_train": np.arange(10, dtype=np.uint8),
        "x_test": np.ones((2, 32, 32, 3), np.uint8),
        "y_test": np.array([3, 4], np.uint8),
    }
    monkeypatch.setattr(data.sources, "load", lambda: (arrays, "somewhere"))
    (x_train, y_train), (x_test, y_test) = data.load_cifar10()
    assert x_train is arrays["x_train"] and x_test is arrays["x_test"]
    assert y_train.shape == (10, 1) and y_train.dtype == np.uint8
    assert y_test.tolist() == [[3], [4]]


@st.composite
def shifts(draw):
    """Images, and for each of them how far it is moved, up to further than it is wide."""
    number, height, width, channels = (draw(st.integers(1, 6)) for _ in range(4))
    dtype = draw(st.sampled_from([np.uint8, np.float32]))
    pixels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, 6**4)
    pixels = pixels[: number * height * width * channels]
    images = pixels.reshape(number, height, width, channels).astype(dtype)
    pixel = st.integers(-8, 8)
    kind = draw(st.sampled_from([np.int8, np.int64]))
    rows, columns = (
        np.array(draw(st.lists(pixel, min_size=number, max_size=number)), kind) for _ in range(2)
    )
    return images, rows, columns


@given(shifts())
def test_shift_is_a_slice_of_each_image_padded_by_reflection(arguments):
    images, rows, columns = arguments
    before = images.copy()
    moved = data.shift(images, rows, columns)
    assert moved.shape == images.shape and moved.dtype == images.dtype
    assert np.array_equal(images, before)
    height, width = images.shape[1:3]
    for image, result, row, column in zip(images, moved, rows, columns, strict=True):
        padded = np.pad(image, ((9, 9), (9, 9), (0, 0)), mode="reflect")
        window = padded[9 - row : 9 - row + height, 9 - column : 9 - column + width]
        assert np.array_equal(result, window)


@given(shifts())
def test_a_shift_by_zero_changes_nothing(arguments):
    images, rows, columns = arguments
    moved = data.shift(images, 0 * rows, 0 * columns)
    assert np.array_equal(moved, images) and not np.shares_memory(moved, images)


def test_shift_takes_small_integers_far(ramp):
    far = np.array([-100], np.int8)
    moved = data.shift(ramp, far.astype(int), far.astype(int))
    assert np.array_equal(data.shift(ramp, far, far), moved)


def test_shift_refuses_another_number_of_shifts_than_images(ramp):
    images = np.concatenate([ramp, ramp])
    with pytest.raises(ValueError, match="shorter"):
        data.shift(images, np.array([1]), np.array([1]))


def test_shift_of_no_images_is_none():
    images, none = np.empty((0, 32, 32, 3), np.uint8), np.empty(0, int)
    assert data.shift(images, none, none).shape == images.shape


def test_array_hash_is_sha256_of_the_bytes_in_c_order():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    known = "17e88db187afd62c16e5debf3e6527cd006bc012bc90b51a810cd80c2d511f43"
    assert data.array_hash(array) == known
    assert data.array_hash(np.asfortranarray(array)) == known


@pytest.fixture
def ramp():
    """Every pixel value in every channel: (1, 16, 16, 3)."""
    return np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), 3, axis=-1)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("symmetric", -1, 1),
        ("unit", 0, 1),
        ("none", 0, 255),
        (
            "standardized",
            [-0.4914 / 0.2470, -0.4822 / 0.2435, -0.4465 / 0.2616],
            [0.5086 / 0.2470, 0.5178 / 0.2435, 0.5535 / 0.2616],
        ),
    ],
)
def test_normalize_maps_the_range_linearly(ramp, method, low, high):
    before = ramp.copy()
    result = data.normalize(ramp, method)
    assert result.dtype == np.float32 and result.shape == ramp.shape
    expected = np.linspace(np.broadcast_to(low, 3), np.broadcast_to(high, 3), 256)
    np.testing.assert_allclose(result.reshape(256, 3), expected, atol=2e-6 * np.max(high))
    assert np.array_equal(ramp, before), "the images that were passed in changed"


def test_normalize_is_symmetric_by_default(ramp):
    assert np.array_equal(data.normalize(ramp), data.normalize(ramp, "symmetric"))


def test_channel_statistics_fit_the_sample(sample):
    # 5,000 of the 50,000 images the constants were measured on: close, not equal.
    pixels = sample[0][0] / 255
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), data.CHANNEL_MEAN, atol=0.004)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), data.CHANNEL_STD, atol=0.003)


def test_channel_statistics_are_the_full_sets(full_cifar10):
    images = full_cifar10["x_train"]
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(3)])
    share, value = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = share @ value
    np.testing.assert_array_equal(mean.round(4), data.CHANNEL_MEAN)
    np.testing.assert_array_equal(np.sqrt(share @ value**2 - mean**2).round(4), data.CHANNEL_STD)


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (np.zeros((2, 32, 32, 3), np.float32), "leave normalize out"),
        (np.zeros((2, 32, 32, 3), np.int64), "got int64"),
        (np.zeros((2, 32, 32, 3), bool), "got bool"),
        (np.zeros((32, 32, 3), np.uint8), r"image\[np.newaxis\]"),
        (np.zeros((2, 3, 32, 32), np.uint8), "transpose channels"),
        (np.zeros((2, 32, 32, 1), np.uint8), r"got \(2, 32, 32, 1\)"),
        (np.zeros((2, 3072), np.uint8), r"got \(2, 3072\)"),
    ],
)
def test_normalize_refuses_what_is_no_raw_image(images, advice):
    with pytest.raises(UserError, match=advice):
        data.normalize(images)


def test_normalize_refuses_its_own_output(ramp):
    with pytest.raises(UserError, match="scaled already"):
        data.normalize(data.normalize(ramp, "unit"))


def test_normalize_refuses_an_unknown_method(ramp):
    with pytest.raises(UserError, match="'standardised'; use one of: symmetric"):
        data.normalize(ramp, "standardised")


@pytest.mark.parametrize(
    "labels",
    [[0, 9], np.array([[0], [9]], np.uint8), np.array([0, 9], np.int64), np.zeros(0, int)],
)
def test_check_labels_returns_class_numbers_as_an_array(labels):
    checked = data.check_labels(labels)
    assert isinstance(checked, np.ndarray) and np.array_equal(checked, labels)


@pytest.mark.parametrize(
    ("labels", "num_classes", "advice"),
    [
        ([0, 10], 10, r"in 0\.\.9, got 0\.\.10"),
        ([0, 2], 2, r"in 0\.\.1, got 0\.\.2"),
        ([-1, 3], 10, r"got -1\.\.3"),
        ([0.0, 1.0], 10, "integers, got float64"),
        ([True, False], 10, "integers, got bool"),
        (np.eye(10, dtype=int), 10, r"argmax\(axis=1\)"),
        (np.eye(10), 10, r"argmax\(axis=1\)"),
        (np.eye(10, dtype="float32").tolist(), 10, r"argmax\(axis=1\)"),
        (["cat", "dog"], 10, r"CLASS_NAMES.index\('cat'\)"),
        ([[1], [2, 3]], 10, "one class number an image"),
        (np.zeros((2, 1, 1), int), 10, r"got \(2, 1, 1\)"),
        (np.int64(3), 10, r"got \(\)"),
    ],
)
def test_check_labels_refuses_the_rest(labels, num_classes, advice):
    with pytest.raises(UserError, match=advice):
        data.check_labels(labels, num_classes)


def test_data_code_imports_no_deep_learning_library():
    code = "import sys, cifar_keras.data; print({'keras', 'tensorflow', 'jax'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_held_out_images_are_training_images(monkeypatch):
    numbers = np.arange(50_000, dtype="uint16")
    parts = (numbers, numbers[:, None]), (numbers[:10_000] + 1, numbers[:10_000])
    monkeypatch.setattr(data, "load_cifar10", lambda: parts)
    (x, y), (x_validation, y_validation) = data.load_data("held-out")
    assert np.array_equal(np.concatenate([x, x_validation]), numbers)
    assert np.array_equal(np.concatenate([y, y_validation])[:, 0], numbers)
    assert len(x_validation) == 5000


def test_labels_are_those_beside_the_images(monkeypatch):
    _, (images, labels) = data.load_sample()
    monkeypatch.setattr(data.Image, "open", lambda *_, **__: pytest.fail("an image is decoded"))
    assert np.array_equal(data.load_labels("sample"), labels.ravel())


def test_the_sample_s_held_out_images_are_the_lessons_validation_images():
    (images, labels), _ = data.load_sample()
    (x, y), (x_validation, y_validation) = data.load_data("sample-held-out")
    parts = train_test_split(images, labels, test_size=1000, stratify=labels, random_state=0)
    assert all(map(np.array_equal, (x, x_validation, y, y_validation), parts))
    assert np.array_equal(np.bincount(y_validation.ravel()), [100] * 10)
    both = np.concatenate([x, x_validation])
    assert {image.tobytes() for image in both} == {image.tobytes() for image in images}
    assert np.array_equal(data.load_labels("sample-held-out"), y_validation.ravel())

"""Pixels: the embedded sample, the full CIFAR-10, their checks and their normalisation.

CIFAR-10: 60,000 colour photographs of 32×32 pixels in ten classes. A. Krizhevsky, "Learning
multiple layers of features from tiny images", 2009. What the sample holds and under which terms
is told in `_sample/README.md`; where the full set comes from, in `sources.py`.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, features

from cifar_keras import sources
from cifar_keras.errors import UserError
from cifar_keras.sources import array_hash

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

# Of the 50,000 training images, red, green, blue, with pixels in [0, 1].
CHANNEL_MEAN = (0.4914, 0.4822, 0.4465)
CHANNEL_STD = (0.2470, 0.2435, 0.2616)

# What `load_data` knows.
NAMES = ("sample", "sample-held-out", "full", "held-out")
# What `normalize` knows.
NORMALIZATIONS = ("symmetric", "standardized", "unit", "none")

# Training images that `load_held_out` keeps for choosing between recipes.
HELD_OUT = 5000
# SHA-256 of the four arrays of data sets that are not embedded.
KNOWN_HASHES = {
    "full": tuple(sources.HASHES.values()),
    "held-out": (
        "7944cb8350d8fe13e5d7cf81c887e6bb29bbd0568b8e17e54818911a98157a3c",
        "20732609e7660651933b4abf751829043be4711ced2f01552d9a2bffea96cce4",
        "b0c63b26b82cb07676b937c64ecaf10acbd6015732fd15ffd83a53ae9877d74e",
        "da32b32f6bce06928e9d52c034734127bba271458495920a6096e604dbcbe795",
    ),
}

SAMPLE_FOLDER = Path(__file__).with_name("_sample")
TILE_ROWS, TILE_COLUMNS = 25, 40  # of a contact sheet
MAX_SAMPLE_FILE = 2_000_000  # bytes: the largest has 1.7 MB

# SHA-256 of what each file decodes to: images uint8 (1000, 32, 32, 3), tables uint16.
# Printed by tools/make_sample.py.
SAMPLE_HASHES = {
    "train.csv": "336d4025bdf57cc73d686c4ece049044fd871688dfaf012f2bf35039d3216d4a",
    "train-1.webp": "133c5674fd1c56ceeeb944ddcdc368da2593ce5b67acfa216ab83f98a084f388",
    "train-2.webp": "6973df93ec3d5e57e88fe16f583593449aa4d8de31883eec77606438608a65b6",
    "train-3.webp": "b88d9034ca3846ff9357eee4263630977e5ae6784da5b33be4fa5a3814b54262",
    "train-4.webp": "da59de85f19324394b79e38da5c3ba714420843f14784c0e8d00ae43b03af7b7",
    "train-5.webp": "e670a8e5c61059bd9cd41caf267b4aee870346ed27186f90e2d74515974ccef5",
    "test.csv": "5b07036c1c395595d65806362f2a9c56b808eb140fcf3c2c7379b46f40a4c263",
    "test-1.webp": "cc2bd4479eda140793858a9ea7f9016e6870fefd7f69f172720267e933ec44a5",
    "all-test-labels.csv": "0777b4d8d34036efebed9da06220dbfe33d5f06a32a55d7e609dc42fe510775f",
}

# What keras.datasets.cifar10.load_data() returns.
Dataset = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_sample() -> Dataset:
    """The embedded sample: 5,000 training and 1,000 test images, balanced, in original order.

    Returns:
        ((x_train, y_train), (x_test, y_test)), as keras.datasets.cifar10.load_data() does:
        images uint8 (n, 32, 32, 3) in 0..255, labels uint8 (n, 1) in 0..9.

    Raises:
        UserError: a file of the sample is missing or damaged.
    """
    return _load_part("train", 5), _load_part("test", 1)


def _load_part(part: str, sheets: int) -> tuple[np.ndarray, np.ndarray]:
    images = [_read_sample_file(f"{part}-{i}.webp") for i in range(1, sheets + 1)]
    return np.concatenate(images), _load_labels(part)


def _load_labels(part: str) -> np.ndarray:
    return _read_sample_file(f"{part}.csv")[:, 1:].astype(np.uint8)


def _read_sample_file(name: str) -> np.ndarray:
    path = SAMPLE_FOLDER / name
    if path.suffix == ".webp" and not features.check("webp"):
        raise UserError(
            "this Pillow cannot read WebP, in which the sample is kept: "
            "install it with `pip install --force-reinstall --only-binary :all: pillow`"
        )
    try:
        decoded = _decode_sample_file(path) if path.is_file() else None
        if decoded is not None and array_hash(decoded) == SAMPLE_HASHES[name]:
            return decoded
        problem = "is missing" if decoded is None else "is damaged"
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        problem = f"cannot be read ({type(error).__name__})"
    raise UserError(f"{path} {problem}; reinstall the package to restore it")


def _decode_sample_file(path: Path) -> np.ndarray:
    """The file's numbers; of a file that is too large for the sample, ValueError."""
    if path.stat().st_size > MAX_SAMPLE_FILE:
        raise ValueError("too many bytes")
    if path.suffix == ".csv":
        return np.loadtxt(path, dtype="<u2", delimiter=",", skiprows=1, ndmin=2)
    with Image.open(path, formats=["WEBP"]) as sheet:
        if sheet.size != (TILE_COLUMNS * 32, TILE_ROWS * 32):
            raise ValueError("too many pixels, or too few")
        pixels = np.asarray(sheet.convert("RGB"))
    grid = pixels.reshape(TILE_ROWS, 32, TILE_COLUMNS, 32, 3).swapaxes(1, 2)
    return grid.reshape(-1, 32, 32, 3)


def load_cifar10() -> Dataset:
    """The full CIFAR-10: 50,000 training and 10,000 test images, verified, downloaded if need be.

    Looks at $CIFAR10_PATH (file or folder; wins or fails), then in Keras' data directory
    ($KERAS_HOME or ~/.keras), then downloads: see `sources.load`.

    Returns:
        ((x_train, y_train), (x_test, y_test)), as keras.datasets.cifar10.load_data() does:
        images uint8 (n, 32, 32, 3) in 0..255, labels uint8 (n, 1) in 0..9.

    Raises:
        UserError: as `sources.load` does.
    """
    arrays, _ = sources.load()
    return (
        (arrays["x_train"], arrays["y_train"][:, np.newaxis]),
        (arrays["x_test"], arrays["y_test"][:, np.newaxis]),
    )


def load_held_out() -> Dataset:
    """What choices are made on: the full set's training images alone, split.

    Returns:
        ((x_train, y_train), (x_validation, y_validation)), the first 45,000 training images and
        the last 5,000, as `load_cifar10()` returns its two parts. The test images are not in it.

    Raises:
        UserError: as `sources.load` does.
    """
    (images, labels), _ = load_cifar10()
    return (images[:-HELD_OUT], labels[:-HELD_OUT]), (images[-HELD_OUT:], labels[-HELD_OUT:])


def load_sample_held_out() -> Dataset:
    """What the lessons choose on: the sample's training images alone, split as they split them.

    Returns:
        ((x_train, y_train), (x_validation, y_validation)), 4,000 and 1,000 training images with as
        many of each class, as `load_sample()` returns its two parts. No test image is in it.

    Raises:
        UserError: a file of the sample is missing or damaged.
    """
    from sklearn.model_selection import train_test_split  # takes a second to import

    (images, labels), _ = load_sample()
    x_train, x_validation, y_train, y_validation = train_test_split(
        images, labels, test_size=1000, stratify=labels, random_state=0
    )
    return (x_train, y_train), (x_validation, y_validation)


def load_data(name: str | None = None) -> Dataset:
    """What the loader of that name gives: `load_cifar10()` for "full", for others `load_NAME()`.

    Args:
        name: one of `NAMES`, or None for what $CIFAR_KERAS_DATA says ("sample" if unset).

    Raises:
        UserError: another name; or as the functions do.
    """
    name = name or os.environ.get("CIFAR_KERAS_DATA") or "sample"
    loaders = {
        "sample": load_sample,
        "sample-held-out": load_sample_held_out,
        "full": load_cifar10,
        "held-out": load_held_out,
    }
    if name not in NAMES:
        raise UserError(f"unknown data set {name!r}; use one of: {', '.join(NAMES)}")
    return loaders[name]()


def known_hashes(name: str) -> list[str]:
    """SHA-256 of the four arrays of `load_data(name)`, in order.

    "full" and "held-out" need no images for it.

    Raises:
        UserError: as `load_data` does.
    """
    if name in KNOWN_HASHES:
        return list(KNOWN_HASHES[name])
    return [array_hash(array) for part in load_data(name) for array in part]


def load_labels(name: str) -> np.ndarray | None:
    """The labels of the second part of `load_data(name)`, uint8 (n,); None if no file has them.

    Raises:
        UserError: a file of the sample is missing or damaged; otherwise as `load_data` does.
    """
    if name == "held-out":
        return None
    if name == "full":
        # Of all 10,000: recorded predictions can be judged where the images are not at hand.
        return _read_sample_file("all-test-labels.csv").astype(np.uint8).ravel()
    # Those of the sample without its images, which take half a second to decode.
    return (_load_labels("test") if name == "sample" else load_data(name)[1][1]).ravel()


def normalize(images: np.ndarray, method: str = "symmetric") -> np.ndarray:
    """Pixels 0..255 → the numbers that a network is fed.

    Args:
        images: uint8, (n, height, width, 3).
        method: "symmetric", (x / 255 - 0.5) / 0.5, in [-1, 1], the reference project's;
            "standardized", (x / 255 - CHANNEL_MEAN) / CHANNEL_STD, mean 0 and standard deviation
            1 per channel over the training images; "unit", x / 255, in [0, 1]; "none", 0..255.

    Returns:
        float32, of the same shape.

    Raises:
        UserError: other dtypes (float images were scaled before, and would be scaled twice),
            other shapes, unknown methods.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise UserError(
            f"normalize takes uint8 pixels in 0..255, got {images.dtype}: pass the images as "
            "loaded; if they are scaled already, leave normalize out"
        )
    if images.ndim != 4 or images.shape[-1] != 3:
        raise UserError(
            f"normalize takes images of shape (n, height, width, 3), got {images.shape}: "
            "use image[np.newaxis] for a single one, transpose channels to the end"
        )
    if method not in NORMALIZATIONS:
        raise UserError(f"unknown method {method!r}; use one of: {', '.join(NORMALIZATIONS)}")
    result = images.astype(np.float32)  # changed in place below: the full set takes 614 MB
    if method != "none":
        result /= 255
    if method == "symmetric":
        result -= 0.5
        result /= 0.5
    elif method == "standardized":
        result -= np.array(CHANNEL_MEAN, np.float32)
        result /= np.array(CHANNEL_STD, np.float32)
    return result


def shift(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Moves each image by its own number of pixels; what comes in at an edge mirrors the image.

    Args:
        images: (n, height, width, channels), any dtype.
        rows, columns: integers (n,), pixels down and to the right; negative: up, to the left.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: not as many rows or columns as images.
    """
    height, width = images.shape[1:3]
    rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
    margin = int(max(np.abs(rows).max(initial=0), np.abs(columns).max(initial=0)))
    sides = (margin, margin)
    padded = np.pad(images, ((0, 0), sides, sides, (0, 0)), mode="reflect") if margin else images
    moved = np.empty_like(images)
    # Slices are copied in whole rows; one gather of all windows takes longer.
    corners = zip(moved, padded, margin - rows, margin - columns, strict=True)
    for image, wider, top, left in corners:
        image[:] = wider[top : top + height, left : left + width]
    return moved


def check_labels(labels: ArrayLike, num_classes: int = 10) -> np.ndarray:
    """Check that labels are class numbers.

    Args:
        labels: integers, (n,) or (n, 1); an array or a list.
        num_classes: how many classes there are.

    Returns:
        The labels as an array, otherwise as they are.

    Raises:
        UserError: other dtypes or shapes, or a label outside 0..num_classes - 1.
    """
    try:
        labels = np.asarray(labels)
    except ValueError as error:
        raise UserError("labels must be one class number an image, got uneven lists") from error
    if labels.ndim != 1 and labels.shape[1:] != (1,):  # before the dtype: one-hot is often float
        raise UserError(
            f"labels must have the shape (n,) or (n, 1), got {labels.shape}: "
            "turn one-hot labels into class numbers with labels.argmax(axis=1)"
        )
    if labels.dtype.kind not in "iu":
        advice = "np.asarray(labels).astype('uint8')"
        if labels.dtype.kind not in "fb":
            advice = "class numbers, as CLASS_NAMES.index('cat') is one"
        raise UserError(f"labels must be integers, got {labels.dtype}: use {advice}")
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise UserError(
            f"labels must be in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}: "
            "correct them, or raise num_classes"
        )
    return labels

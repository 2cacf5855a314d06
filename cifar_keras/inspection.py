"""What a trained net does: how sure it is, where it looks, what disturbs it, your own picture."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cifar_keras.environment import keras

import numpy as np
from keras import layers, ops
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from scipy import ndimage, optimize, special

from cifar_keras import measure
from cifar_keras.errors import UserError

# What disturbs an image, and the unit of its strength.
PERTURBATIONS = {
    "shift": "pixels",
    "noise": "grey values",
    "blur": "pixels",
    "brightness": "grey values",
}
TEMPERATURES = (1e-3, 1e3)
# What a file may be, and the bytes that decoding takes for a pixel at most (measured, Pillow 13).
# Other formats of Pillow's stay out: EPS, for one, is drawn by a program of its own.
FORMATS = {
    "AVIF": 10,
    "BMP": 4,
    "GIF": 4,
    "JPEG": 4,
    "MPO": 4,  # a JPEG with more than one picture
    "PNG": 4,
    "PPM": 4,
    "TIFF": 8,
    "WEBP": 17,
}
MOST_MEMORY = 250e6  # bytes
SHORTER_SIDE = 256  # pixels that are left of a large picture before it is shrunk to 32


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each image, -log softmax(logits)[label], in nats.

    Args:
        logits: finite floats (n, classes). labels: integers (n,) in 0..classes - 1.

    Returns:
        float (n,), at least 0.

    Raises:
        UserError: no images, other shapes, or a logit that is not a finite number.
    """
    logits, labels = _check(logits, labels)
    return -special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def reliability(
    logits: np.ndarray, labels: np.ndarray, bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence against accuracy, bin by bin (Guo et al. 2017, arXiv 1706.04599).

    The confidence of an image is the largest softmax probability; the bins divide [0, 1] evenly.

    Args:
        logits, labels: as in `cross_entropies`. bins: how many.

    Returns:
        (images, confidence, accuracy), each float (bins,): how many images fall into each bin,
        their mean confidence and their accuracy in [0, 1], NaN where there are none.

    Raises:
        UserError: as `cross_entropies` does.
    """
    logits, labels = _check(logits, labels)
    confidence = special.softmax(logits, axis=1).max(axis=1)
    right = logits.argmax(axis=1) == labels
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    images, sure, correct = (
        np.bincount(number, weights, bins) for weights in (np.ones(len(labels)), confidence, right)
    )
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        return images, sure / images, correct / images


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """The expected calibration error in [0, 1] (Guo et al. 2017, arXiv 1706.04599, equation 3).

    The mean of |confidence - accuracy| over the bins of `reliability`, weighted by their images.

    Args, Raises: as `reliability`.
    """
    images, confidence, accuracy = reliability(logits, labels, bins)
    return float(np.nansum(images * np.abs(confidence - accuracy)) / images.sum())


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 for which logits / T have the lowest mean cross-entropy (Guo et al. 2017).

    Args:
        logits, labels: as in `cross_entropies`, of images that the net was not trained on, and
            other ones than those that are reported.

    Returns:
        T, dimensionless, within `TEMPERATURES`; above 1 the net is overconfident, below 1
        underconfident.

    Raises:
        UserError: as `cross_entropies` does, or there is no lowest loss.
    """
    logits, labels = _check(logits, labels)
    true = logits[np.arange(len(labels)), labels]
    # The loss is convex in 1 / T. It falls at 1 / T = 0 if the true logits are above the mean, and
    # rises at last if any of them is not the largest: then there is one minimum, else none.
    if (true - logits.mean(axis=1)).sum() <= 0 or (true == logits.max(axis=1)).all():
        raise UserError(
            "no temperature fits these images: the net has all of them right, or knows nothing; "
            "give more of them"
        )
    found = optimize.minimize_scalar(
        lambda log: cross_entropies(logits / np.exp(log), labels).mean(),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def activations(
    model: keras.Model, images: np.ndarray, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """What layers put out for images.

    Args:
        model: a Keras model, built. images: float32 (n, height, width, channels), normalised.
        names: names of layers.

    Returns:
        `{name: float32 (n, ...)}`.

    Raises:
        UserError: no images, or the model has no layer of that name.
    """
    if len(images) == 0:
        raise UserError("there are no images; give at least one")
    inside = keras.Model(model.inputs[0], {name: _layer(model, name).output for name in names})
    batches = [  # called, not predicted with, which would compile a model that is used once
        inside(images[start : start + 500], training=False) for start in range(0, len(images), 500)
    ]
    return {
        name: np.concatenate([ops.convert_to_numpy(batch[name]) for batch in batches])
        for name in names
    }


def class_activation_maps(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Where each class's logit comes from: class activation maps (Zhou et al. 2016, 1512.04150).

    Exact: the mean of a map over its positions, plus the bias of its class, is the logit.

    Args:
        model: a net that ends in global average pooling and one linear dense layer.
        images: as in `activations`.

    Returns:
        float32 (n, height, width, classes), with the height and width of the last feature map.

    Raises:
        UserError: no images, or a net that ends in other layers.
    """
    average, classifier = model.layers[-2:]
    if not (
        isinstance(average, layers.GlobalAveragePooling2D)
        and isinstance(classifier, layers.Dense)
        and classifier.activation is keras.activations.linear
    ):
        raise UserError(
            f"{model.name} does not end in average pooling and a classifier, which class "
            "activation maps need; use grad_cam"
        )
    before = model.layers[-3].name
    return activations(model, images, [before])[before] @ ops.convert_to_numpy(classifier.kernel)


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray, name: str) -> np.ndarray:
    """Where in a layer the logit of a class comes from, to first order (arXiv 1610.02391).

    Grad-CAM, R. Selvaraju et al. 2017: the layer's channels, weighted by the mean over positions
    of the logit's derivative with respect to them, added up, negative sums set to 0.

    Args:
        model: images in, logits out. images: as in `activations`.
        classes: integers (n,) or (n, 1), the class that is asked about for each image.
        name: name of a convolution or pooling layer.

    Returns:
        float32 (n, height, width), at least 0, with the height and width of the layer's output.

    Raises:
        UserError: no images, no such layer, or one whose output is no feature map.
    """
    layer = _layer(model, name)
    if len(layer.output.shape) != 4:
        raise UserError(f"layer {name} puts out no feature map; name a convolution or a pool")
    rest = keras.Model(layer.output, model.outputs[0])
    chosen = ops.one_hot(np.ravel(classes), model.output_shape[-1])

    def logit_sum(points):
        logits = rest(points[0], training=False)
        return ops.sum(logits * chosen)  # one image's logit does not depend on another image

    features = ops.convert_to_tensor(activations(model, images, [name])[name])
    (slope,) = measure.gradient(logit_sum, [features])
    weights = ops.mean(slope, axis=(1, 2), keepdims=True)
    return ops.convert_to_numpy(ops.relu(ops.sum(weights * features, axis=-1)))


def perturb(images: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Images, disturbed; the disturbances of Hendrycks & Dietterich (2019, arXiv 1903.12261).

    Args:
        images: uint8 (n, height, width, channels).
        kind: "shift", right and down by `strength` whole pixels, the edge repeated; "noise",
            Gaussian with that standard deviation, the same at every call; "blur", Gaussian with
            that standard deviation in pixels; "brightness", that much added.
        strength: in pixels for "shift" and "blur", otherwise in steps of the 256 grey values; 0
            changes nothing.

    Returns:
        uint8 of the same shape; values beyond 0..255 are cut off.

    Raises:
        UserError: another kind, or another dtype.
    """
    if images.dtype != np.uint8:
        raise UserError(f"perturb takes uint8 pixels in 0..255, got {images.dtype}")
    pixels = images.astype(np.float32)
    if kind == "shift":
        pixels = ndimage.shift(pixels, (0, strength, strength, 0), order=0, mode="nearest")
    elif kind == "noise":
        pixels += strength * np.random.default_rng(0).standard_normal(pixels.shape, np.float32)
    elif kind == "blur":
        pixels = ndimage.gaussian_filter(pixels, (0, strength, strength, 0))
    elif kind == "brightness":
        pixels += strength
    else:
        known = ", ".join(PERTURBATIONS)
        raise UserError(f"there is no perturbation {kind!r}; choose one of: {known}")
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def load_picture(source: Path | str | BinaryIO | Image.Image | np.ndarray) -> np.ndarray:
    """A picture of your own as the nets take it: upright, its central square, 32×32, in colour.

    Any size and mode; turned as its EXIF data say, transparency on white, of an animation the
    first frame. It takes less than 300 MB of memory: a JPEG of 100 megapixels is shrunk while it
    is decoded, and what cannot be read within that is refused.

    Args:
        source: a path or an open binary file, in one of `FORMATS`; a Pillow image; or an array
            (height, width), or with 3 or 4 channels last, of integers in 0..255 or floats in 0..1.

    Returns:
        uint8 (1, 32, 32, 3).

    Raises:
        UserError: there is no such file, or it is no picture, damaged, or too large; or an array
            of another shape or other values.
    """
    if isinstance(source, Image.Image):
        small = _small(source)
    elif isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        small = _read_small(source)
    else:
        small = _small(_from_array(np.asarray(source)))
    on_white = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return np.asarray(ImageOps.fit(on_white.convert("RGB"), (32, 32)))[np.newaxis]


def _read_small(source):
    """The picture in a file, as `_small` leaves it."""
    name = "the file" if hasattr(source, "read") else source
    if name is source and os.path.exists(source) and not os.path.isfile(source):
        raise UserError(f"{name} is no file of a picture; name one")
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]  # as far as this Pillow knows them
    with warnings.catch_warnings(record=True) as said:  # what Pillow lacks, and many pixels
        warnings.simplefilter("always")
        try:
            with Image.open(source, formats=formats) as picture:
                pixels = picture.width * picture.height
                picture.draft(None, (SHORTER_SIDE, SHORTER_SIDE))  # a JPEG; others stay as they are
                memory = FORMATS[str(picture.format)] * picture.width * picture.height
                if picture.info.get("progressive"):  # all its coefficients come before any pixel
                    memory += 6 * pixels
                if memory > MOST_MEMORY:
                    raise UserError(
                        f"{name} has {pixels / 1e6:.0f} megapixels, too many for its format; make "
                        "it smaller, or save it as a JPEG that is not progressive"
                    )
                return _small(picture)
        except UserError:
            raise
        except FileNotFoundError as error:
            raise UserError(f"there is no file {name}; check the name and the folder") from error
        except UnidentifiedImageError as error:
            why = "".join(f" ({warning.message})" for warning in said[-1:])
            raise UserError(
                f"{name} is no picture that Pillow can read{why}; save it as PNG or JPEG"
            ) from error
        except Image.DecompressionBombError as error:
            raise UserError(f"{name} has too many pixels; make it smaller") from error
        except Exception as error:  # damaged bytes make the decoders raise nearly anything
            raise UserError(
                f"{name} cannot be read ({type(error).__name__}); save the picture again"
            ) from error


def _from_array(pixels):
    """A Pillow image of an array of pixels."""
    most = 1 if pixels.dtype.kind == "f" else 255
    shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if not (shaped and pixels.size and pixels.dtype.kind in "iuf"):
        raise UserError(
            f"the array has the shape {pixels.shape} of {pixels.dtype}; give integers or floats "
            "(height, width), or with 3 or 4 channels last"
        )
    step = max(1, min(pixels.shape[:2]) // 1024)
    pixels = pixels[::step, ::step]
    if not (pixels.min() >= 0 and pixels.max() <= most):
        raise UserError(
            f"the pixels go from {pixels.min():g} to {pixels.max():g}; give integers in 0..255 or "
            "floats in 0..1"
        )
    return Image.fromarray(np.rint(pixels * (255 / most)).astype(np.uint8))


def _small(picture):
    """The central square of a picture, upright, in RGBA, reduced strip by strip if it is large."""
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    right, bottom = picture.width - left, picture.height - top
    factor = max(1, side // SHORTER_SIDE)
    small = Image.new("RGBA", (-(-(right - left) // factor), -(-(bottom - top) // factor)))
    for row in range(0, small.height, 8):
        start = top + row * factor
        strip = picture.crop((left, start, right, min(start + 8 * factor, bottom)))
        small.paste(_to_eight_bits(strip).convert("RGBA").reduce(factor), (0, row))
    small.getexif()[ExifTags.Base.Orientation] = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(small)


def _to_eight_bits(picture):
    """Pillow cuts 16-bit greys off at 255 where it should divide them."""
    if picture.mode == "F":
        raise UserError("the picture holds floating-point numbers; save it as PNG or JPEG")
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    return picture


def _layer(model, name):
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise UserError(f"{model.name} has no layer {name!r}; choose one of: {', '.join(names)}")
    return model.get_layer(name)


def _check(logits, labels):
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not labels.size:
        raise UserError(
            f"logits have the shape {logits.shape}, labels {labels.shape}: give (n, classes) and "
            "(n,), of at least one image"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise UserError(f"labels must be integers in 0..{logits.shape[1] - 1}; correct them")
    if not np.isfinite(logits).all():
        raise UserError("a logit is not a finite number; the net is broken, train it again")
    return logits, labels

"""The whitened net: a family of its own, made to learn more from less computation."""

import math
from collections.abc import Sequence

from cifar_keras.environment import keras

import numpy as np
from keras import layers

from cifar_keras.errors import UserError, check_flag, check_share
from cifar_keras.layers import BatchNormalization, kernel_initializer, silu

SIDE = 32  # of an image, in pixels
PATCH = 2  # side of the patches that are taken apart, in pixels
# Of a stage: more do not fit into a computer's memory, or an hour's patience.
MOST_FILTERS, MOST_DEPTH = 4096, 64
# What a map of many positions becomes: one number.
POOLINGS = {"maximum": layers.GlobalMaxPooling2D, "mean": layers.GlobalAveragePooling2D}


def build_whitened(
    widths: Sequence[int] = (32, 64, 64),
    depths: Sequence[int] | None = None,
    residual: bool = False,
    shared: bool = False,
    activation: str = "relu",
    momentum: float = 0.6,
    initialization: str = "dirac",
    whitening: bool = True,
    normalized: bool = True,
    pooling: str = "maximum",
    divisor: float = 9.0,
) -> keras.Model:
    """A net that learns quickly: whitened patches, some convolutions a stage, max over positions.

    The first convolution is frozen; `whiten` sets it from the training images. Each stage is a
    3x3 convolution, a 2x2 max-pool, batch normalisation without scale and the activation, then
    the same without the pool until it has as many convolutions as it is deep. Each channel's
    largest value, or its mean, goes to the classifier, whose logits are divided by a number. After
    Page, "How to train your ResNet" (2019), and Jordan, arXiv 2404.00498, whose activation is GELU,
    which costs a CPU more.

    Args:
        widths: filters of the convolutions, stage by stage; up to 4 stages, 5 without whitening.
        depths: convolutions of each stage; None: two.
        residual: after a stage's first convolution, add to what every two give what went into
            them (He et al., arXiv 1512.03385); an odd one at the end is a pair of its own.
        shared: a stage's convolutions from the second on are one, used again and again: one
            kernel, each time with a batch normalisation of its own (LruNet, arXiv 1901.09615).
        activation: "relu" or "silu".
        momentum: of batch normalisation's running moments, in [0, 1). 0.6 is airbench's, with
            batches four times as large as ours and more; from small batches, 0.9 is less noisy.
        initialization: "dirac" lets every convolution hand its input channels on unchanged, as
            far as it has filters, and draws the other filters as "pytorch" does;
            "pytorch" and "keras" as in `build_fully_connected`.
        whitening: False leaves the frozen convolution and its activation out.
        normalized: False gives the convolutions biases in place of batch normalisation.
        pooling: what each channel hands to the classifier, its "maximum" or its "mean".
        divisor: what the logits are divided by, above 0; 9 is airbench's (arXiv 2404.00498).

    Returns:
        A Keras model, float32 images (n, 32, 32, 3) to logits (n, 10); 146,112 trainable
        parameters at the defaults.

    Raises:
        UserError: an argument is outside the ranges above.
    """
    flags = {"residual": residual, "shared": shared, "whitening": whitening}
    for name, flag in {**flags, "normalized": normalized}.items():
        check_flag(name, flag)
    side = SIDE - (PATCH - 1 if whitening else 0)
    if not _are_counts(widths, MOST_FILTERS) or not widths or side >> len(widths) < 1:
        raise UserError(
            f"widths is {widths!r}: give whole numbers from 1 to {MOST_FILTERS}, one for each "
            "stage, and no more stages than the image can be halved"
        )
    depths = [2] * len(widths) if depths is None else depths
    if not _are_counts(depths, MOST_DEPTH) or len(depths) != len(widths):
        raise UserError(
            f"depths is {depths!r}: give whole numbers from 1 to {MOST_DEPTH}, one for each of "
            f"{len(widths)} widths"
        )
    if activation not in ("relu", "silu"):
        raise UserError(f"there is no activation {activation!r}; choose 'relu' or 'silu'")
    if pooling not in list(POOLINGS):
        raise UserError(f"there is no pooling {pooling!r}; choose one of: {', '.join(POOLINGS)}")
    if type(divisor) not in (int, float) or not 0 < divisor < math.inf:
        raise UserError(f"divisor is {divisor!r}: give a number above 0")
    check_share("momentum", momentum, "the running moments that stays")
    function = silu if activation == "silu" else activation
    x = inputs = keras.Input((SIDE, SIDE, 3), name="image")
    channels = 3
    if whitening:
        channels *= 2 * PATCH**2
        x = layers.Conv2D(channels, PATCH, use_bias=False, trainable=False, name="whitening")(x)
        x = layers.Activation(function, name=f"{activation}_0")(x)
    number = sums = 0
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for place in range(depth):
            number += 1
            if place < 2 or not shared:
                convolution = layers.Conv2D(
                    width,
                    3,
                    padding="same",
                    use_bias=not normalized,  # which takes the mean off and adds its own
                    name=f"convolution_{number}",
                    kernel_initializer=kernel_initializer(initialization, 3 * 3 * channels),
                )
            x = convolution(x)
            if place == 0:
                x = layers.MaxPooling2D(2, strides=2, name=f"pool_{stage}")(x)
            if normalized:
                x = BatchNormalization(
                    momentum=momentum, epsilon=1e-5, scale=False, name=f"normalization_{number}"
                )(x)
            x = layers.Activation(function, name=f"{activation}_{number}")(x)
            channels = width
            if place == 0:
                start = x
            elif residual and (place % 2 == 0 or place == depth - 1):
                sums += 1
                x = start = layers.Add(name=f"sum_{sums}")([start, x])
    x = POOLINGS[pooling](name=pooling)(x)
    # float32 whatever the policy: the loss takes logarithms of differences between logits.
    x = layers.Dense(10, use_bias=False, dtype="float32", name="classifier")(x)
    return keras.Model(
        inputs, layers.Rescaling(1 / divisor, dtype="float32", name="logits")(x), name="whitened"
    )


def whiten(model: keras.Model, images: np.ndarray) -> None:
    """Sets the frozen first convolution of a whitened net from training images.

    Its filters are the principal components of the images' patches, divided by the root of their
    mean square (plus 5e-4), so that the outputs over all patches are nearly uncorrelated, with a
    mean square near 1; and the negatives of these filters, since the activation that follows keeps
    one sign only (Page 2019; arXiv 2404.00498, section 3.2). Other models stay as they are.

    Args:
        images: float32 (n, height, width, channels), normalised; 5,000 are used at most.
    """
    if "whitening" not in [layer.name for layer in model.layers]:
        return
    patches = np.lib.stride_tricks.sliding_window_view(images[:5000], (PATCH, PATCH), axis=(1, 2))
    patches = np.moveaxis(patches, 3, -1)  # (n, row, column, patch row, patch column, channel)
    flat = patches.reshape(-1, PATCH * PATCH * images.shape[-1])
    variances, components = np.linalg.eigh(flat.T @ flat / len(flat))
    # The smallest components are noise: 5e-4, as in arXiv 2404.00498, keeps them from the scale
    # of the others.
    filters = components / np.sqrt(variances + 5e-4)
    filters = filters.reshape(PATCH, PATCH, images.shape[-1], -1)
    model.get_layer("whitening").kernel.assign(np.concatenate([filters, -filters], axis=-1))


def _are_counts(values, most):
    whole = isinstance(values, tuple | list) and all(type(value) is int for value in values)
    return whole and all(0 < value <= most for value in values)

"""What is trained: one convolutional trunk, its endings, logits out; and the whitened net.

The trunk is the reference project's: seven 3x3 convolutions in four stages, each stage closed by
a 2x2 max-pool of stride 2. The nets differ in what follows the last pool; one has dropout within
the trunk. The whitened net is another family, made to learn more from less computation.
"""

import inspect
import math
from collections.abc import Sequence
from typing import Any

from cifar_keras.environment import keras

import numpy as np
from keras import layers

from cifar_keras.errors import UserError
from cifar_keras.layers import BatchNormalization, Dirac, silu
from cifar_keras.practice import build_practice, is_share

# Filters of the convolutions, stage by stage; every stage ends in a max-pool.
TRUNK = ((16, 32), (64, 128), (128,), (256, 256))
# The reference project drops out after the ReLUs of these convolutions, before their pools.
DROPOUT_AFTER = (4, 5, 7)
# Of a stage: more do not fit into a computer's memory, or an hour's patience.
MOST_FILTERS, MOST_DEPTH = 4096, 64
# How weights are drawn; "dirac" is for convolutions alone.
INITIALIZATIONS = ("pytorch", "keras", "dirac")
# Side of the patches that the whitened net takes apart, in pixels.
PATCH = 2
# What a map of many positions becomes: one number.
POOLINGS = {"maximum": layers.GlobalMaxPooling2D, "mean": layers.GlobalAveragePooling2D}


def build_fully_connected(
    input_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10, initialization: str = "pytorch"
) -> keras.Model:
    """The trunk, flattened, through 1024 ReLU units to the classes (Sequential).

    Args:
        input_shape: (height, width, channels) of one image; height and width at least 16.
        num_classes: number of logits, at least 2.
        initialization: "pytorch" (the reference project's) draws kernels and biases from
            U(-1/sqrt(fan_in), 1/sqrt(fan_in)); "keras" is Glorot uniform with zero biases.

    Returns:
        A Keras model, float32 images (n, *input_shape) to logits (n, num_classes);
        2,190,122 trainable parameters at the defaults.

    Raises:
        UserError: an argument is outside the ranges above.
    """
    _check(input_shape, num_classes)
    flat = (input_shape[0] // 16) * (input_shape[1] // 16) * TRUNK[-1][-1]
    return keras.Sequential(
        [
            layers.Input(input_shape, name="image"),
            *_trunk(input_shape[2], initialization),
            layers.Flatten(name="flatten"),
            _dense(1024, flat, initialization, activation="relu", name="hidden"),
            _dense(num_classes, 1024, initialization, name="logits"),
        ],
        name="fully_connected",
    )


def build_average_pooling(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    classifier: bool = True,
    initialization: str = "pytorch",
) -> keras.Model:
    """The trunk, each channel averaged over its positions, to the classes (Functional).

    Args:
        input_shape, num_classes, initialization: as in `build_fully_connected`.
        classifier: True adds the layer from 256 channel means to `num_classes` logits. False
            returns the 256 means themselves as logits, as the reference project did; classes
            `num_classes` to 255 then never occur in the labels.

    Returns:
        A Keras model, float32 images (n, *input_shape) to logits (n, num_classes), or (n, 256)
        without classifier; 1,132,842 trainable parameters at the defaults, 1,130,272 without.

    Raises:
        UserError: an argument is outside the ranges above.
    """
    return _pooled("average_pooling", input_shape, num_classes, classifier, initialization)


def build_average_pooling_dropout(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    rate: float = 0.5,
    classifier: bool = True,
    initialization: str = "pytorch",
) -> keras.Model:
    """`build_average_pooling` with dropout after the 4th, 5th and 7th convolution's ReLU.

    Args:
        input_shape, num_classes, classifier, initialization: as in `build_average_pooling`.
        rate: probability that an activation is dropped in training, in [0, 1); 0.5 is the
            reference project's.

    Returns:
        A Keras model with the shapes and parameter counts of `build_average_pooling`.

    Raises:
        UserError: an argument is outside the ranges above.
    """
    if not is_share(rate):
        raise UserError(f"rate is {rate!r}: the share of dropped activations must be in [0, 1)")
    return _pooled(
        "average_pooling_dropout", input_shape, num_classes, classifier, initialization, rate
    )


def build_maximum_pooling(
    input_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10, initialization: str = "pytorch"
) -> keras.Model:
    """`build_average_pooling` with the largest value of each channel in place of its mean.

    Args, Returns, Raises: as `build_average_pooling`.
    """
    return _pooled("maximum_pooling", input_shape, num_classes, True, initialization)


def build_whitened(
    input_shape: Sequence[int] = (32, 32, 3),
    num_classes: int = 10,
    widths: Sequence[int] = (32, 64, 64),
    depths: Sequence[int] | None = None,
    residual: bool = False,
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
        input_shape, num_classes: as in `build_fully_connected`.
        widths: filters of the convolutions, stage by stage; up to 4 stages of images 32 x 32.
        depths: convolutions of each stage; None: two.
        residual: add what a stage's first convolution gives to what its last one gives (He et
            al., arXiv 1512.03385).
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
        A Keras model, float32 images (n, *input_shape) to logits (n, num_classes); 146,112
        trainable parameters at the defaults.

    Raises:
        UserError: an argument is outside the ranges above.
    """
    _check(input_shape, num_classes)
    for name, flag in ("residual", residual), ("whitening", whitening), ("normalized", normalized):
        _check_flag(name, flag)
    side = min(input_shape[:2]) - (PATCH - 1 if whitening else 0)
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
    if not is_share(momentum):
        raise UserError(
            f"momentum is {momentum!r}: the share of the running moments that stays must be in "
            "[0, 1)"
        )
    function = silu if activation == "silu" else activation
    x = inputs = keras.Input(input_shape, name="image")
    channels = input_shape[2]
    if whitening:
        channels *= 2 * PATCH**2
        x = layers.Conv2D(channels, PATCH, use_bias=False, trainable=False, name="whitening")(x)
        x = layers.Activation(function, name=f"{activation}_0")(x)
    number = 0
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for place in range(depth):
            number += 1
            x = layers.Conv2D(
                width,
                3,
                padding="same",
                use_bias=not normalized,  # which takes the mean off and adds its own
                name=f"convolution_{number}",
                kernel_initializer=_kernel_initializer(initialization, 3 * 3 * channels),
            )(x)
            if place == 0:
                x = layers.MaxPooling2D(2, strides=2, name=f"pool_{stage}")(x)
            if normalized:
                x = BatchNormalization(
                    momentum=momentum, epsilon=1e-5, scale=False, name=f"normalization_{number}"
                )(x)
            x = layers.Activation(function, name=f"{activation}_{number}")(x)
            channels = width
            if place == 0:
                first = x
        if residual and depth > 1:
            x = layers.Add(name=f"sum_{stage}")([first, x])
    x = POOLINGS[pooling](name=pooling)(x)
    # float32 whatever the policy: the loss takes logarithms of differences between logits.
    x = layers.Dense(num_classes, use_bias=False, dtype="float32", name="classifier")(x)
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


BUILDERS = {
    "fully_connected": build_fully_connected,
    "average_pooling": build_average_pooling,
    "average_pooling_dropout": build_average_pooling_dropout,
    "maximum_pooling": build_maximum_pooling,
    "practice": build_practice,
    "whitened": build_whitened,
}


def build(name: str, /, **arguments: Any) -> keras.Model:
    """Builds the net called `name`, one of `BUILDERS`, with its builder's arguments.

    Raises:
        UserError: no such net, no such argument, or an argument outside its range.
    """
    if name not in list(BUILDERS):  # an unhashable one, too
        raise UserError(f"there is no model {name!r}; choose one of: {', '.join(BUILDERS)}")
    known = inspect.signature(BUILDERS[name]).parameters
    if unknown := sorted(arguments.keys() - known):
        raise UserError(f"{name} has no argument {unknown[0]!r}; choose from: {', '.join(known)}")
    return BUILDERS[name](**arguments)


def architecture(model: keras.Model) -> list[list[Any]]:
    """What makes two networks the same, as lists that JSON can hold.

    One entry for each layer but the input: its kind, name, output shape, weight shapes, activation
    (its name, or None) and the settings that it has. Keras' own `get_config` would do, were it not
    for the running numbers in it and for what new versions of Keras add to it.
    """
    settings = (
        *("strides", "padding", "pool_size", "kernel_size", "rate", "epsilon", "use_bias"),
        *("momentum", "scale"),
    )
    return [
        [
            type(layer).__name__,
            layer.name,
            list(layer.output.shape),
            [list(weight.shape) for weight in layer.weights],
            getattr(getattr(layer, "activation", None), "__name__", None),
            {s: _plain(getattr(layer, s)) for s in settings if getattr(layer, s, None) is not None},
        ]
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer)  # Sequential hides it, Functional shows it
    ]


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _pooled(name, input_shape, num_classes, classifier, initialization, rate=None):
    _check(input_shape, num_classes)
    _check_flag("classifier", classifier)
    if not classifier and num_classes > TRUNK[-1][-1]:
        raise UserError(
            f"{num_classes} classes need a classifier: the trunk ends in {TRUNK[-1][-1]} channels"
        )
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for layer in _trunk(input_shape[2], initialization, rate):
        x = layer(x)
    if name == "maximum_pooling":
        x = layers.GlobalMaxPooling2D(name="maximum")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="average")(x)
    if classifier:
        x = _dense(num_classes, TRUNK[-1][-1], initialization, name="logits")(x)
    return keras.Model(inputs, x, name=name)


def _trunk(channels, initialization, rate=None):
    """The trunk's layers in order; with `rate`, the reference project's dropout among them."""
    trunk, number = [], 0
    for stage, stage_filters in enumerate(TRUNK, start=1):
        for filters in stage_filters:
            number += 1
            convolution = layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                name=f"convolution_{number}",
                **_initializers(initialization, fan_in=3 * 3 * channels),
            )
            trunk.append(convolution)
            if rate is not None and number in DROPOUT_AFTER:
                trunk.append(layers.Dropout(rate, name=f"dropout_{number}"))
            channels = filters
        trunk.append(layers.MaxPooling2D(2, strides=2, name=f"pool_{stage}"))
    return trunk


def _dense(units, fan_in, initialization, **arguments):
    return layers.Dense(units, **arguments, **_initializers(initialization, fan_in))


def _initializers(initialization, fan_in):
    if initialization == "keras":
        return {}
    if initialization == "pytorch":
        return {
            f"{weight}_initializer": _kernel_initializer("pytorch", fan_in)
            for weight in ("kernel", "bias")
        }
    raise UserError(f"there is no initialization {initialization!r}; choose 'pytorch' or 'keras'")


def _kernel_initializer(initialization, fan_in):
    # torch.nn.Conv2d and torch.nn.Linear: kaiming_uniform_(a=sqrt(5)) is this same bound.
    bound = 1 / math.sqrt(fan_in)
    # All are made, whichever is wanted: each draws a seed when it is made, so that with fewer of
    # them the recorded seeds would begin with other weights.
    initializers = {
        "pytorch": keras.initializers.RandomUniform(-bound, bound),
        "keras": keras.initializers.GlorotUniform(),
        "dirac": Dirac(keras.initializers.RandomUniform(-bound, bound)),
    }
    if initialization not in INITIALIZATIONS:
        raise UserError(
            f"there is no initialization {initialization!r}; choose one of: "
            f"{', '.join(INITIALIZATIONS)}"
        )
    return initializers[initialization]


def trainable_parameters(model: keras.Model) -> int:
    """How many numbers a training of the net changes."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _check(input_shape, num_classes):
    whole = isinstance(input_shape, tuple | list) and all(type(n) is int for n in input_shape)
    if not whole or len(input_shape) != 3 or min(input_shape[:2]) < 16 or input_shape[2] < 1:
        raise UserError(
            f"input_shape is {input_shape!r}: give (height, width, channels) with height and "
            "width at least 16"
        )
    if type(num_classes) is not int or num_classes < 2:
        raise UserError(f"num_classes is {num_classes!r}: give a whole number, at least 2")


def _are_counts(values, most):
    whole = isinstance(values, tuple | list) and all(type(value) is int for value in values)
    return whole and all(0 < value <= most for value in values)


def _check_flag(name, value):
    if not isinstance(value, bool):
        raise UserError(f"{name} is {value!r}: give True or False")

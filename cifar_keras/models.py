"""What is trained: one convolutional trunk, its endings, logits out; nets by their names.

The trunk is the reference project's: seven 3x3 convolutions in four stages, each stage closed by
a 2x2 max-pool of stride 2. The nets differ in what follows the last pool; one has dropout within
the trunk.
"""

import inspect
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cifar_keras.environment import keras

from keras import layers

from cifar_keras.errors import UserError, check_flag, check_share
from cifar_keras.layers import kernel_initializer
from cifar_keras.practice import build_practice
from cifar_keras.whitened import build_whitened

# Filters of the convolutions, stage by stage; every stage ends in a max-pool.
TRUNK = ((16, 32), (64, 128), (128,), (256, 256))
# The reference project drops out after the ReLUs of these convolutions, before their pools.
DROPOUT_AFTER = (4, 5, 7)


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
    check_share("rate", rate, "dropped activations")
    return _pooled(
        "average_pooling_dropout", input_shape, num_classes, classifier, initialization, rate
    )


def build_maximum_pooling(
    input_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10, initialization: str = "pytorch"
) -> keras.Model:
    """`build_average_pooling` with the largest value of each channel in place of its mean.

    Args, Raises: as `build_fully_connected`. Returns: as `build_average_pooling` with a classifier.
    """
    return _pooled("maximum_pooling", input_shape, num_classes, True, initialization)


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


def calls(model: keras.Model) -> list[tuple[keras.Layer, list[int]]]:
    """Every use of a layer between a model's inputs and its outputs, in an order to compute them.

    Args:
        model: a Keras model, built; a layer may be used several times in it.

    Returns:
        A list of (layer, its inputs): the places in the list of those uses whose outputs it takes,
        or -1 for the model's input.
    """
    if isinstance(model, keras.Sequential):
        return [(layer, [place - 1]) for place, layer in enumerate(model.layers)]
    operations = {operation.name: operation for operation in model.operations}
    waiting, places = {}, {}  # of uses, each a layer's name and which of its uses it is
    for entry in model.get_config()["layers"]:
        for number, use in enumerate(entry["inbound_nodes"]):
            waiting[entry["name"], number] = list(_sources([use["args"], *use["kwargs"].values()]))
        if not entry["inbound_nodes"]:
            places[entry["name"], 0] = -1
    found = []
    while waiting:
        for use, sources in list(waiting.items()):
            if all(source in places for source in sources):
                found.append((operations[use[0]], [places[source] for source in sources]))
                places[use] = len(found) - 1
                del waiting[use]
    return found


def _sources(arguments):
    """The uses, (name, number), whose outputs are among the arguments of another, as saved."""
    if isinstance(arguments, list | tuple):
        for argument in arguments:
            yield from _sources(argument)
    elif isinstance(arguments, dict) and arguments.get("class_name") == "__keras_tensor__":
        name, number, _ = arguments["config"]["keras_history"]
        yield name, number


def architecture(model: keras.Model) -> list[list[Any]]:
    """What makes two networks the same, as lists that JSON can hold.

    One entry for each layer but the input: its kind, name, output shape, weight shapes, activation
    (its name, or None) and the settings that it has, among them how often it is used, if that is
    more than once. Keras' own `get_config` would do, were it not for the running numbers in it and
    for what new versions of Keras add to it.
    """
    settings = (
        *("strides", "padding", "pool_size", "kernel_size", "rate", "epsilon", "use_bias"),
        *("momentum", "scale"),
    )
    uses = Counter(layer.name for layer, _ in calls(model))
    return [
        [
            type(layer).__name__,
            layer.name,
            list(layer.output.shape),
            [list(weight.shape) for weight in layer.weights],
            getattr(getattr(layer, "activation", None), "__name__", None),
            {s: _plain(getattr(layer, s)) for s in settings if getattr(layer, s, None) is not None}
            | ({"uses": uses[layer.name]} if uses[layer.name] > 1 else {}),
        ]
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer)  # Sequential hides it, Functional shows it
    ]


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _pooled(name, input_shape, num_classes, classifier, initialization, rate=None):
    _check(input_shape, num_classes)
    check_flag("classifier", classifier)
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
            f"{weight}_initializer": kernel_initializer("pytorch", fan_in)
            for weight in ("kernel", "bias")
        }
    raise UserError(f"there is no initialization {initialization!r}; choose 'pytorch' or 'keras'")


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

"""The three nets: shapes, counts, layers, initialisation, and what they compute."""

import keras
import numpy as np
import numpy_net
import pytest
from small_study import array

from cifar_keras import models, results
from cifar_keras.errors import UserError

TRUNK = (
    "convolution_1 convolution_2 pool_1 convolution_3 convolution_4 pool_2 "
    "convolution_5 pool_3 convolution_6 convolution_7 pool_4"
)
LAYERS = {
    "fully_connected": f"{TRUNK} flatten hidden logits",
    "average_pooling": f"image {TRUNK} average logits",
    "average_pooling_dropout": (
        "image convolution_1 convolution_2 pool_1 convolution_3 convolution_4 dropout_4 pool_2 "
        "convolution_5 dropout_5 pool_3 convolution_6 convolution_7 dropout_7 pool_4 "
        "average logits"
    ),
}
POOLING = ("average_pooling", "average_pooling_dropout")
each_variant = pytest.mark.parametrize("variant", results.VARIANTS)


def weights(model):
    """(layer's name, kernel, bias) of every layer that has them, as arrays."""
    found = [layer for layer in model.layers if layer.weights]
    return [(layer.name, array(layer.kernel), array(layer.bias)) for layer in found]


@pytest.mark.parametrize(
    ("variant", "arguments", "kind", "outputs", "parameters"),
    [
        ("fully_connected", {}, keras.Sequential, 10, 2_190_122),
        ("average_pooling", {}, keras.Model, 10, 1_132_842),
        ("average_pooling_dropout", {}, keras.Model, 10, 1_132_842),
        ("average_pooling", {"classifier": False}, keras.Model, 256, 1_130_272),
        ("average_pooling_dropout", {"classifier": False}, keras.Model, 256, 1_130_272),
        ("fully_connected", {"num_classes": 3}, keras.Sequential, 3, 2_190_122 - 7 * 1025),
        ("average_pooling", {"num_classes": 100}, keras.Model, 100, 1_132_842 + 90 * 257),
    ],
)
def test_kind_shapes_and_parameters(images, variant, arguments, kind, outputs, parameters):
    model = models.build(variant, **arguments)
    assert isinstance(model, kind) and isinstance(model, keras.Sequential) == (
        kind is keras.Sequential
    )
    assert model.name == variant
    assert model.input_shape == (None, 32, 32, 3) and model.output_shape == (None, outputs)
    assert model(images).shape == (3, outputs)
    assert model.count_params() == parameters
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == parameters


@each_variant
def test_layers_in_order(variant):
    model = models.build(variant)
    assert [layer.name for layer in model.layers] == LAYERS[variant].split()
    assert model.get_layer("pool_4").output.shape == (None, 2, 2, 256)
    # Dropout behind the ReLU: it sits inside the convolution's layer.
    assert {model.get_layer(f"convolution_{i}").activation for i in range(1, 8)} == {
        keras.activations.relu
    }
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("variant", POOLING)
def test_without_classifier_the_means_are_the_output(variant):
    model = models.build(variant, classifier=False)
    assert [layer.name for layer in model.layers] == LAYERS[variant].split()[:-1]


def numpy_trunk(model, images):
    """3x3 convolutions with zero padding, ReLU and 2x2 maxima, without Keras."""
    x = images.astype("float64")
    parameters = {name: (kernel, bias) for name, kernel, bias in weights(model)}
    for number in range(1, 8):
        kernel, bias = parameters[f"convolution_{number}"]
        x = np.maximum(bias + numpy_net.convolution(x, kernel, 1), 0)
        if number in (2, 4, 5, 7):
            x = numpy_net.pool(x)
    return x, parameters


@each_variant
def test_output_equals_an_independent_computation(images, variant):
    keras.utils.set_random_seed(1)
    model = models.build(variant)
    expected, parameters = numpy_trunk(model, images)
    trunk = keras.Model(model.inputs[0], model.get_layer("pool_4").output)
    assert expected.std() > 0.005  # not a comparison of zeros
    np.testing.assert_allclose(array(trunk(images)), expected, rtol=1e-3, atol=1e-6)

    if variant == "fully_connected":
        kernel, bias = parameters["hidden"]
        features = np.maximum(expected.reshape(3, -1) @ kernel + bias, 0)
    else:
        features = expected.mean(axis=(1, 2))
    kernel, bias = parameters["logits"]
    np.testing.assert_allclose(array(model(images)), features @ kernel + bias, rtol=1e-3, atol=1e-6)


@each_variant
def test_pytorch_initialization(variant):
    keras.utils.set_random_seed(0)
    all_biases = []
    for name, kernel, bias in weights(models.build(variant)):
        bound = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
        assert 0.97 * bound < np.abs(kernel).max() <= bound * 1.00001, name
        assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.06), name
        assert abs(kernel.mean()) < 0.1 * bound, name
        assert np.abs(bias).max() <= bound * 1.00001 and (bias != 0).all(), name
        all_biases.extend(bias / bound)
    assert np.std(all_biases) == pytest.approx(1 / np.sqrt(3), rel=0.06)


@each_variant
def test_keras_initialization(variant):
    keras.utils.set_random_seed(0)
    for name, kernel, bias in weights(models.build(variant, initialization="keras")):
        field = np.prod(kernel.shape[:-2])  # 9 of a convolution, 1 of a dense layer
        bound = np.sqrt(6 / (field * (kernel.shape[-2] + kernel.shape[-1])))
        assert 0.97 * bound < np.abs(kernel).max() <= bound * 1.00001, name
        assert (bias == 0).all(), name


def test_weights_depend_on_the_seed():
    def first_kernel(seed):
        keras.utils.set_random_seed(seed)
        return weights(models.build("average_pooling"))[0][1]

    assert np.array_equal(first_kernel(0), first_kernel(0))
    assert not np.array_equal(first_kernel(0), first_kernel(1))


@pytest.mark.parametrize(
    ("variant", "arguments", "random"),
    [
        ("fully_connected", {}, False),
        ("average_pooling", {}, False),
        ("average_pooling_dropout", {}, True),
        ("average_pooling_dropout", {"rate": 0.1}, True),
        ("average_pooling_dropout", {"rate": 0}, False),
    ],
)
def test_dropout_acts_in_training_only(images, variant, arguments, random):
    model = models.build(variant, **arguments)
    inference, again = array(model(images, training=False)), array(model(images))
    np.testing.assert_array_equal(inference, again)
    training = array(model(images, training=True))
    assert np.allclose(training, inference, atol=1e-6) != random


def test_dropout_rate():
    for arguments, rate in ({}, 0.5), ({"rate": 0.2}, 0.2):
        model = models.build("average_pooling_dropout", **arguments)
        assert [layer.rate for layer in model.layers if "dropout" in layer.name] == [rate] * 3


@each_variant
@pytest.mark.parametrize("shape", [(48, 32, 3), (32, 32, 1), (16, 16, 3), (40, 47, 2)])
def test_other_image_shapes(variant, shape):
    model = models.build(variant, input_shape=shape)
    assert model(np.zeros((2, *shape), "float32")).shape == (2, 10)
    trunk = model.get_layer("pool_4").output.shape
    assert trunk == (None, shape[0] // 16, shape[1] // 16, 256)
    for name, kernel, _ in weights(model):  # the bound knows the fan-in of every shape
        bound = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
        assert 0.97 * bound < np.abs(kernel).max() <= bound * 1.00001, name


@pytest.mark.parametrize(
    ("variant", "arguments", "message"),
    [
        ("fully_connected", {"num_classes": 1}, "num_classes is 1: .* at least 2"),
        ("average_pooling", {"num_classes": 0}, "num_classes is 0"),
        ("average_pooling_dropout", {"num_classes": -1}, "num_classes is -1"),
        ("fully_connected", {"num_classes": "10"}, "num_classes is '?10'?"),
        ("average_pooling", {"num_classes": 10.0}, "num_classes is 10.0"),
        ("average_pooling", {"num_classes": None}, "num_classes is None"),
        ("fully_connected", {"input_shape": (15, 32, 3)}, r"\(15, 32, 3\).*at least 16"),
        ("average_pooling", {"input_shape": (32, 15, 3)}, r"\(32, 15, 3\).*at least 16"),
        ("average_pooling_dropout", {"input_shape": (8, 8, 1)}, "at least 16"),
        ("average_pooling", {"input_shape": (3, 32, 32)}, r"\(height, width, channels\)"),
        ("average_pooling", {"input_shape": (32, 32)}, r"\(height, width, channels\)"),
        ("average_pooling", {"input_shape": 32}, r"input_shape is 32.*\(height, width, channels\)"),
        ("average_pooling", {"input_shape": (None, None, 3)}, r"\(height, width, channels\)"),
        ("average_pooling", {"input_shape": (32.0, 32, 3)}, r"\(height, width, channels\)"),
        ("average_pooling", {"input_shape": (32, 32, 0)}, r"\(height, width, channels\)"),
        ("average_pooling_dropout", {"rate": 1}, r"rate is 1: .*\[0, 1\)"),
        ("average_pooling_dropout", {"rate": -0.1}, r"rate is -0.1"),
        ("average_pooling_dropout", {"rate": float("nan")}, "rate is nan"),
        ("average_pooling_dropout", {"rate": 50}, "rate is 50"),
        ("average_pooling_dropout", {"rate": "0.5"}, "rate is '?0.5'?"),
        ("average_pooling_dropout", {"rate": None}, "rate is None"),
        ("average_pooling", {"classifier": False, "num_classes": 257}, "257 classes need"),
        ("average_pooling", {"initialization": "torch"}, "'torch'; choose 'pytorch' or 'keras'"),
        ("fully_connected", {"initialization": None}, "choose 'pytorch' or 'keras'"),
        (
            "resnet",
            {},
            r"'resnet'; choose one of: fully_connected, average_pooling, (\w+, )+whitened$",
        ),
    ],
)
def test_unfit_arguments_are_named(variant, arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        models.build(variant, **arguments)
    assert "\n" not in str(caught.value)


def test_calls_name_every_use_and_what_it_takes():
    image = keras.Input((4,))
    twice, other = keras.layers.Dense(4, name="twice"), keras.layers.Dense(4, name="other")
    twice(keras.Input((4,)))  # a use that leads nowhere in this model
    first = twice(image)
    second = twice(other(first))
    model = keras.Model(image, keras.layers.Add(name="sum")([first, second]))
    found = [(layer.name, sources) for layer, sources in models.calls(model)]
    assert found == [("twice", [-1]), ("other", [0]), ("twice", [1]), ("sum", [0, 2])]
    settings = {name: settings for _, name, *_, settings in models.architecture(model)}
    assert settings["twice"]["uses"] == 2 and "uses" not in settings["other"]


def test_calls_of_a_chain_take_what_was_before():
    model = models.build("fully_connected")
    layers = [layer for layer, _ in models.calls(model)]
    assert layers == model.layers
    assert [sources for _, sources in models.calls(model)] == [[k - 1] for k in range(len(layers))]


def test_maximum_pooling_takes_the_largest_in_the_place_of_the_mean(images):
    keras.utils.set_random_seed(0)
    mean = models.build("average_pooling")
    keras.utils.set_random_seed(0)
    largest = models.build("maximum_pooling")
    expected, parameters = numpy_trunk(mean, images)
    kernel, bias = parameters["logits"]
    outputs = expected.max(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(array(largest(images)), outputs, rtol=1e-3, atol=1e-6)
    assert largest.count_params() == mean.count_params()

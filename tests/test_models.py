"""The three nets: shapes, counts, layers, initialisation, and what they compute."""

import keras
import numpy as np
import pytest
from small_study import NARROW, array

from cifar_keras import data, layers, models, results
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


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype("float32")


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


def numpy_convolution(x, kernel, padding):
    """A convolution of x in float64, with so many zeros around it, without Keras."""
    side = kernel.shape[0]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = x.shape[1] - side + 1, x.shape[2] - side + 1
    return sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j].astype("float64")
        for i in range(side)
        for j in range(side)
    )


def numpy_pool(x):
    """2x2 maxima with stride 2; an odd row or column is left over."""
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def numpy_trunk(model, images):
    """3x3 convolutions with zero padding, ReLU and 2x2 maxima, without Keras."""
    x = images.astype("float64")
    parameters = {name: (kernel, bias) for name, kernel, bias in weights(model)}
    for number in range(1, 8):
        kernel, bias = parameters[f"convolution_{number}"]
        x = np.maximum(bias + numpy_convolution(x, kernel, 1), 0)
        if number in (2, 4, 5, 7):
            x = numpy_pool(x)
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


# --- The whitened net -----------------------------------------------------------------------------


def test_counts_and_shapes():
    model = models.build("whitened")
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    kernels = 9 * (24 * 32 + 32 * 32 + 32 * 64 + 3 * 64 * 64)
    assert trainable == kernels + 2 * (32 + 64 + 64) + 64 * 10 == 146_112
    assert model.output_shape == (None, 10)
    assert [model.get_layer(f"pool_{stage}").output.shape[1] for stage in (1, 2, 3)] == [15, 7, 3]
    assert "whitening/kernel" not in [weight.path for weight in model.trainable_weights]


def test_the_whitened_net_s_output_equals_an_independent_computation(images):
    """With small variances, on which the constant beside them tells."""
    model = models.build("whitened", widths=(4, 5), depths=(2, 1), residual=True)
    random, values = np.random.default_rng(0), {}
    for weight in model.weights:
        spread = 1e-5 if "variance" in weight.path else 0.5
        weight.assign(spread * random.random(weight.shape))
        values[weight.path] = array(weight).astype("float64")

    def block(x, number, pool=False):
        x = numpy_convolution(x, values[f"convolution_{number}/kernel"], 1)
        x = numpy_pool(x) if pool else x
        beta, mean, variance = (
            values[f"normalization_{number}/{name}"]
            for name in ("beta", "moving_mean", "moving_variance")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) + beta, 0)

    x = np.maximum(numpy_convolution(images, values["whitening/kernel"], 0), 0)
    first = block(x, 1, pool=True)
    x = block(first + block(first, 2), 3, pool=True)
    expected = x.max(axis=(1, 2)) @ values["classifier/kernel"] / 9
    np.testing.assert_allclose(array(model(images)), expected, rtol=1e-4)


def test_the_smallest_components_of_patches_are_held_down_by_5e_4():
    """Of 5,000 images at most; all patches of an image of one colour are the same."""
    colours = np.random.default_rng(0).normal(size=(5000, 1, 1, 3))
    images = np.broadcast_to(colours, (5000, 3, 3, 3)).astype("float32")
    model = models.build("whitened", **NARROW)
    filters = []
    for given in (images, np.concatenate([images, 9 * images])):
        models.whiten(model, given)
        filters.append(array(model.get_layer("whitening").kernel).reshape(12, 24)[:, :12])
    np.testing.assert_array_equal(*filters)
    sizes = np.linalg.norm(filters[0], axis=0)
    # Of twelve components, nine have no variance at all.
    np.testing.assert_allclose(sizes[:9], 5e-4**-0.5, rtol=1e-3)
    variances = np.linalg.eigvalsh(4 * np.mean(colours[:, 0, 0, :, None] * colours[:, 0], axis=0))
    np.testing.assert_allclose(sizes[9:], (variances + 5e-4) ** -0.5, rtol=1e-3)


def test_whitened_patches_are_uncorrelated_with_variance_one(small):
    images = data.normalize(small[0][0], "standardized")
    model = models.build("whitened")
    models.whiten(model, images)
    outputs = array(model.get_layer("whitening")(images)).reshape(-1, 24)
    np.testing.assert_allclose(outputs[:, :12], -outputs[:, 12:], atol=1e-4)
    moments = outputs[:, :12].T @ outputs[:, :12] / len(outputs)
    assert np.abs(moments - np.diag(np.diag(moments))).max() < 0.01
    # The weakest components are held down by the constant that keeps noise small.
    assert np.diag(moments).max() < 1.001 and np.median(np.diag(moments)) > 0.9


def test_whitening_leaves_other_nets_alone(small):
    model = models.build("average_pooling")
    before = [array(weight) for weight in model.weights]
    models.whiten(model, data.normalize(small[0][0]))
    assert all(map(np.array_equal, before, [array(weight) for weight in model.weights]))


@pytest.mark.parametrize("widths", [(), (32, 0), (32.0,), 32, (8,) * 5, "32"])
def test_unfit_widths_are_refused(widths):
    with pytest.raises(UserError, match="give whole numbers from 1 to 4096, one for each stage"):
        models.build("whitened", widths=widths)


def test_depths_place_convolutions_and_a_residual_adds_the_stage_s_first_to_its_last(small):
    # Drawn kernels: "dirac" ones would hand the first on as the last.
    arguments = {"widths": (8, 8), "depths": (3, 1), "initialization": "pytorch"}
    plain, residual = (models.build("whitened", **arguments, residual=r) for r in (False, True))
    names = [layer.name for layer in residual.layers]
    assert [name for name in names if name[:4] in ("conv", "pool", "sum_")] == (
        ["convolution_1", "pool_1", "convolution_2", "convolution_3", "sum_1"]
        + ["convolution_4", "pool_2"]
    )
    assert models.architecture(plain) != models.architecture(residual)
    parts = keras.Model(
        residual.input, [residual.get_layer(n).output for n in ("relu_1", "relu_3", "sum_1")]
    )
    first, last, both = map(array, parts(data.normalize(small[0][0][:4])))
    np.testing.assert_allclose(first + last, both, rtol=1e-5)
    assert first.any() and last.any()


def test_two_convolutions_a_stage_by_default():
    one, other = (models.build("whitened", depths=depths) for depths in (None, (2, 2, 2)))
    assert models.architecture(one) == models.architecture(other)


@pytest.mark.parametrize("depths", [(2,), (2, 2, 0), (2, 2, 2.0), 2])
def test_unfit_depths_are_refused(depths):
    with pytest.raises(UserError, match="from 1 to 64, one for each of 3 widths"):
        models.build("whitened", depths=depths)


@pytest.mark.parametrize("momentum", [-0.1, 1, "0.9", None])
def test_an_unfit_momentum_is_refused(momentum):
    with pytest.raises(UserError, match=r"momentum is .*must be in \[0, 1\)"):
        models.build("whitened", momentum=momentum)


def test_momentum_is_that_of_every_normalisation():
    for arguments, momentum in ({}, 0.6), ({"momentum": 0.9}, 0.9):
        model = models.build("whitened", **arguments)
        normalizations = [x for x in model.layers if isinstance(x, layers.BatchNormalization)]
        assert [layer.momentum for layer in normalizations] == [momentum] * 6


def test_the_activation_follows_every_normalisation():
    names = [layer.name for layer in models.build("whitened", activation="silu").layers]
    assert [name for name in names if "silu" in name] == [f"silu_{i}" for i in range(7)]
    assert not any("relu" in name for name in names)
    with pytest.raises(UserError, match="no activation 'silly'; choose 'relu' or 'silu'"):
        models.build("whitened", activation="silly")


def test_an_unknown_initialization_is_refused():
    with pytest.raises(UserError, match="'orthogonal'; choose one of: pytorch, keras, dirac"):
        models.build("whitened", initialization="orthogonal")


def test_widths_are_in_the_architecture():
    one, other = (models.build("whitened", widths=(8, w)) for w in (8, 9))
    assert models.architecture(one) != models.architecture(other)


def test_each_part_of_the_whitened_net_can_be_left_out_alone(images):
    whole = models.architecture(models.build("whitened"))

    def changed(**arguments):
        """(names of the layers that went, names of those that came)."""
        names = [[layer[1] for layer in net] for net in (whole, parts(**arguments))]
        return tuple(sorted(set(a) - set(b)) for a, b in (names, names[::-1]))

    def parts(**arguments):
        return models.architecture(models.build("whitened", **arguments))

    assert changed(whitening=False) == (["relu_0", "whitening"], [])
    assert changed(normalized=False) == ([f"normalization_{i}" for i in range(1, 7)], [])
    assert changed(pooling="mean") == (["maximum"], ["mean"])
    assert changed(divisor=1) == ([], []) and parts(divisor=1) != whole
    bare = models.build("whitened", normalized=False)
    assert all(x.use_bias for x in bare.layers if x.name.startswith("convolution"))
    assert models.build("whitened", whitening=False).get_layer("convolution_1").kernel.shape[2] == 3

    model = models.build("whitened", pooling="mean", divisor=2)
    maps = keras.Model(model.input, model.get_layer("relu_6").output)(images)
    expected = array(maps).mean(axis=(1, 2)) @ array(model.get_layer("classifier").kernel) / 2
    np.testing.assert_allclose(array(model(images)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"whitening": 1}, "whitening is 1: give True or False"),
        ({"normalized": None}, "normalized is None: give True or False"),
        ({"pooling": "median"}, "no pooling 'median'; choose one of: maximum, mean"),
        ({"divisor": 0}, "divisor is 0: give a number above 0"),
        ({"divisor": True}, "divisor is True"),
    ],
)
def test_unfit_parts_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        models.build("whitened", **arguments)

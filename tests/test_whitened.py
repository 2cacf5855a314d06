"""The whitened net: its parts, what it computes, and its first convolution."""

import keras
import numpy as np
import numpy_net
import pytest
from small_study import NARROW, array

from cifar_keras import data, layers, models, whitened
from cifar_keras.errors import UserError


def test_counts_and_shapes():
    model = models.build("whitened")
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    kernels = 9 * (24 * 32 + 32 * 32 + 32 * 64 + 3 * 64 * 64)
    assert trainable == kernels + 2 * (32 + 64 + 64) + 64 * 10 == 146_112
    assert model.output_shape == (None, 10)
    assert [model.get_layer(f"pool_{stage}").output.shape[1] for stage in (1, 2, 3)] == [15, 7, 3]
    assert "whitening/kernel" not in [weight.path for weight in model.trainable_weights]


def test_its_output_equals_an_independent_computation(images):
    """With small variances, on which the constant beside them tells."""
    model = models.build("whitened", widths=(4, 5), depths=(2, 1), residual=True)
    random, values = np.random.default_rng(0), {}
    for weight in model.weights:
        spread = 1e-5 if "variance" in weight.path else 0.5
        weight.assign(spread * random.random(weight.shape))
        values[weight.path] = array(weight).astype("float64")

    def block(x, number, pool=False):
        x = numpy_net.convolution(x, values[f"convolution_{number}/kernel"], 1)
        x = numpy_net.pool(x) if pool else x
        beta, mean, variance = (
            values[f"normalization_{number}/{name}"]
            for name in ("beta", "moving_mean", "moving_variance")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) + beta, 0)

    x = np.maximum(numpy_net.convolution(images, values["whitening/kernel"], 0), 0)
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
        whitened.whiten(model, given)
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
    whitened.whiten(model, images)
    outputs = array(model.get_layer("whitening")(images)).reshape(-1, 24)
    np.testing.assert_allclose(outputs[:, :12], -outputs[:, 12:], atol=1e-4)
    moments = outputs[:, :12].T @ outputs[:, :12] / len(outputs)
    assert np.abs(moments - np.diag(np.diag(moments))).max() < 0.01
    # The weakest components are held down by the constant that keeps noise small.
    assert np.diag(moments).max() < 1.001 and np.median(np.diag(moments)) > 0.9


def test_whitening_leaves_other_nets_alone(small):
    model = models.build("average_pooling")
    before = [array(weight) for weight in model.weights]
    whitened.whiten(model, data.normalize(small[0][0]))
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


def test_every_two_convolutions_after_a_stage_s_first_are_passed_by(images):
    """By a sum of what goes into the two and what they give; the odd one at the end by its own."""
    model = models.build(
        "whitened", widths=(8,), depths=(6,), initialization="pytorch", residual=True
    )
    names = ("relu_1", "relu_3", "sum_1", "relu_5", "sum_2", "relu_6", "sum_3")
    parts = keras.Model(model.input, [model.get_layer(name).output for name in names])
    first, third, one, fifth, two, sixth, three = map(array, parts(images))
    np.testing.assert_allclose(first + third, one, rtol=1e-5)
    np.testing.assert_allclose(one + fifth, two, rtol=1e-5)
    np.testing.assert_allclose(two + sixth, three, rtol=1e-5)
    assert min(np.abs(part).max() for part in (first, third, fifth, sixth)) > 0


def test_a_shared_kernel_is_used_again_with_other_moments(images):
    arguments = {"widths": (4,), "depths": (3,), "whitening": False}
    apart, shared = (models.build("whitened", **arguments, shared=flag) for flag in (False, True))
    kernels = [
        [layer.name for layer in model.layers if layer.name.startswith("convolution")]
        for model in (apart, shared)
    ]
    assert kernels == [["convolution_1", "convolution_2", "convolution_3"], kernels[0][:2]]
    random, values = np.random.default_rng(0), {}
    for weight in shared.weights:
        values[weight.path] = random.random(weight.shape)
    for model in (shared, apart):
        for weight in model.weights:
            weight.assign(values[weight.path.replace("convolution_3", "convolution_2")])
    assert apart(images).shape == (3, 10)
    np.testing.assert_allclose(array(shared(images)), array(apart(images)), rtol=1e-5)
    apart.get_layer("normalization_3").beta.assign(np.full(4, 1000))
    assert not np.allclose(array(shared(images)), array(apart(images)), rtol=1e-2)
    assert models.architecture(shared) != models.architecture(apart)


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
        ({"shared": 2}, "shared is 2: give True or False"),
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

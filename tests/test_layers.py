"""Our layers, activations and initialisers against Keras' own."""

import json

import keras
import numpy as np
import pytest
from small_study import NARROW, array

from cifar_keras import data, layers, measure, models


def test_dirac_hands_channels_on_and_draws_the_rest():
    convolution = keras.layers.Conv2D(
        5, 3, padding="same", kernel_initializer=layers.kernel_initializer("dirac", 27)
    )
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    outputs = array(convolution(images))
    np.testing.assert_allclose(outputs[..., :3], images, atol=1e-6)
    drawn = array(convolution.kernel)[..., 3:]
    assert np.unique(drawn).size == drawn.size and np.abs(drawn).max() <= 27**-0.5
    assert np.abs(outputs[..., 3:]).max() > 0


def test_dirac_survives_saving():
    saved = keras.saving.serialize_keras_object(layers.kernel_initializer("dirac", 27))
    loaded = keras.saving.deserialize_keras_object(json.loads(json.dumps(saved)))
    assert np.array_equal(array(loaded((3, 3, 2, 2)))[1, 1], np.eye(2))


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"scale": False}, (7, 5, 5, 6)),
        ({"scale": False, "epsilon": 0.1}, (7, 5, 5, 6)),
        # What the one operation does not cover.
        ({}, (7, 5, 5, 6)),
        ({"scale": False, "axis": 1}, (7, 6, 5, 5)),
        ({"scale": False, "center": False}, (7, 5, 5, 6)),
        ({"scale": False}, (35, 6)),
        ({"scale": False, "trainable": False}, (7, 5, 5, 6)),
    ],
)
def test_batch_normalisation_is_keras_own(arguments, shape):
    images = np.random.default_rng(3).normal(1, 2, shape).astype("float32")
    steps = []
    for kind in (keras.layers.BatchNormalization, layers.BatchNormalization):
        layer = kind(momentum=0.6, **arguments)
        layer.build(images.shape)
        if layer.center:
            layer.beta.assign(np.arange(6))

        def loss(inputs, layer=layer):
            with keras.StatelessScope():  # JAX has no other place for the moments
                return keras.ops.sum(layer(inputs[0], training=True) ** 3)

        outputs = array(layer(images, training=True))
        steps.append(
            [
                outputs,
                array(layer.moving_mean),
                array(layer.moving_variance),
                array(measure.gradient(loss, [images])[0]),
                array(layer(images, training=False)),
            ]
        )
    for keras_own, ours in zip(*steps, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-4, atol=1e-4)


def test_batch_normalisation_heeds_a_mask():
    """Of sequences of images, those that are padding do not count."""
    images = np.random.default_rng(3).normal(size=(4, 3, 2, 6)).astype("float32")
    images[:, 2] = 1e6
    mask = np.ones((4, 3, 2), bool)
    mask[:, 2] = False
    layer = layers.BatchNormalization(scale=False)
    layer.build(images.shape)
    assert np.abs(array(layer(images, training=True, mask=mask))[:, :2]).max() < 10


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_silu_is_keras_own(dtype):
    inputs = keras.ops.cast(np.linspace(-20, 20, 3 * 4 * 5).reshape(3, 4, 5), dtype)
    both = []
    for silu in (layers.silu, keras.activations.silu):

        def loss(inputs, silu=silu):
            return keras.ops.sum(keras.ops.cast(silu(inputs[0]), "float32") ** 2)

        outputs, gradient = silu(inputs), measure.gradient(loss, [inputs])[0]
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype
        both.append([array(keras.ops.cast(x, "float32")) for x in (outputs, gradient)])
    precise = 1e-5 if dtype == "float32" else 0.02
    for ours, keras_own in zip(*both, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=precise, atol=precise)
    assert ours.any()


def test_a_net_with_silu_survives_saving(tmp_path, small):
    images = data.normalize(small[0][0][:4], "standardized")
    model = models.build("whitened", activation="silu", **NARROW)
    model.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    assert loaded.get_layer("silu_1").activation is layers.silu
    np.testing.assert_allclose(array(loaded(images)), array(model(images)), rtol=1e-5)

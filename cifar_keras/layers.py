"""Layers, activations and initialisers of our own, where Keras' cost more or are missing."""

import math
from typing import Any

from cifar_keras.environment import keras

import numpy as np
from keras import layers, ops

from cifar_keras.errors import UserError

Tensor = Any  # of whichever backend Keras computes with
# How weights are drawn; "dirac" is for convolutions alone.
INITIALIZATIONS = ("pytorch", "keras", "dirac")

if keras.backend.backend() == "tensorflow":
    import tensorflow

    @tensorflow.function(jit_compile=True)
    def _value(inputs):
        x = ops.cast(inputs, "float32")
        return ops.cast(x * ops.sigmoid(x), inputs.dtype)

    @tensorflow.function(jit_compile=True)
    def _gradient(inputs, upstream):
        x, upstream = ops.cast(inputs, "float32"), ops.cast(upstream, "float32")
        sigmoid = ops.sigmoid(x)
        return ops.cast(upstream * sigmoid * (1 + x * (1 - sigmoid)), inputs.dtype)

    @tensorflow.custom_gradient
    def _compiled(inputs):
        return _value(inputs), lambda upstream: _gradient(inputs, upstream)


@keras.saving.register_keras_serializable(package="cifar_keras")
def silu(inputs: Tensor) -> Tensor:
    """x σ(x), as `keras.activations.silu` has it (Elfwing et al., arXiv 1702.03118).

    On TensorFlow XLA makes one loop of its value and one of its gradient. TensorFlow's own takes
    ten operations for both, each of which goes through memory, and in bfloat16 converts there and
    back: a seventh of an epoch of the net strong, which has it.

    Args:
        inputs: a float tensor.

    Returns:
        A tensor of the same shape and dtype.
    """
    if keras.backend.backend() == "tensorflow" and tensorflow.test.is_built_with_xla():
        return _compiled(inputs)
    return keras.activations.silu(inputs)


@keras.saving.register_keras_serializable(package="cifar_keras")
class BatchNormalization(layers.BatchNormalization):
    """Keras' layer; on TensorFlow a training step takes one operation in place of a dozen.

    Keras puts mean, variance and scaling together from elementary operations, each of which goes
    through memory once more, in float32; in a net of small convolutions that is a third of the
    training. Ioffe and Szegedy, arXiv 1502.03167. What that operation does not cover (a frozen
    layer, a scale, no centre, another axis than the last, a mask, moments of several devices or
    renormalised ones, other inputs than float32, bfloat16 or float16 (n, height, width, channels))
    is computed as Keras computes it.
    """

    def _is_covered(self, inputs, mask):
        return (
            (self.trainable and self.center and not self.scale and mask is None)
            and not (self.synchronized or getattr(self, "renorm", False))  # newer Keras has it
            and (inputs.ndim == 4 and self.axis in (-1, 3))
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        )

    def call(self, inputs, training=None, mask=None):
        fused = training and keras.backend.backend() == "tensorflow"
        if not fused or not self._is_covered(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tensorflow.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.ones_like(self.beta),
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0,  # the batch's own moments come back
            is_training=True,
        )
        n = ops.cast(ops.size(inputs) / inputs.shape[-1], "float32")
        variance *= (n - 1) / n  # TensorFlow's is the unbiased one, Keras keeps the other
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * of_batch)
        return outputs


@keras.saving.register_keras_serializable(package="cifar_keras")
class Dirac(keras.initializers.Initializer):
    """A convolution's kernel whose first filters each hand one input channel on unchanged.

    As torch.nn.init.dirac_ does for as many filters as there are input channels (Zagoruyko and
    Komodakis, arXiv 1706.00388).

    Args:
        others: the initializer of the filters beyond the number of input channels.
    """

    def __init__(self, others: keras.initializers.Initializer):
        self.others = others

    def __call__(self, shape, dtype=None):
        height, width, channels, filters = shape
        identity = np.zeros(shape, "float32")
        for channel in range(min(channels, filters)):
            identity[height // 2, width // 2, channel, channel] = 1
        return keras.ops.where(
            np.arange(filters) < channels,
            keras.ops.convert_to_tensor(identity, dtype),
            self.others(shape, dtype),
        )

    def get_config(self):
        return {"others": keras.saving.serialize_keras_object(self.others)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["others"]))


def kernel_initializer(initialization: str, fan_in: int) -> keras.initializers.Initializer:
    """What draws the kernel of a convolution or a dense layer, or PyTorch's biases.

    Args:
        initialization: "pytorch" draws from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), "keras" is Glorot
            uniform, "dirac" is `Dirac` with PyTorch's for the filters beyond.
        fan_in: numbers that one output is computed from.

    Raises:
        UserError: another initialization.
    """
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

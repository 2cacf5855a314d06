"""What takes a step: two optimizers and a learning rate that Keras does not have."""

from typing import Any

from cifar_keras.environment import keras

from cifar_keras.layers import Tensor


@keras.saving.register_keras_serializable(package="cifar_keras")
class CoupledAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba, arXiv 1412.6980) on the gradient plus `l2` times the weight.

    As in PyTorch's `Adam(weight_decay=l2)`, the penalty passes through Adam's moments and applies
    to every trainable variable, biases too. Keras' own `weight_decay` is decoupled (AdamW, arXiv
    1711.05101): it shrinks the weights beside the moments.

    One thing differs from PyTorch's: Keras adds epsilon to √v before v's bias correction, PyTorch
    to √v̂ behind it. In step t Keras' epsilon counts 1/√(1 - beta_2^t) times as much, 32 times in
    the first. It matters where gradients are as small as epsilon: a weight of 0.05 without any
    gradient of its own is below 0.001 after 212 steps here, after 113 there (l2 = 1e-6).

    Args:
        learning_rate, arguments: as `keras.optimizers.Adam` has them.
        l2: how much of each weight is added to its gradient, at least 0.
        epsilon: PyTorch's; Keras' own is 1e-7.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        l2: float = 0.0,
        epsilon: float = 1e-8,
        **arguments: Any,
    ):
        super().__init__(learning_rate=learning_rate, epsilon=epsilon, **arguments)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        penalized = gradient + self.l2 * keras.ops.cast(variable, gradient.dtype)
        super().update_step(penalized, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}


@keras.saving.register_keras_serializable(package="cifar_keras")
class Muon(keras.optimizers.SGD):
    """Nesterov SGD whose steps for the kernels of convolutions are orthogonalised.

    A kernel is taken as a matrix, (height * width * channels, filters). In the place of its
    momentum comes a matrix with the same singular vectors and singular values near 1, so that the
    directions in which many gradients agree do not drown the others; and since batch
    normalisation takes a kernel's size away again, each step brings it back to sqrt(filters), which
    is the size of such a matrix. Other weights take SGD's step. Jordan et al., "Muon: an optimizer
    for hidden layers in neural networks" (2024), and Jordan's training of CIFAR-10 in airbench,
    whose momentum of kernels and three iterations these are. Keras' own Muon leaves convolutions
    to AdamW.

    Args:
        learning_rate, momentum, arguments: as `keras.optimizers.SGD` has them; for other weights.
        relative_rate: the size of a kernel's step, relative to the kernel, over the learning rate.
    """

    kernel_momentum = 0.6

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        relative_rate: float = 1.0,
        **arguments: Any,
    ):
        super().__init__(learning_rate, momentum, **{"nesterov": True, **arguments})
        self.relative_rate = relative_rate

    def update_step(self, gradient, variable, learning_rate):
        if len(variable.shape) != 4:
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, self.kernel_momentum * momentum + gradient)
        step = orthogonalized(gradient + self.kernel_momentum * momentum)
        kernel = variable - self.relative_rate * learning_rate * step
        size = keras.ops.sqrt(keras.ops.sum(kernel**2) / variable.shape[-1])
        self.assign(variable, kernel / size)

    def get_config(self):
        return {**super().get_config(), "relative_rate": self.relative_rate}


def orthogonalized(kernel: Tensor) -> Tensor:
    """A kernel with the same singular vectors as a matrix, and singular values near 1.

    Three steps of Newton and Schulz's iteration, with the coefficients of Jordan et al. (2024),
    which take all but the smallest singular values to somewhere between 0.5 and 1.3.

    Args:
        kernel: float32 (height, width, channels, filters), not all 0.

    Returns:
        float32, of the same shape.
    """
    matrix = keras.ops.reshape(kernel, (-1, kernel.shape[-1]))
    matrix /= keras.ops.sqrt(keras.ops.sum(matrix**2)) + 1e-7
    for _ in range(3):
        product = keras.ops.transpose(matrix) @ matrix
        matrix = matrix @ (
            3.4445 * keras.ops.eye(kernel.shape[-1]) - 4.775 * product + 2.0315 * product @ product
        )
    return keras.ops.reshape(matrix, kernel.shape)


@keras.saving.register_keras_serializable(package="cifar_keras")
class TriangularRate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises from 0 in a straight line, then falls to 0 in another, and stays.

    Smith and Topin, arXiv 1708.07120.

    Args:
        peak: the highest learning rate. warmup: the share of all steps that lead up to it.
        steps: the number of all steps.
    """

    def __init__(self, peak: float, warmup: float, steps: int):
        self.peak, self.warmup, self.steps = peak, warmup, steps

    def __call__(self, step):
        done = (keras.ops.cast(step, "float32") + 0.5) / self.steps
        rate = self.peak * keras.ops.minimum(done / self.warmup, (1 - done) / (1 - self.warmup))
        return keras.ops.maximum(rate, 0.0)  # else whoever trains on would climb the loss

    def get_config(self):
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps}

"""What the mathematics of a network predicts, measured: fields, costs, scales, curvature, noise."""

import math
from collections.abc import Callable, Iterable, Sequence

from cifar_keras.environment import keras

import numpy as np
from keras import layers
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from cifar_keras import models
from cifar_keras.errors import UserError
from cifar_keras.layers import Tensor

PLACELESS = (
    *(layers.Dense, layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D),
)


def receptive_field(model: keras.Model, name: str) -> tuple[int, int]:
    """The side, in pixels, of the square of the image that one unit of a layer can see.

    By the recursion r ← r + (k - 1) j, j ← j s over the kernels k and strides s of the layers
    (Araujo, Norris & Sim 2019, doi 10.23915/distill.00021).

    Args:
        model: a chain of convolutions, pools and layers without a spatial kernel.
        name: of the layer; the layers in front of it count, too.

    Returns:
        (field, step): pixels in the field, and pixels between the fields of two neighbours.

    Raises:
        UserError: no such layer, a kernel that is not square or is dilated, or a layer such as
            `Flatten` or `Dense`, whose units have no place.
    """
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise UserError(f"there is no layer {name!r} in {model.name}; see model.summary()")
    field, step = 1, 1
    for layer in model.layers[: names.index(name) + 1]:
        kernel, strides = _window(layer)
        field, step = field + (kernel - 1) * step, step * strides
    return field, step


def _window(layer):
    """Side and stride of the square window that a layer moves over the image."""
    if isinstance(layer, PLACELESS):
        raise UserError(f"the units of {layer.name} have no place in the image; name another layer")
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", (1, 1)))
    strides = getattr(layer, "strides", (1, 1))
    dilation = getattr(layer, "dilation_rate", (1, 1))
    if not (len(size) == 2 and size[0] == size[1] and strides[0] == strides[1]):
        raise UserError(f"the window of {layer.name} is not square: {size}, stride {strides}")
    if tuple(dilation) != (1, 1):
        raise UserError(f"{layer.name} is dilated by {dilation}; the recursion knows no dilation")
    return size[0], strides[0]


def costs(model: keras.Model) -> dict[str, tuple[int, int]]:
    """Parameters and multiply-adds of every layer with weights, for one image.

    A convolution spends height · width · k² · channels · filters multiply-adds on its output of
    height × width pixels, a dense layer inputs · units, batch normalisation one on each output.
    Those that fall on padding count; a layer that is used several times spends them each time, all
    on outputs of one size.

    Args:
        model: a Keras model whose layers with weights are `Conv2D`, `Dense` or
            `BatchNormalization`.

    Returns:
        `{layer name: (parameters, multiply-adds)}`, integers.

    Raises:
        UserError: another kind of layer has weights.
    """
    result = {}
    for layer, _ in models.calls(model):
        if isinstance(layer, layers.Conv2D | layers.Dense):
            adds = math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.BatchNormalization):
            adds = math.prod(layer.output.shape[1:])
        elif getattr(layer, "weights", []):
            raise UserError(
                f"{layer.name} is a {type(layer).__name__}; only Conv2D, Dense and "
                "BatchNormalization count"
            )
        else:
            continue
        _, earlier = result.get(layer.name, (0, 0))
        result[layer.name] = layer.count_params(), earlier + adds
    return result


def scales(
    model: keras.Model, images: np.ndarray, labels: np.ndarray
) -> dict[str, tuple[float, float]]:
    """How large the signal is at every convolution, forwards and backwards.

    Args:
        model: a course network (`models.build`), logits out.
        images: float32 (n, height, width, channels); labels: integers (n,) or (n, 1).

    Returns:
        `{layer name: (activations, gradients)}`: root mean squares of the layer's outputs, and
        of the gradient of the mean loss with respect to them.

    Raises:
        UserError: no images, or not one label for each; or no convolution in the model.
    """
    _check_pairs(images, labels)
    result = {}
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            outputs = keras.Model(model.inputs[0], layer.output)(images)
            rest = keras.Model(layer.output, model.outputs[0])
            (slope,) = gradient(
                lambda x, rest=rest: mean_cross_entropy(rest(x[0]), labels), [outputs]
            )
            result[layer.name] = _root_mean_square(outputs), _root_mean_square(slope)
    if not result:
        raise UserError(f"{model.name} has no convolution")
    return result


def _root_mean_square(tensor):
    return float(keras.ops.sqrt(keras.ops.mean(keras.ops.square(tensor))))


def _check_pairs(images, labels):
    if len(images) == 0 or len(images) != len(labels):
        raise UserError(
            f"{len(images)} images and {len(labels)} labels: give at least one image, each a label"
        )


def mean_cross_entropy(logits: Tensor, labels: np.ndarray) -> Tensor:
    """The mean cross-entropy in nats, a scalar tensor.

    Args:
        logits: (n, classes). labels: integers (n,) or (n, 1).
    """
    return keras.ops.mean(
        keras.losses.sparse_categorical_crossentropy(np.ravel(labels), logits, from_logits=True)
    )


def gradient(function: Callable[[list[Tensor]], Tensor], points: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of a scalar function, which may itself contain gradients.

    Args:
        function: takes a list of tensors like `points`, returns a scalar tensor.
        points: arrays, tensors or variables, float32, in which the gradient is wanted.

    Returns:
        A list of tensors of the points' shapes.
    """
    points = [_tensor(point) for point in points]
    return _GRADIENTS[keras.backend.backend()](function, points)


# Keras has no gradient of its own: these lines alone are the backends'.
def _tensorflow(function, points):
    import tensorflow

    with tensorflow.GradientTape() as tape:
        tape.watch(points)
        value = function(points)
    return tape.gradient(value, points, unconnected_gradients=tensorflow.UnconnectedGradients.ZERO)


def _jax(function, points):
    import jax  # pyright: ignore[reportMissingImports]  # installed if it is the backend

    return jax.grad(function)(points)


def _torch(function, points):
    import torch  # pyright: ignore[reportMissingImports]  # installed if it is the backend

    points = [p if p.requires_grad else p.detach().requires_grad_() for p in points]
    value = function(points)
    return list(torch.autograd.grad(value, points, create_graph=True, materialize_grads=True))


_GRADIENTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def loss_of(
    model: keras.Model, images: np.ndarray, labels: np.ndarray
) -> Callable[[list[Tensor]], Tensor]:
    """The mean cross-entropy as a function of the trainable weights, dropout off.

    Args:
        model: a built Keras model, logits out.
        images: float32 (n, height, width, channels), at least one; labels: integers (n,) or (n, 1).

    Returns:
        A function from a list of tensors, one for each of `model.trainable_variables`, to a
        scalar tensor in nats.

    Raises:
        UserError: no images, or not one label for each.
    """
    _check_pairs(images, labels)
    fixed = model.non_trainable_variables

    def loss(weights):
        logits, _ = model.stateless_call(weights, fixed, images, training=False)
        return mean_cross_entropy(logits, labels)

    return loss


def largest_eigenvalue(
    function: Callable[[list[Tensor]], Tensor],
    points: Sequence[Tensor],
    divisors: Sequence[Tensor] | None = None,
    tolerance: float = 0.05,
) -> float:
    """The largest eigenvalue of a scalar function's Hessian, called its sharpness.

    Each step is one Hessian-vector product, the gradient of (gradient · vector), which never forms
    the Hessian (Pearlmutter 1994, Neural Computation 6). The steps are Lanczos', by SciPy: power
    iteration that remembers its earlier vectors, and is not misled by negative eigenvalues.

    Args:
        function, points: as in `gradient`.
        divisors: positive arrays of the points' shapes, D, for the eigenvalue of D⁻¹H instead,
            such as Adam's roots of the second moments; None for H itself.
        tolerance: relative accuracy.

    Returns:
        A float.

    Raises:
        UserError: the curvature is not a number, or 0, or the iteration does not settle.
    """
    points = [_tensor(point) for point in points]
    # D⁻¹H has the eigenvalues of the symmetric S H S with S = D^(-1/2).
    scale = 1.0 if divisors is None else flatten(divisors) ** -0.5

    def product(vector):
        parts = unflatten(scale * vector.ravel(), points)
        result = flatten(gradient(lambda p: _dot(gradient(function, p), parts), points))
        if not np.isfinite(result).all():
            raise UserError("the curvature is not a number; look at the loss and the weights first")
        return scale * result

    size = sum(math.prod(point.shape) for point in points)
    if size == 1:  # ARPACK takes two weights and more
        return float(product(np.ones(1, "float32"))[0])
    hessian = LinearOperator((size, size), matvec=product, dtype="float32")
    start = np.random.default_rng(0).normal(size=size).astype("float32")
    try:
        (eigenvalue,) = eigsh(
            hessian,
            1,
            which="LA",
            v0=start,
            ncv=min(8, size),
            tol=tolerance,
            return_eigenvectors=False,
        )
        return float(eigenvalue)
    except ArpackNoConvergence as error:
        raise UserError("the eigenvalue does not settle; allow a larger tolerance") from error
    except ArpackError as error:  # such as a Hessian of zeros
        raise UserError("there is no curvature; look at the loss and the weights first") from error


def noise_scale(gradients: Iterable[np.ndarray], batch_size: int) -> tuple[float, float, float]:
    """The simple gradient noise scale tr(Σ) / |G|², in images.

    Σ is the covariance of one image's gradient, G the gradient over all images; both are
    estimated without bias from batches (McCandlish et al. 2018, arXiv 1812.06162, appendix A.1).

    Args:
        gradients: vectors (parameters,), each the mean gradient of another batch; two or more.
        batch_size: images in each batch.

    Returns:
        (noise scale, tr(Σ), |G|²), floats.

    Raises:
        UserError: fewer than two gradients, or so few that |G|² is estimated as negative.
    """
    count, total, squares = 0, 0.0, 0.0
    for gradient in gradients:
        count += 1
        total = total + gradient
        squares += float(np.vdot(gradient, gradient))
    if count < 2:
        raise UserError(f"{count} batches have no spread: give at least two")
    small, large = squares / count, float(np.vdot(total, total)) / count**2
    signal = (count * large - small) / (count - 1)
    noise = (small - large) / (1 / batch_size - 1 / (count * batch_size))
    if not signal > 0:
        raise UserError(f"{count} batches drown in noise: give more of them, or larger ones")
    return noise / signal, noise, signal


def flatten(tensors: Iterable[Tensor]) -> np.ndarray:
    """Tensors or arrays, laid end to end in one NumPy vector."""
    return np.concatenate([keras.ops.convert_to_numpy(t).ravel() for t in tensors])


def unflatten(vector: np.ndarray, like: Sequence[Tensor]) -> list[np.ndarray]:
    """A vector cut into float32 arrays of the shapes of `like`: `flatten` undone."""
    ends = np.cumsum([math.prod(tensor.shape) for tensor in like])
    parts = np.split(np.float32(vector), ends[:-1])
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


def _dot(tensors, arrays):
    return sum(keras.ops.sum(t * _tensor(a)) for t, a in zip(tensors, arrays, strict=True))


def _tensor(point):
    """An array, tensor or variable as a tensor."""
    return keras.ops.convert_to_tensor(point.value if isinstance(point, keras.Variable) else point)

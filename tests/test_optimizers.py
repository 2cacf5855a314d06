"""Each optimizer against its formula in NumPy, and the learning rate against straight lines."""

import json

import keras
import numpy as np
import pytest
from small_study import array

from cifar_keras import optimizers


def run_optimizer(optimizer, start, gradients):
    """The variables' values after steps with these gradients."""
    variables = [keras.Variable(value) for value in start]
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
    return [array(variable) for variable in variables]


@pytest.fixture
def problem():
    """A kernel and a bias, and five steps of gradients for both."""
    random = np.random.default_rng(0)
    shapes = (4, 3), (3,)
    start = [random.normal(size=shape).astype("float32") for shape in shapes]
    gradients = [[random.normal(size=s).astype("float32") for s in shapes] for _ in range(5)]
    return start, gradients


def numpy_adam(start, gradients, learning_rate, l2):
    """Adam with coupled L2 as in PyTorch's documentation of torch.optim.Adam, in float64."""
    values = [value.astype("float64") for value in start]
    first, second = ([np.zeros_like(value) for value in values] for _ in range(2))
    for t, step in enumerate(gradients, start=1):
        for i, gradient in enumerate(step):
            g = gradient + l2 * values[i]
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            mean, spread = first[i] / (1 - 0.9**t), second[i] / (1 - 0.999**t)
            values[i] = values[i] - learning_rate * mean / (np.sqrt(spread) + 1e-8)
    return values


@pytest.mark.parametrize("l2", [0.0, 1e-6, 0.5])
def test_adam_is_pytorchs(problem, l2):
    results = run_optimizer(optimizers.CoupledAdam(0.01, l2=l2), *problem)
    for result, expected in zip(results, numpy_adam(*problem, 0.01, l2), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_epsilon_beside_the_root_holds_up_the_decay_of_weights_without_gradient():
    """The step counts of the docstring: 212 with Keras' epsilon, 113 with PyTorch's."""
    zeros = [[np.float32(0)]] * 400

    def first_below(values):
        return next(step for step, value in enumerate(values, start=1) if value < 1e-3)

    [last] = run_optimizer(optimizers.CoupledAdam(1e-3, l2=1e-6), [np.float32(0.05)], zeros[:211])
    assert last > 1e-3
    [last] = run_optimizer(optimizers.CoupledAdam(1e-3, l2=1e-6), [np.float32(0.05)], zeros[:213])
    assert last < 1e-3
    pytorchs = [
        numpy_adam([np.float32(0.05)], zeros[:steps], 1e-3, 1e-6)[0] for steps in range(1, 130)
    ]
    assert first_below(pytorchs) == 113


def test_keras_own_weight_decay_is_something_else(problem):
    coupled = run_optimizer(optimizers.CoupledAdam(0.01, l2=0.5), *problem)
    decoupled = run_optimizer(keras.optimizers.Adam(0.01, weight_decay=0.5), *problem)
    for one, other in zip(coupled, decoupled, strict=True):
        assert np.abs(one - other).max() > 1e-3


def test_orthogonalized_keeps_directions_and_evens_out_their_sizes():
    random = np.random.default_rng(0)
    left, _ = np.linalg.qr(random.normal(size=(3 * 3 * 4, 8)))
    right, _ = np.linalg.qr(random.normal(size=(8, 8)))
    kernel = (left * np.geomspace(1, 0.05, 8)) @ right.T
    result = optimizers.orthogonalized(kernel.reshape(3, 3, 4, 8).astype("float32"))
    result = keras.ops.convert_to_numpy(result).reshape(-1, 8)
    sizes = left.T @ result @ right
    np.testing.assert_allclose(result, left @ sizes @ right.T, atol=1e-5)
    np.testing.assert_allclose(sizes, np.diag(np.diag(sizes)), atol=1e-5)
    expected = np.geomspace(1, 0.05, 8)
    expected /= np.linalg.norm(expected)
    for _ in range(3):
        expected = 3.4445 * expected - 4.775 * expected**3 + 2.0315 * expected**5
    np.testing.assert_allclose(np.diag(sizes), expected, rtol=1e-4)
    assert expected.min() > 0.5 and expected.max() < 1.3


def test_muon_turns_kernels_and_leaves_other_weights_to_sgd():
    random = np.random.default_rng(0)
    shapes = [(3, 3, 4, 8), (8, 5), (5,)]
    start, *gradients = (
        [random.normal(size=shape).astype("float32") for shape in shapes] for _ in range(3)
    )
    muon = run_optimizer(optimizers.Muon(0.2, 0.9, relative_rate=0.5), start, gradients)
    sgd = run_optimizer(keras.optimizers.SGD(0.2, 0.9, nesterov=True), start, gradients)
    for result, expected in zip(muon[1:], sgd[1:], strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-5)

    kernel, momentum = start[0], 0
    for gradient, *_ in gradients:
        momentum = 0.6 * momentum + gradient
        step = optimizers.orthogonalized(gradient + 0.6 * momentum)
        kernel = kernel - 0.5 * 0.2 * keras.ops.convert_to_numpy(step)
        kernel *= np.sqrt(8) / np.linalg.norm(kernel)
    np.testing.assert_allclose(muon[0], kernel, rtol=1e-4, atol=1e-6)


def test_muon_survives_saving():
    saved = keras.saving.serialize_keras_object(optimizers.Muon(0.2, 0.9, relative_rate=0.5))
    loaded = keras.saving.deserialize_keras_object(json.loads(json.dumps(saved)))
    assert type(loaded) is optimizers.Muon
    assert (loaded.relative_rate, loaded.momentum, loaded.nesterov) == (0.5, 0.9, True)


def test_optimizer_survives_saving():
    saved = keras.saving.serialize_keras_object(optimizers.CoupledAdam(0.02, l2=0.3))
    loaded = keras.saving.deserialize_keras_object(json.loads(json.dumps(saved)))
    assert type(loaded) is optimizers.CoupledAdam
    assert (loaded.l2, loaded.epsilon) == (0.3, 1e-8)
    assert float(keras.ops.convert_to_numpy(loaded.learning_rate)) == pytest.approx(0.02)


def test_the_rate_rises_and_falls_in_straight_lines():
    rate = optimizers.TriangularRate(peak=2.0, warmup=0.25, steps=40)
    rates = [float(array(rate(step))) for step in range(40)]
    np.testing.assert_allclose(rates[:10], np.arange(0.1, 2, 0.2), rtol=1e-5)
    np.testing.assert_allclose(rates[10:], 2 * (29.5 - np.arange(30)) / 30, rtol=1e-5)
    assert float(array(rate(60))) == 0, "whoever trains on should not climb the loss"
    assert optimizers.TriangularRate(**rate.get_config())(7) == rate(7)

"""Each measurement against a closed form, or against counting by brute force."""

import keras
import numpy as np
import pytest
from keras import layers

from cifar_keras import data, measure, models, results
from cifar_keras.errors import UserError

numpy = keras.ops.convert_to_numpy


def small_net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(3, 3, activation="tanh"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


class TestGradient:
    def test_of_a_polynomial_and_of_its_gradient(self):
        x, y = np.float32([1.0, 2.0, -1.0]), np.float32(3.0)

        def function(points):
            return keras.ops.sum(points[0] ** 3) * points[1]

        first = measure.gradient(function, [x, y])
        assert np.allclose(numpy(first[0]), 9 * x**2) and np.isclose(float(first[1]), 8)
        second = measure.gradient(
            lambda points: keras.ops.sum(measure.gradient(function, points)[0]), [x, y]
        )
        assert np.allclose(numpy(second[0]), 18 * x) and np.isclose(float(second[1]), 18)

    def test_takes_variables_and_gives_zeros_where_nothing_depends(self):
        variable = keras.Variable([2.0, 3.0])
        slope, nothing = measure.gradient(lambda p: keras.ops.sum(p[0] ** 2), [variable, [1.0]])
        assert np.allclose(numpy(slope), [4, 6])
        assert np.allclose(numpy(nothing), [0])


class TestLoss:
    images = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype("float32")
    labels = np.uint8([[0], [1], [1], [0], [1], [0]])

    def test_is_the_mean_cross_entropy_at_the_weights_that_it_is_given(self):
        model = small_net()
        loss = measure.loss_of(model, self.images, self.labels)
        logits = numpy(model(self.images)).astype(float)
        chosen = logits[np.arange(6), self.labels.ravel()]
        expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen)
        assert np.isclose(float(loss(model.trainable_variables)), expected, atol=1e-6)
        zeros = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
        assert np.isclose(float(loss(zeros)), np.log(2), atol=1e-6)

    def test_slopes_are_those_of_finite_differences(self):
        model = small_net()
        loss = measure.loss_of(model, self.images, self.labels)
        weights = [numpy(v).copy() for v in model.trainable_variables]
        slope = numpy(measure.gradient(loss, weights)[0])[1, 2, 0, 1]
        ends = []
        for shift in (0.01, -0.01):
            weights[0][1, 2, 0, 1] += shift
            ends.append(float(loss(weights)))
            weights[0][1, 2, 0, 1] -= shift
        assert np.isclose(slope, (ends[0] - ends[1]) / 0.02, rtol=0.02)

    @pytest.mark.parametrize("count", [0, 3])
    def test_refuses_batches_without_images_or_with_other_labels(self, count):
        with pytest.raises(UserError, match=f"{count} images and 6 labels"):
            measure.loss_of(small_net(), self.images[:count], self.labels)
        with pytest.raises(UserError, match=f"{count} images and 6 labels"):
            measure.scales(models.build_average_pooling(), self.images[:count], self.labels)


class TestLargestEigenvalue:
    # Symmetric, with the eigenvalues -9, 1, 2, ..., 19 and 4.
    eigenvalues = np.array([-9.0, *range(1, 20), 4.0])
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(21, 21)))[0]
    matrix = (basis * eigenvalues @ basis.T).astype("float32")

    def quadratic(self, points):
        """½ xᵀ M x of the points laid end to end."""
        x = keras.ops.concatenate([keras.ops.reshape(p, (-1, 1)) for p in points])
        return keras.ops.sum(x * keras.ops.matmul(self.matrix, x)) / 2

    points = (np.ones((2, 3), "float32"), np.ones(15, "float32"))

    def test_of_a_quadratic_in_several_parts(self):
        found = measure.largest_eigenvalue(self.quadratic, self.points, tolerance=1e-4)
        assert np.isclose(found, 19, rtol=1e-3)

    def test_is_the_largest_and_not_the_largest_in_size(self):
        found = measure.largest_eigenvalue(
            lambda p: -self.quadratic(p), self.points, tolerance=1e-4
        )
        assert np.isclose(found, 9, rtol=1e-3)

    def test_divided_weight_by_weight(self):
        divisors = np.linspace(0.1, 2, 21).astype("float32")
        expected = np.linalg.eigvals(self.matrix / divisors[:, np.newaxis]).real.max()
        parts = [divisors[:6].reshape(2, 3), divisors[6:]]
        found = measure.largest_eigenvalue(self.quadratic, self.points, parts, tolerance=1e-4)
        assert np.isclose(found, expected, rtol=1e-3)

    def test_of_a_network_is_that_of_its_hessian_in_full(self):
        """Softmax regression from zero: H = (I - 1/C) / C ⊗ XᵀX / n, for C classes."""
        x = np.random.default_rng(1).normal(size=(30, 1, 1, 8)).astype("float32")
        model = keras.Sequential(
            [keras.Input((1, 1, 8)), layers.Flatten(), layers.Dense(3, use_bias=False)]
        )
        loss = measure.loss_of(model, x, np.arange(30) % 3)
        rows = x.reshape(30, 8)
        expected = np.linalg.eigvalsh(rows.T @ rows / 30)[-1] / 3
        found = measure.largest_eigenvalue(loss, [np.zeros((8, 3), "float32")], tolerance=1e-4)
        assert np.isclose(found, expected, rtol=1e-3)

    def test_refuses_what_is_not_a_number(self):
        with pytest.raises(UserError, match="not a number"):
            measure.largest_eigenvalue(
                lambda p: keras.ops.sum(p[0] ** 2) * np.float32("nan"), [np.ones(15, "float32")]
            )

    def test_of_one_weight_is_its_second_derivative(self):
        found = measure.largest_eigenvalue(
            lambda p: 1.5 * keras.ops.sum(p[0] ** 2), [np.ones(1, "float32")]
        )
        assert np.isclose(found, 3)

    def test_says_so_where_nothing_is_curved(self):
        with pytest.raises(UserError, match="there is no curvature"):
            measure.largest_eigenvalue(
                lambda p: keras.ops.sum(0 * p[0] ** 2), [np.ones(15, "float32")]
            )

    def test_says_so_when_it_does_not_settle(self, monkeypatch):
        def never(*_, **__):
            raise measure.ArpackNoConvergence("%s", [], [])

        monkeypatch.setattr(measure, "eigsh", never)
        with pytest.raises(UserError, match="does not settle"):
            measure.largest_eigenvalue(self.quadratic, self.points)


class TestNoiseScale:
    def test_of_gradients_with_known_mean_and_spread(self):
        """One image's gradient: mean 0.5 in 400 directions, |G|² = 100; Σ = 4 I, tr Σ = 1,600."""
        images = 0.5 + 2 * np.random.default_rng(0).normal(size=(50, 10, 400))
        scale, noise, signal = measure.noise_scale(images.mean(axis=1), batch_size=10)
        assert np.isclose(noise, 1600, rtol=0.05)
        assert np.isclose(signal, 100, rtol=0.05)
        assert np.isclose(scale, noise / signal)

    def test_is_the_unbiased_estimate(self):
        gradients = np.array([[3.0, 0.0], [1.0, 2.0]])
        _, noise, signal = measure.noise_scale(iter(gradients), batch_size=4)
        assert np.isclose(noise, 4 * gradients.var(axis=0, ddof=1).sum())
        assert np.isclose(signal, gradients[0] @ gradients[1])

    def test_refuses_too_few(self):
        with pytest.raises(UserError, match="1 batches have no spread"):
            measure.noise_scale([np.ones(3)], 64)
        with pytest.raises(UserError, match="2 batches drown in noise"):
            measure.noise_scale([np.ones(3), -np.ones(3)], 64)


class TestReceptiveField:
    @pytest.mark.parametrize("name", ["convolution_1", "convolution_3", "pool_2", "convolution_5"])
    def test_is_what_changing_every_pixel_finds(self, name):
        """Ones for weights; the pixels that change the unit in the middle are counted."""
        model = models.build_average_pooling(input_shape=(64, 64, 3))
        for weight in model.weights:
            weight.assign(np.full(weight.shape, 0.01 if "kernel" in weight.path else 0.0))
        part = keras.Model(model.input, model.get_layer(name).output)
        field, step = measure.receptive_field(model, name)
        pixels = np.zeros((64, 64, 64, 3), "float32")
        pixels[np.arange(64), 32, np.arange(64)] = 1  # one lit pixel in each image, along a row
        lit = numpy(part(pixels))[:, 32 // step, :, 0] > 0
        middle = lit.shape[1] // 2
        assert lit[:, middle].sum() == field
        assert np.flatnonzero(lit[:, middle + 1])[0] - np.flatnonzero(lit[:, middle])[0] == step

    def test_refuses_what_the_recursion_does_not_know(self):
        net = models.build_fully_connected()
        for name, text in (("pool_9", "no layer 'pool_9'"), ("hidden", "no place")):
            with pytest.raises(UserError, match=text):
                measure.receptive_field(net, name)
        with pytest.raises(UserError, match="no place"):
            measure.receptive_field(models.build_maximum_pooling(), "maximum")
        for options, text in (
            (dict(kernel_size=(3, 5)), "not square"),
            (dict(kernel_size=3, dilation_rate=2), "dilated"),
        ):
            odd = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(1, name="c", **options)])
            with pytest.raises(UserError, match=text):
                measure.receptive_field(odd, "c")


class TestCosts:
    def test_are_those_of_loops_written_out(self):
        model = keras.Sequential(
            [
                keras.Input((5, 6, 2)),
                layers.Conv2D(3, 3, strides=2, padding="same", name="c"),
                layers.Flatten(),
                layers.Dense(4, use_bias=False, name="d"),
            ]
        )
        multiply_adds = sum(1 for _ in np.ndindex(3, 3, 3, 3, 2, 3))  # rows, columns, kernel, C, F
        assert measure.costs(model) == {"c": (3 * 3 * 2 * 3 + 3, multiply_adds), "d": (108, 108)}

    def test_add_up_to_the_model(self):
        for variant in results.VARIANTS:
            model = models.build(variant)
            assert sum(p for p, _ in measure.costs(model).values()) == model.count_params()

    def test_of_batch_normalization_are_one_multiply_add_on_each_output(self):
        model = models.build("whitened", widths=[5])
        assert measure.costs(model)["normalization_1"] == (3 * 5, 15 * 15 * 5)

    def test_of_a_shared_layer_are_spent_at_each_use(self):
        arguments = {"widths": [5], "depths": [4]}
        apart, shared = (
            measure.costs(models.build("whitened", **arguments, shared=flag))
            for flag in (False, True)
        )
        one, other = (sum(adds for _, adds in costs.values()) for costs in (apart, shared))
        assert one == other
        assert shared["convolution_2"] == (225, 3 * apart["convolution_2"][1])

    def test_refuse_a_layer_that_they_cannot_count(self):
        model = keras.Sequential([keras.Input((4, 4, 2)), layers.LayerNormalization(name="norm")])
        with pytest.raises(UserError, match="norm is a LayerNormalization"):
            measure.costs(model)


class TestScales:
    def test_of_a_linear_net_follow_its_variances(self):
        """1×1 convolutions without ReLU: E[y²] = n Var(w) E[x²], and backwards with n_out."""
        keras.utils.set_random_seed(0)
        normal = keras.initializers.RandomNormal(stddev=0.05)
        options = dict(kernel_size=1, use_bias=False, kernel_initializer=normal)
        x = inputs = keras.Input((4, 4, 300))
        x = layers.Conv2D(200, name="first", **options)(x)
        x = layers.Conv2D(400, name="second", **options)(x)
        x = layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, layers.Dense(10)(x))
        images = np.random.default_rng(0).normal(size=(20, 4, 4, 300)).astype("float32")
        found = measure.scales(model, images, np.zeros(20, int))
        first, second = found["first"], found["second"]
        assert np.isclose(first[0], 0.05 * 300**0.5, rtol=0.1)
        assert np.isclose(second[0] / first[0], 0.05 * 200**0.5, rtol=0.1)
        assert np.isclose(first[1] / second[1], 0.05 * 400**0.5, rtol=0.1)

    def test_gradients_are_those_of_the_mean_loss(self):
        """Behind one convolution and a mean, dL/dx = (softmax - one-hot) W / (n · positions)."""
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, name="c")(inputs))
        dense = layers.Dense(2)
        model = keras.Model(inputs, dense(x))
        images = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype("float32")
        labels = np.arange(6) % 2
        wrong = numpy(keras.ops.softmax(model(images))) - np.eye(2)[labels]
        slope = wrong @ numpy(dense.kernel).T / (6 * 4)
        found = measure.scales(model, images, labels)["c"][1]
        assert np.isclose(found, np.sqrt(np.mean(slope**2)), rtol=1e-4)

    def test_a_sequential_net_needs_no_call_before(self):
        images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
        found = measure.scales(models.build_fully_connected(), images, np.arange(4))
        assert list(found) == [f"convolution_{number}" for number in range(1, 8)]

    def test_refuse_a_model_without_convolutions(self, small):
        (images, labels), _ = small
        model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10)])
        with pytest.raises(UserError, match="no convolution"):
            measure.scales(model, data.normalize(images), labels)


def test_flatten_lays_end_to_end():
    parts = [keras.Variable([[1.0, 2.0], [3.0, 4.0]]), np.float32([5.0])]
    assert measure.flatten(parts).tolist() == [1, 2, 3, 4, 5]


def test_unflatten_undoes_flatten():
    parts = [np.float32([[1, 2], [3, 4]]), np.float32(5)]
    again = measure.unflatten(measure.flatten(parts), parts)
    for part, same in zip(parts, again, strict=True):
        assert same.dtype == "float32" and same.shape == part.shape and (same == part).all()

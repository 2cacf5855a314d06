"""The whitened net: its layers, its frozen first one, and the recipe that trains it."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from cifar_keras import (
    data,
    environment,
    evaluation,
    layers,
    machine,
    measure,
    models,
    optimizers,
    results,
    study,
    training,
    verification,
)
from cifar_keras.__main__ import main
from cifar_keras.errors import UserError

RECIPE = training.Recipe(
    epochs=3,
    batch_size=32,
    learning_rate=0.1,
    weight_decay=0.01,
    initialization="dirac",
    normalization="standardized",
    momentum=0.9,
    warmup=0.25,
    mirror=True,
    translation=2,
)
MUON = dataclasses.replace(RECIPE, kernel_rate=0.1, weight_decay=0.0)
SMALL = {"widths": [8, 16]}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def record(folder):
    return results.Run("", 0, folder).record


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


# --- The net ------------------------------------------------------------------------------------


def test_counts_and_shapes():
    model = models.build("whitened")
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    kernels = 9 * (24 * 32 + 32 * 32 + 32 * 64 + 3 * 64 * 64)
    assert trainable == kernels + 2 * (32 + 64 + 64) + 64 * 10 == 146_112
    assert model.output_shape == (None, 10)
    assert [model.get_layer(f"pool_{stage}").output.shape[1] for stage in (1, 2, 3)] == [15, 7, 3]
    assert "whitening/kernel" not in [weight.path for weight in model.trainable_weights]


def test_dirac_hands_channels_on_and_draws_the_rest():
    convolution = keras.layers.Conv2D(
        5, 3, padding="same", kernel_initializer=models._kernel_initializer("dirac", 27)
    )
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    outputs = array(convolution(images))
    np.testing.assert_allclose(outputs[..., :3], images, atol=1e-6)
    drawn = array(convolution.kernel)[..., 3:]
    assert np.unique(drawn).size == drawn.size and np.abs(drawn).max() <= 27**-0.5
    assert np.abs(outputs[..., 3:]).max() > 0


def test_dirac_survives_saving():
    saved = keras.saving.serialize_keras_object(models._kernel_initializer("dirac", 27))
    loaded = keras.saving.deserialize_keras_object(json.loads(json.dumps(saved)))
    assert np.array_equal(array(loaded((3, 3, 2, 2)))[1, 1], np.eye(2))


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
    with pytest.raises(UserError, match="give whole numbers from 1, one for each stage"):
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
            return keras.ops.sum(layer(inputs[0], training=True) ** 3)

        outputs = array(layer(images, training=True))
        steps.append(
            [
                outputs,
                array(layer.moving_mean),
                array(layer.moving_variance),
                measure.gradient(loss, [images])[0],
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
    model = models.build("whitened", activation="silu", **SMALL)
    model.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    assert loaded.get_layer("silu_1").activation is layers.silu
    np.testing.assert_allclose(array(loaded(images)), array(model(images)), rtol=1e-5)


def test_two_convolutions_a_stage_by_default():
    one, other = (models.build("whitened", depths=depths) for depths in (None, (2, 2, 2)))
    assert models.architecture(one) == models.architecture(other)


@pytest.mark.parametrize("depths", [(2,), (2, 2, 0), (2, 2, 2.0), 2])
def test_unfit_depths_are_refused(depths):
    with pytest.raises(UserError, match="give whole numbers from 1, one for each of 3 widths"):
        models.build("whitened", depths=depths)


@pytest.mark.parametrize("momentum", [-0.1, 1, "0.9", None])
def test_an_unfit_momentum_is_refused(momentum):
    with pytest.raises(UserError, match=r"momentum is .*must be in \[0, 1\)"):
        models.build("whitened", momentum=momentum)


def test_momentum_is_that_of_every_normalisation():
    found = [
        layer.momentum
        for layer in models.build("whitened", momentum=0.9).layers
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert found == [0.9] * 6


def test_the_activation_follows_every_normalisation():
    names = [layer.name for layer in models.build("whitened", activation="silu").layers]
    assert [name for name in names if "silu" in name] == [f"silu_{i}" for i in range(7)]
    assert not any("relu" in name for name in names)
    with pytest.raises(UserError, match="no activation 'silly'; choose 'relu', 'silu' or 'gelu'"):
        models.build("whitened", activation="silly")


def test_an_unknown_initialization_is_refused():
    with pytest.raises(UserError, match="'orthogonal'; choose one of: pytorch, keras, dirac"):
        models.build("whitened", initialization="orthogonal")


def test_widths_are_in_the_architecture():
    one, other = (models.build("whitened", widths=(8, w)) for w in (8, 9))
    assert models.architecture(one) != models.architecture(other)


# --- The images ---------------------------------------------------------------------------------


def test_shift_moves_each_image_by_its_own_pixels():
    images = np.random.default_rng(1).integers(0, 256, (3, 7, 6, 3), dtype=np.uint8)
    moved = data.shift(images, np.array([2, 0, -1]), np.array([-1, 0, 2]))
    assert moved.dtype == np.uint8 and moved.shape == images.shape
    assert np.array_equal(moved[0, 2:, :-1], images[0, :-2, 1:])
    assert np.array_equal(moved[0, :2, :-1], images[0, 2:0:-1, 1:])  # mirrored at the edge
    assert np.array_equal(moved[1], images[1])
    assert np.array_equal(moved[2, :-1, 2:], images[2, 1:, :-2])


def test_held_out_images_are_training_images(monkeypatch):
    numbers = np.arange(50_000, dtype="uint16")
    parts = (numbers, numbers[:, None]), (numbers[:10_000] + 1, numbers[:10_000])
    monkeypatch.setattr(data, "load_cifar10", lambda: parts)
    (x, y), (x_validation, y_validation) = data.load_data("held-out")
    assert np.array_equal(np.concatenate([x, x_validation]), numbers)
    assert np.array_equal(np.concatenate([y, y_validation])[:, 0], numbers)
    assert len(x_validation) == 5000


def batches(seed, epoch, **changes):
    images = np.random.default_rng(2).normal(size=(40, 8, 8, 3)).astype("float32")
    result = training.ShuffledBatches(images, np.arange(40), 40, seed, **changes)
    result.shuffle(epoch)
    changed, labels = result[0]
    return images, changed[np.argsort(labels)]


def test_two_epochs_show_every_image_both_ways():
    images, even = batches(0, 4, mirror=True)
    _, odd = batches(0, 5, mirror=True)
    as_it_is = (even == images).all(axis=(1, 2, 3))
    assert 10 < as_it_is.sum() < 30
    assert np.array_equal(even[~as_it_is], images[~as_it_is, :, ::-1])
    assert np.array_equal(odd, even[:, :, ::-1])
    assert np.array_equal(even, batches(0, 6, mirror=True)[1])


def test_translation_depends_on_seed_and_epoch_and_reaches_every_place():
    images, moved = batches(0, 0, translation=1)
    centre, places = images[:, 1:-1, 1:-1], set()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            window = moved[:, 1 + down : 7 + down, 1 + right : 7 + right]
            if (window == centre).all(axis=(1, 2, 3)).any():
                places.add((down, right))
    assert len(places) == 9
    assert np.array_equal(moved, batches(0, 0, translation=1)[1])
    for other in ((0, 1), (1, 0)):
        assert not np.array_equal(moved, batches(*other, translation=1)[1])


# --- The recipe ---------------------------------------------------------------------------------


def test_what_is_off_by_default_and_is_off_is_not_in_the_record():
    assert RECIPE.record().keys() == dataclasses.asdict(RECIPE).keys() - {
        "kernel_rate",
        "label_smoothing",
        "test_once",
    }
    for recipe in (RECIPE, training.REFERENCE, dataclasses.replace(RECIPE, weight_decay=0.0)):
        assert training.Recipe(**recipe.record()) == recipe


def test_a_checkpoint_with_what_is_now_off_is_refused(small, tmp_path):
    training.train("whitened", small, RECIPE, directory=tmp_path, verbose=False, **SMALL)
    for off in ({"mirror": False}, {"translation": 0}):
        other = dataclasses.replace(RECIPE, **off)
        with pytest.raises(UserError, match=f"with another {next(iter(off))}; name another"):
            training.train("whitened", small, other, directory=tmp_path, verbose=False, **SMALL)


def test_the_rate_rises_and_falls_in_straight_lines():
    rate = optimizers.TriangularRate(peak=2.0, warmup=0.25, steps=40)
    rates = [float(array(rate(step))) for step in range(40)]
    np.testing.assert_allclose(rates[:10], np.arange(0.1, 2, 0.2), rtol=1e-5)
    np.testing.assert_allclose(rates[10:], 2 * (29.5 - np.arange(30)) / 30, rtol=1e-5)
    assert optimizers.TriangularRate(**rate.get_config())(7) == rate(7)


def test_the_rate_reaches_the_optimizer(small):
    model = models.build("whitened", **SMALL)
    training.fit(training.compile_model(model, RECIPE), small, RECIPE, verbose=False)
    steps = RECIPE.epochs * 5  # of 32 of 130 images
    assert int(array(model.optimizer.iterations)) == steps
    # What another step would have: half a step's fall beyond 0.
    beyond = -RECIPE.learning_rate * 0.5 / steps / (1 - RECIPE.warmup)
    assert float(array(model.optimizer.learning_rate)) == pytest.approx(beyond, rel=1e-3)


def test_smoothed_labels_are_trained_on_and_whole_ones_measured(small, monkeypatch):
    smoothed = dataclasses.replace(RECIPE, epochs=1, learning_rate=1e-9, label_smoothing=0.2)
    fed = []
    monkeypatch.setattr(
        training,
        "ShuffledBatches",
        lambda images, labels, *a, shuffled=training.ShuffledBatches: (
            fed.append(labels),
            shuffled(images, labels, *a),
        )[1],
    )
    model, [row] = training.train("whitened", small, smoothed, verbose=False, **SMALL)
    assert fed[0].shape == (130, 10)
    np.testing.assert_allclose(fed[0].max(axis=1), 0.8 + 0.02, rtol=1e-6)
    np.testing.assert_allclose(fed[0].min(axis=1), 0.02, rtol=1e-6)
    assert np.array_equal(fed[0].argmax(axis=1), small[0][1].ravel())
    (_, _), (images, labels) = small
    logits = array(model(data.normalize(images, "standardized")))
    losses = array(
        keras.losses.sparse_categorical_crossentropy(labels.ravel(), logits, from_logits=True)
    )
    assert row["test_loss"] == pytest.approx(losses.mean(), rel=1e-4)
    assert row["test_accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == labels.ravel()))


def test_decay_takes_from_kernels_alone():
    model = training.compile_model(models.build("whitened", **SMALL), RECIPE)
    before = {weight.path: array(weight) for weight in model.trainable_weights}
    for weight in model.trainable_weights:
        if "beta" in weight.path:
            weight.assign(np.ones(weight.shape))
    model.optimizer.apply(
        [np.zeros(w.shape, "float32") for w in model.trainable_weights], model.trainable_weights
    )
    for weight in model.trainable_weights:
        expected = 1 if "beta" in weight.path else before[weight.path] * (1 - 0.1 * 0.01)
        np.testing.assert_allclose(
            array(weight), np.broadcast_to(expected, weight.shape), rtol=1e-5
        )


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["sgd", "muon"])
def test_resumed_training_is_an_unbroken_one(small, recipe, tmp_path, monkeypatch):
    whole, unbroken = training.train("whitened", small, recipe, verbose=False, **SMALL)
    begin = training.Recorder.on_epoch_begin

    def killed(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Recorder, "on_epoch_begin", killed)
        training.train("whitened", small, recipe, directory=tmp_path, verbose=False, **SMALL)
    assert len(results.read_history(tmp_path / "history.csv")) == 1
    model, history = training.train(
        "whitened", small, recipe, directory=tmp_path, verbose=False, **SMALL
    )
    assert without_seconds(history) == without_seconds(unbroken)
    for one, other in zip(model.weights, whole.weights, strict=True):
        assert np.array_equal(array(one), array(other))


def test_the_test_images_are_looked_at_once(small, tmp_path):
    once = dataclasses.replace(RECIPE, test_once=True)
    _, history = training.train("whitened", small, once, directory=tmp_path, verbose=False, **SMALL)
    assert [np.isnan(row["test_loss"]) for row in history] == [True, True, False]
    read = results.read_history(tmp_path / "history.csv")
    summary = results.summarize(read)
    assert (summary.epochs, summary.best_epoch, summary.lowest_loss_epoch) == (3, 3, 3)
    assert summary.last_accuracy == summary.best_accuracy == history[-1]["test_accuracy"]


def test_a_batch_larger_than_the_data_is_refused(small):
    with pytest.raises(UserError, match="a batch of 131 is more than the 130 training images"):
        training.train("whitened", small, dataclasses.replace(RECIPE, batch_size=131), **SMALL)


# --- As a study, and from the command line ------------------------------------------------------


@pytest.fixture
def described(small_sample, tmp_path, monkeypatch):
    """A small `quick` study in the place of the shipped one."""
    variants = {"quick": {"model": "whitened", "widths": [8, 16]}}
    recipe = dataclasses.replace(RECIPE, epochs=1, test_once=True)
    small = study.Study(tmp_path, "full", recipe, (0, 1), variants, mixed_precision=True)
    monkeypatch.setattr(study, "load", lambda name: small)
    return small


def run(tmp_path, capsys, *arguments):
    status = main(["train", "quick", "--out", str(tmp_path / "out"), *arguments])
    return status, capsys.readouterr()


def test_train_prints_accuracy_seconds_and_parameters(described, tmp_path, capsys):
    status, printed = run(tmp_path, capsys, "--seed", "4")
    folder = tmp_path / "out" / "quick-seed4"
    recorded = record(folder)
    both_ways, accuracy, seconds, parameters = printed.out.splitlines()[-4:]
    assert status == 0 and (folder / "weights.npz").exists()
    assert accuracy == f"test accuracy {recorded['summary']['last_accuracy']:.4f}"
    assert both_ways == f"test accuracy {recorded['accuracy_both_ways']:.4f} with mirror images"
    assert seconds == f"{recorded['seconds']:.0f} seconds"
    # 3x3 kernels from 24 to 8, 8, 16, 16 channels, an offset for each, and the classifier
    expected = 9 * (24 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 2 * (8 + 16) + 160
    assert parameters == f"{expected:,} parameters"
    status, again = run(tmp_path, capsys, "--seed", "4")
    assert status == 0 and again.out.splitlines()[-4:] == printed.out.splitlines()[-4:]


@pytest.mark.parametrize(("target", "status"), [("0.0", 0), ("1.0", 1)])
def test_a_missed_target_is_told(described, tmp_path, capsys, target, status):
    done, printed = run(tmp_path, capsys, "--target", target)
    assert done == status
    assert ("is below the target, 1.0" in printed.err) == (status == 1)


def test_an_unknown_net_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "tiny"])
    assert "invalid choice: 'tiny'" in capsys.readouterr().err


def test_verify_measures_mirrored_images_again(described, small_sample, tmp_path):
    kept = dataclasses.replace(described, seeds=(0,), keep_weights=(0,))
    study.run(kept, verbose=False)
    assert [as_recorded for as_recorded, _ in verification.verify(kept)] == [True]
    path = tmp_path / "quick-seed0" / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"accuracy_both_ways": 0.99}))
    [(as_recorded, line)] = verification.verify(kept)
    assert not as_recorded and "mirror" in line


def test_both_ways_means_the_logits_of_image_and_mirror_image():
    class BrightLeft:
        """Class 0 as sure as the left pixel is bright, class 1 always as sure."""

        def predict(self, images, **_):
            left = images[:, 0, 0, 0]
            return np.stack([left, np.full_like(left, 2.5)], axis=1)

    image = np.float32([[[[3], [1]]]])  # by itself class 0; the mean of both ways is class 1
    assert evaluation.accuracy_both_ways(BrightLeft(), image, np.array([1])) == 1


@pytest.mark.parametrize(
    ("features", "dtype"),
    [
        ("flags : fpu avx2 avx512f avx512_bf16 sse", "mixed_bfloat16"),
        ("flags : amx_bf16 amx_tile", "mixed_bfloat16"),
        ("Features : fp asimd bf16 i8mm", "mixed_bfloat16"),
        ("flags\t\t: fpu avx2 avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(tmp_path, monkeypatch, features, dtype):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    if features:
        (tmp_path / "cpuinfo").write_text(features)
    assert environment.fastest_dtype() == dtype


def test_without_bfloat16_it_says_so_and_trains_in_float32(described, monkeypatch, capsys):
    monkeypatch.setattr(environment, "fastest_dtype", lambda: "float32")
    study.run(described)
    assert "no instructions for bfloat16: training in float32\n" in capsys.readouterr().out
    assert record(described.folder / "quick-seed0")["dtype"] == "float32"


def test_with_bfloat16_layers_compute_in_it_and_logits_stay_whole(described, monkeypatch):
    monkeypatch.setattr(environment, "fastest_dtype", lambda: "mixed_bfloat16")
    built = []
    fit = training.fit
    monkeypatch.setattr(training, "fit", lambda model, *a: (built.append(model), fit(model, *a))[1])
    study.run(described, verbose=False)
    assert built[0].get_layer("convolution_1").compute_dtype == "bfloat16"
    assert built[0].get_layer("logits").compute_dtype == "float32"
    assert record(described.folder / "quick-seed0")["dtype"] == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"

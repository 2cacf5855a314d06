"""The recipe, the order of the batches, what is reported, and a training that was killed."""

import csv
import dataclasses
import errno
import functools
import gc
import io
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_study import FAST, NARROW, array, eagerly

from cifar_keras import data, histories, models, optimizers, results, training
from cifar_keras.errors import UserError

MUON = dataclasses.replace(FAST, kernel_rate=0.3, weight_decay=0.0)
recipe_of = functools.partial(training.Recipe, initialization="keras")  # the practice net's
ONE, SHORT, LONG = (recipe_of(epochs=epochs) for epochs in (1, 2, 4))
# Small, and its dropout has a random state, which a resumed training needs too.
VARIANT, DROPOUT = "practice", {"rate": 0.5, "place": "behind_pools"}


def without_seconds(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


def train(arrays, recipe=SHORT, seed=0, directory=None, variant=VARIANT, **arguments):
    """The history of a training without progress line, its times left out."""
    arguments = (DROPOUT if variant == VARIANT else {}) | arguments
    _, history = training.train(variant, arrays, recipe, seed, directory, False, **arguments)
    return without_seconds(history)


def written(directory):
    return sorted(path.name for path in directory.iterdir())


# --- The recipe ---------------------------------------------------------------------------------


def test_muon_beside_adam_is_refused():
    with pytest.raises(UserError, match="kernel_rate needs SGD"):
        dataclasses.replace(training.REFERENCE, kernel_rate=0.1)


def test_recipe_is_the_reference_projects():
    assert training.REFERENCE.record() == {
        "epochs": 100,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "weight_decay": 1e-6,
        "initialization": "pytorch",
        "normalization": "symmetric",
    }
    optimizer = training.compile_model(models.build("average_pooling")).optimizer
    assert (optimizer.l2, optimizer.weight_decay) == (1e-6, None)


def test_what_is_off_by_default_and_is_off_is_not_in_the_record():
    assert FAST.record().keys() == dataclasses.asdict(FAST).keys() - {
        "kernel_rate",
        "label_smoothing",
        "test_once",
    }
    for recipe in (FAST, training.REFERENCE, dataclasses.replace(FAST, weight_decay=0.0)):
        assert training.Recipe(**recipe.record()) == recipe


def test_the_optimizer_has_the_recipe_s_values():
    """A kernel's step is `kernel_rate` long when the learning rate is at its highest."""
    for recipe, kind in ((FAST, keras.optimizers.SGD), (MUON, optimizers.Muon)):
        model = training.compile_model(models.build("whitened", **NARROW), recipe)
        optimizer = model.optimizer
        assert type(optimizer) is kind and optimizer.nesterov
        assert (optimizer.momentum, optimizer.weight_decay) == (0.9, recipe.weight_decay)
        assert float(array(optimizer.learning_rate)) == pytest.approx(0.1)
    assert optimizer.relative_rate * recipe.learning_rate == pytest.approx(recipe.kernel_rate)


# --- What is reported ---------------------------------------------------------------------------


@eagerly()
def test_loss_is_the_cross_entropy_alone(small):
    _, (images, labels) = small
    # Without steps the weights stay those that predict below; the penalty would be huge.
    recipe = training.Recipe(epochs=1, learning_rate=0.0, weight_decay=1e6)
    model, [row] = training.train("average_pooling", small, recipe, verbose=False)
    logits = model.predict(data.normalize(images), verbose=0).astype("float64")
    chosen = np.take_along_axis(logits, labels.astype(int), axis=1)[:, 0]
    cross_entropy = np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen)
    assert row["test_loss"] == pytest.approx(cross_entropy, rel=1e-5)
    assert row["training_loss"] == pytest.approx(np.log(10), rel=0.02)
    accuracy = np.mean(logits.argmax(axis=1) == labels[:, 0])
    assert row["test_accuracy"] == pytest.approx(accuracy, abs=1e-6)


@pytest.fixture(scope="module")
def unbroken(small):
    """Four epochs from seed 5."""
    return train(small, LONG, seed=5)


@pytest.fixture(scope="module")
def untraced(small):
    """The same, for what does not depend on how TensorFlow computes."""
    with eagerly():
        return train(small, LONG, seed=5)


@eagerly()
def test_history_depends_on_seed_and_penalty_and_on_nothing_else(small, untraced):
    np.random.seed(9)
    keras.utils.set_random_seed(9)
    assert train(small, SHORT, seed=5) == untraced[:2]
    assert [row["epoch"] for row in untraced] == [1, 2, 3, 4]
    other = train(small, ONE, seed=6) + train(small, recipe_of(1, weight_decay=10), seed=5)
    assert len({row["test_loss"] for row in [untraced[0], *other]}) == 3


@pytest.mark.parametrize("initialization", ["pytorch", "keras"])
@eagerly()
def test_recipe_reaches_the_model(initialization):
    images, labels = np.zeros((8, 32, 32, 3), "uint8"), np.zeros((8, 1), "uint8")
    recipe = training.Recipe(
        1, 8, learning_rate=0.0, initialization=initialization, normalization="none"
    )
    model, [row] = training.train("average_pooling", ((images, labels),) * 2, recipe, verbose=False)
    bias = keras.ops.convert_to_numpy(model.get_layer("logits").bias)
    # Black images stay zeros under "none"; with Keras' zero biases all logits are then equal.
    assert (bias == 0).all() == (initialization == "keras")
    assert (row["test_loss"] == pytest.approx(np.log(10))) == (initialization == "keras")


@eagerly()
def test_training_learns(small):
    (images, labels), test = small
    # 32 images, by heart: the loss on them falls well below that of guessing.
    history = train(((images[:32], labels[:32]), test), recipe_of(12, 32), rate=0.0)
    assert history[-1]["training_loss"] < 0.9 * history[0]["training_loss"]


# --- The order of the batches -------------------------------------------------------------------


# Its values tell the places in an image of 4 x 5.
PLACES = np.arange(4 * 5 * 3).reshape(4, 5, 3)
SEEDS, EPOCHS = st.integers(0, 2**32 - 1), st.integers(0, 200)


@st.composite
def shuffled(draw):
    """An epoch's batches of up to 20 images; an image's values tell its label and their places."""
    labels = np.arange(draw(st.integers(1, 20)))
    images = (PLACES.size * labels[:, None, None, None] + PLACES).astype("float32")
    sizes, translations = st.integers(1, len(labels)), st.integers(0, 3)
    result = training.ShuffledBatches(
        images, labels, draw(sizes), draw(SEEDS), draw(st.booleans()), draw(translations)
    )
    result.shuffle(draw(EPOCHS))
    return result


def order(batches):
    return np.concatenate([batches[i][1] for i in range(len(batches))]).tolist()


@given(shuffled())
def test_every_image_once_with_its_label_and_a_smaller_last_batch(batches):
    *sizes, last = [len(batches[i][1]) for i in range(len(batches))]
    assert set(sizes) <= {batches.batch_size} and 1 <= last <= batches.batch_size
    assert sorted(order(batches)) == list(range(len(batches.images)))
    for i in range(len(batches)):
        images, labels = batches[i]
        assert images.dtype == "float32" and images.shape[1:] == PLACES.shape
        assert (images // PLACES.size == labels[:, None, None, None]).all()


@given(shuffled())
def test_an_image_is_moved_and_mirrored_as_it_was_asked_for(batches):
    moves = range(-batches.translation, batches.translation + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(moves, moves))
    ways = data.shift(np.stack([PLACES] * len(down)), down, right)
    ways = [*ways, *ways[:, :, ::-1]] if batches.mirror else ways
    before = batches.images.copy()
    for i in range(len(batches)):
        for image in batches[i][0] % PLACES.size:
            assert any(np.array_equal(image, way) for way in ways)
    assert np.array_equal(batches.images, before)


@given(shuffled(), EPOCHS, EPOCHS)
def test_order_depends_on_seed_and_epoch_alone(batches, epoch, before):
    labels = batches.labels
    images = np.zeros((len(labels), 2, 2, 1), "float32")
    other = training.ShuffledBatches(images, labels, len(labels), batches.seed)
    other.shuffle(before)
    np.random.seed(before)  # must not matter, nor what came before
    for each in (batches, other):
        each.shuffle(epoch)
    assert order(batches) == order(other) == order(other)


def test_every_seed_and_every_epoch_has_its_own_order():
    seen = {tuple(range(50))}
    for seed in range(3):
        batches = training.ShuffledBatches(np.zeros((50, 1, 1, 1)), np.arange(50), 20, seed)
        for epoch in range(3):
            batches.shuffle(epoch)
            seen.add(tuple(order(batches)))
    assert len(seen) == 10


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


def test_training_takes_the_batches_as_they_come(small, monkeypatch):
    taken = []

    class Watched(training.ShuffledBatches):
        def shuffle(self, epoch, logs=None):
            taken.append(f"epoch {epoch}")
            super().shuffle(epoch)

        def __getitem__(self, batch):
            taken.append(batch)
            return super().__getitem__(batch)

    monkeypatch.setattr(training, "ShuffledBatches", Watched)
    train(small, recipe_of(epochs=3, batch_size=26))
    first = taken.index("epoch 0", 1)  # before it, Keras looks at one batch or two
    trained = [x for k in range(3) for x in (f"epoch {k}", *range(5))]
    assert taken[first:] == [*trained, "epoch 0"]  # the last: no images any more


# --- Killed and resumed -------------------------------------------------------------------------

KILLED = """
import sys, time
import numpy as np
from cifar_keras import files, training

moment, folder, arrays = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
def wait_for_the_end(): print("now", flush=True); time.sleep(600)

class Batches(training.ShuffledBatches):
    def shuffle(self, epoch, logs=None):
        self.epoch = epoch
        super().shuffle(epoch)

    def __getitem__(self, batch):
        if moment == "in epoch 3" and (self.epoch, batch) == (2, 2):
            wait_for_the_end()
        return super().__getitem__(batch)

def write(path, content, original=files.write, calls=[]):
    calls.append(path.name)
    if moment == "after checkpoint 1" and calls == ["checkpoint.npz", "history.csv"]:
        wait_for_the_end()
    original(path, content)

training.ShuffledBatches, files.write = Batches, write
training.train(
    sys.argv[4], ((arrays["a"], arrays["b"]), (arrays["c"], arrays["d"])),
    training.Recipe(epochs=4, initialization="keras"), 5, folder, verbose=False,
    rate=0.5, place="behind_pools",
)
"""


@pytest.mark.parametrize(
    ("moment", "finished", "left"),
    [
        ("in epoch 3", 2, ["checkpoint.npz", "history.csv"]),
        ("after checkpoint 1", 1, ["checkpoint.npz"]),
    ],
)
def test_killed_training_goes_on_as_if_unbroken(
    small, tmp_path, unbroken, monkeypatch, moment, finished, left
):
    (a, b), (c, d) = small
    np.savez(tmp_path / "arrays.npz", a=a, b=b, c=c, d=d)
    folder = tmp_path / "run"
    arguments = [moment, str(folder), str(tmp_path / "arrays.npz"), VARIANT]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "now\n"
        process.kill()  # kill -9
    assert process.returncode != 0 and written(folder) == left

    trained = []
    begin = training.Recorder.on_epoch_begin
    monkeypatch.setattr(
        training.Recorder,
        "on_epoch_begin",
        lambda self, epoch, logs=None: (trained.append(epoch), begin(self, epoch))[1],
    )
    # Exact: on one machine and backend the arithmetic repeats bit for bit.
    assert train(small, LONG, seed=5, directory=folder) == unbroken
    assert trained == list(range(finished, 4))


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    """History and files of a finished training of one epoch."""
    folder = tmp_path_factory.mktemp("finished")
    with eagerly():
        history = train(small, ONE, directory=folder)
    return history, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def resumable(finished, tmp_path):
    """A folder with a copy of those files."""
    for name, content in finished[1].items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_history_csv_keeps_every_digit(finished, resumable):
    history, _ = finished
    with (resumable / "history.csv").open() as file:
        rows = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(file)]
    assert without_seconds(rows) == history
    assert list(rows[0]) == ["epoch", *histories.COLUMNS]
    assert rows[0]["seconds"] > 0


def test_finished_training_is_not_trained_again(small, finished, resumable, monkeypatch):
    monkeypatch.setattr(training.Recorder, "on_epoch_begin", lambda *_: pytest.fail("trained"))
    assert train(small, ONE, directory=resumable) == finished[0]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"variant": "average_pooling"}, "model"),
        ({"rate": 0.4}, "model"),
        ({"recipe": dataclasses.replace(ONE, batch_size=32)}, "batch_size"),
        ({"recipe": recipe_of(1, 64, 0.1, 0.2)}, "learning_rate, weight_decay"),
        ({"recipe": dataclasses.replace(ONE, normalization="unit")}, "normalization"),
    ],
)
def test_checkpoint_of_another_training_is_refused(small, resumable, finished, changed, named):
    with pytest.raises(UserError, match=f"checkpoint.npz .* with another {named}; name another"):
        train(small, **{"recipe": ONE, "directory": resumable, **changed})
    assert (resumable / "checkpoint.npz").read_bytes() == finished[1]["checkpoint.npz"]


@pytest.mark.parametrize("part", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_checkpoint_of_other_data_is_refused(small, resumable, part):
    arrays = [[array.copy() for array in pair] for pair in small]
    which, what = part
    arrays[which][what][:5] = (arrays[which][what][:5] + 1) % 10
    with pytest.raises(UserError, match="with another data; name another"):
        train(arrays, ONE, directory=resumable)


def cut(content):
    return content[: len(content) // 2]


def change_a_byte(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def other_archive(content):
    file = io.BytesIO()
    np.savez(file, something=np.zeros(3))
    return file.getvalue()


def changed(change):
    """A damage: a checkpoint whose arrays by name, and what they say of themselves, are changed."""

    def damage(content):
        with np.load(io.BytesIO(content)) as saved:
            arrays = dict(saved)
        meta = json.loads(str(arrays.pop("meta")))
        change(meta, arrays)
        file = io.BytesIO()
        np.savez(file, **arrays, meta=np.array(json.dumps(meta)))
        return file.getvalue()

    return damage


DAMAGES = {
    "cut": cut,
    "a byte": change_a_byte,
    "other archive": other_archive,
    "empty": lambda _: b"",
    "text": lambda _: b"checkpoint",
    "older identity": changed(lambda meta, arrays: meta["identity"].pop("normalization")),
    "identity a list": changed(lambda meta, arrays: meta.update(identity=[1])),
    "identity null": changed(lambda meta, arrays: meta.update(identity=None)),
    "no history": changed(lambda meta, arrays: meta.pop("rows")),
    "history a text": changed(lambda meta, arrays: meta.update(rows="x")),
    "another epoch": changed(lambda meta, arrays: meta["rows"][0].update(epoch=7)),
    "a column less": changed(lambda meta, arrays: meta["rows"][0].pop("seconds")),
    "no number": changed(lambda meta, arrays: meta["rows"][0].update(seconds="x")),
    "moved nowhere": changed(lambda meta, arrays: meta.update(trained_on=5)),
    "moved null": changed(lambda meta, arrays: meta.update(trained_on=[None])),
    "a variable less": changed(lambda meta, arrays: arrays.pop("variable_3")),
    "other shapes": changed(lambda meta, arrays: arrays.update(variable_0=np.zeros(3))),
    "NaN": changed(lambda meta, arrays: arrays["variable_0"].fill(np.nan)),
    "strings": changed(lambda meta, arrays: arrays.update(variable_0=np.array(["x"]))),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_checkpoint_is_named_and_left(small, resumable, damage):
    path = resumable / "checkpoint.npz"
    path.write_bytes(damage(path.read_bytes()))
    before = {p.name: p.read_bytes() for p in resumable.iterdir()}
    with pytest.raises(UserError, match=r"checkpoint\.npz .*delete it") as caught:
        train(small, ONE, directory=resumable)
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in resumable.iterdir()} == before


# --- What goes wrong ----------------------------------------------------------------------------


@eagerly()
def test_diverging_loss_is_an_error(small, tmp_path):
    recipe = recipe_of(epochs=3, learning_rate=1e20)
    with pytest.raises(UserError, match=r"no longer a number in epoch 1; try a lower"):
        train(small, recipe, directory=tmp_path / "run")


@eagerly()
def test_epochs_before_a_diverging_one_are_kept(small, tmp_path, monkeypatch, untraced):
    finish = training.Recorder.on_epoch_end

    def spoilt(self, epoch, logs):
        finish(self, epoch, {**logs, "loss": float("nan")} if epoch == 2 else logs)

    with monkeypatch.context() as patch:
        patch.setattr(training.Recorder, "on_epoch_end", spoilt)
        with pytest.raises(UserError, match="no longer a number in epoch 3"):
            train(small, LONG, seed=5, directory=tmp_path)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
    assert train(small, LONG, seed=5, directory=tmp_path) == untraced


def fill(monkeypatch, function, writes):
    """Let the disk be full after so many writes; `function` is the one that finds out."""
    owner = os if function == "replace" else Path
    original, calls = getattr(owner, function), []

    def full(path, content):
        calls.append(path)
        if len(calls) <= writes:
            return original(path, content)
        if owner is Path:
            original(path, bytes(content)[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(owner, function, full)


# Full before the third checkpoint, and between it and its history.
@pytest.mark.parametrize(("function", "writes"), [("write_bytes", 4), ("replace", 5)])
@eagerly()
def test_full_disk_loses_nothing(small, tmp_path, monkeypatch, untraced, function, writes):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        fill(patch, function, writes)
        with pytest.raises(UserError, match=r"cannot write .* \(No space left on device\); make"):
            train(small, LONG, seed=5, directory=folder)
    assert written(folder) == ["checkpoint.npz", "history.csv"]
    assert len((folder / "history.csv").read_text().splitlines()) == 3
    assert train(small, LONG, seed=5, directory=folder) == untraced


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y + np.uint8(1), r"labels must be in 0\.\.9, got \d\.\.10"),
        (lambda y: y.astype("int64") - 1, r"labels must be in 0\.\.9, got -1"),
        (lambda y: y.astype("float32"), "labels must be integers"),
        (lambda y: np.eye(10, dtype="uint8")[y[:, 0]], "class numbers"),
        (lambda y: y[:-1], r"(130|60) images.*(129|59) labels"),
    ],
    ids=["ten", "minus one", "float", "one-hot", "one too few"],
)
def test_unfit_labels_are_refused(small, tmp_path, which, change, message):
    arrays = list(small)
    arrays[which] = (small[which][0], change(small[which][1]))
    with pytest.raises(UserError, match=message):
        train(arrays, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@eagerly()
def test_without_classifier_labels_may_go_to_255(small):
    (images, labels), test = small
    arrays = (images, labels + np.uint8(246)), test
    assert len(train(arrays, ONE, variant="average_pooling", classifier=False)) == 1
    with pytest.raises(UserError, match="labels must be in"):
        train(arrays, ONE, variant="average_pooling")


def test_scaled_images_are_refused(small):
    (images, labels), test = small
    with pytest.raises(UserError, match="leave normalize out"):
        train(((images / 255, labels), test))


def test_the_images_are_let_go_after_the_training(small, monkeypatch):
    normalized = []

    def normalize(images, method, original=data.normalize):
        result = original(images, method)
        normalized.append(weakref.ref(result))
        return result

    monkeypatch.setattr(data, "normalize", normalize)
    train(small, ONE)
    gc.collect()
    assert [reference() is None for reference in normalized] == [True, True]


# --- The fast nets' recipe -----------------------------------------------------------------------


@eagerly()
def test_a_checkpoint_with_what_is_now_off_is_refused(small, tmp_path):
    training.train("whitened", small, FAST, directory=tmp_path, verbose=False, **NARROW)
    for off in ({"mirror": False}, {"translation": 0}):
        other = dataclasses.replace(FAST, **off)
        with pytest.raises(UserError, match=f"with another {next(iter(off))}; name another"):
            training.train("whitened", small, other, directory=tmp_path, verbose=False, **NARROW)


@eagerly()
def test_the_rate_reaches_the_optimizer(small):
    model = models.build("whitened", **NARROW)
    training.fit(training.compile_model(model, FAST), small, FAST, verbose=False)
    steps = FAST.epochs * 5  # of 32 of 130 images
    assert int(array(model.optimizer.iterations)) == steps
    model.optimizer.iterations.assign(steps - 1)  # the last: half a step's fall above 0
    last = FAST.learning_rate * 0.5 / steps / (1 - FAST.warmup)
    assert float(array(model.optimizer.learning_rate)) == pytest.approx(last, rel=1e-3)


@eagerly()
def test_smoothed_labels_are_trained_on_and_whole_ones_measured(small, monkeypatch):
    smoothed = dataclasses.replace(FAST, epochs=1, learning_rate=1e-9, label_smoothing=0.2)
    fed = []
    monkeypatch.setattr(
        training,
        "ShuffledBatches",
        lambda images, labels, *a, shuffled=training.ShuffledBatches: (
            fed.append(labels),
            shuffled(images, labels, *a),
        )[1],
    )
    model, [row] = training.train("whitened", small, smoothed, verbose=False, **NARROW)
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
    model = training.compile_model(models.build("whitened", **NARROW), FAST)
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


@pytest.mark.parametrize("recipe", [FAST, MUON], ids=["sgd", "muon"])
def test_resumed_training_is_an_unbroken_one(small, recipe, tmp_path, monkeypatch):
    whole, unbroken = training.train("whitened", small, recipe, verbose=False, **NARROW)
    begin = training.Recorder.on_epoch_begin

    def killed(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Recorder, "on_epoch_begin", killed)
        training.train("whitened", small, recipe, directory=tmp_path, verbose=False, **NARROW)
    assert len(histories.read(tmp_path / "history.csv")) == 1
    model, history = training.train(
        "whitened", small, recipe, directory=tmp_path, verbose=False, **NARROW
    )
    assert without_seconds(history) == without_seconds(unbroken)
    for one, other in zip(model.weights, whole.weights, strict=True):
        assert np.array_equal(array(one), array(other))


@eagerly()
def test_the_test_images_are_looked_at_once(small, tmp_path):
    once = dataclasses.replace(FAST, test_once=True)
    _, history = training.train(
        "whitened", small, once, directory=tmp_path, verbose=False, **NARROW
    )
    assert [np.isnan(row["test_loss"]) for row in history] == [True, True, False]
    read = histories.read(tmp_path / "history.csv")
    summary = results.summarize(read)
    assert (summary.epochs, summary.best_epoch, summary.lowest_loss_epoch) == (3, 3, 3)
    assert summary.last_accuracy == summary.best_accuracy == history[-1]["test_accuracy"]


def test_a_batch_larger_than_the_data_is_refused(small):
    with pytest.raises(UserError, match="a batch of 131 is more than the 130 training images"):
        training.train("whitened", small, dataclasses.replace(FAST, batch_size=131), **NARROW)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_seeds_that_no_backend_takes_are_refused(small, seed):
    with pytest.raises(UserError, match="the seed is .*; give a whole number from 0"):
        training.train("average_pooling", small, ONE, seed=seed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays[0], "arrays must be"),
        (lambda arrays: (arrays[0], (arrays[1][0][:, :28, :28], arrays[1][1])), "the shape .*28"),
        (lambda arrays: (arrays[0], (arrays[1][0][:0], arrays[1][1][:0])), "give at least one"),
    ],
)
def test_arrays_of_another_form_are_named(small, change, message):
    with pytest.raises(UserError, match=message):
        training.train("average_pooling", change(small), ONE, verbose=False)

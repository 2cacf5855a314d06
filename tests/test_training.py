"""The recipe, its optimizer, the order of the batches, and a training that was killed."""

import csv
import dataclasses
import errno
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

from cifar_keras import callbacks, data, environment, models, optimizers, training
from cifar_keras.errors import UserError

ONE, SHORT, LONG = (training.Recipe(epochs=epochs) for epochs in (1, 2, 4))
# Its dropout has a random state, which a resumed training needs too.
VARIANT = "average_pooling_dropout"


def without_seconds(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


def train(arrays, recipe=SHORT, seed=0, directory=None, variant=VARIANT, **arguments):
    """The history of a training without progress line, its times left out."""
    _, history = training.train(variant, arrays, recipe, seed, directory, False, **arguments)
    return without_seconds(history)


def written(directory):
    return sorted(path.name for path in directory.iterdir())


# --- The optimizer ------------------------------------------------------------------------------


def run_optimizer(optimizer, start, gradients):
    """The variables' values after steps with these gradients."""
    variables = [keras.Variable(value) for value in start]
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


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
    assert np.diag(sizes).min() > 0.5 and np.diag(sizes).max() < 1.3


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


def test_muon_beside_adam_is_refused():
    recipe = dataclasses.replace(training.REFERENCE, kernel_rate=0.1)
    with pytest.raises(UserError, match="kernel_rate needs SGD"):
        training.compile_model(models.build_average_pooling(), recipe)


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


# --- What is reported ---------------------------------------------------------------------------


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


def test_history_depends_on_seed_and_penalty_and_on_nothing_else(small, unbroken):
    np.random.seed(9)
    keras.utils.set_random_seed(9)
    assert train(small, SHORT, seed=5) == unbroken[:2]
    assert [row["epoch"] for row in unbroken] == [1, 2, 3, 4]
    other = train(small, ONE, seed=6) + train(small, training.Recipe(1, weight_decay=10), seed=5)
    assert len({row["test_loss"] for row in [unbroken[0], *other]}) == 3


@pytest.mark.parametrize("initialization", ["pytorch", "keras"])
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


def test_training_learns(small):
    (images, labels), test = small
    recipe = training.Recipe(epochs=12, batch_size=32, initialization="keras")
    # 32 images, by heart: the loss on them falls well below that of guessing.
    history = train(((images[:32], labels[:32]), test), recipe, variant="average_pooling")
    assert history[-1]["training_loss"] < 0.9 * history[0]["training_loss"]


def test_history_rows_joins_consecutive_fits():
    class Fit:
        def __init__(self, *values):
            keys = ("loss", "accuracy", "val_loss", "val_accuracy")
            self.history = {key: [v + i for v in values] for i, key in enumerate(keys)}

    rows = training.history_rows(Fit(10, 20), Fit(30))
    assert [list(row.values()) for row in rows] == [
        [1, 10, 11, 12, 13],
        [2, 20, 21, 22, 23],
        [3, 30, 31, 32, 33],
    ]
    assert list(rows[0]) == ["epoch", *training.COLUMNS]


# --- The order of the batches -------------------------------------------------------------------


def numbered(seed):
    """Batches of 20 of 50 images; every image's pixels hold its label."""
    labels = np.arange(50)
    images = np.broadcast_to(labels[:, None, None, None], (50, 2, 2, 3))
    return training.ShuffledBatches(images, labels, 20, seed)


def order(batches):
    return np.concatenate([batches[i][1] for i in range(len(batches))]).tolist()


def test_every_image_once_with_its_label_and_a_smaller_last_batch():
    batches = numbered(seed=0)
    assert [len(batches[i][1]) for i in range(len(batches))] == [20, 20, 10]
    assert sorted(order(batches)) == list(range(50))
    for i in range(len(batches)):
        images, labels = batches[i]
        assert (images == labels[:, None, None, None]).all()


def test_order_depends_on_seed_and_epoch_alone():
    seen = {}
    for seed in range(3):
        batches = numbered(seed)
        for epoch in range(3):
            batches.shuffle(epoch)
            seen[seed, epoch] = order(batches)
    assert len({tuple(o) for o in seen.values()} | {tuple(range(50))}) == 10
    for (seed, epoch), expected in reversed(seen.items()):
        np.random.seed(epoch)  # must not matter, nor what came before
        batches = numbered(seed)
        batches.shuffle(epoch)
        assert order(batches) == expected == order(batches)


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
    train(small, training.Recipe(epochs=5, batch_size=26), variant="average_pooling")
    first = taken.index("epoch 0", 1)  # before it, Keras looks at one batch or two
    assert taken[first:] == [x for k in range(5) for x in (f"epoch {k}", *range(5))]


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
    training.Recipe(epochs=4), 5, folder, verbose=False,
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
    assert list(rows[0]) == ["epoch", *training.COLUMNS, "seconds"]
    assert rows[0]["seconds"] > 0


def test_finished_training_is_not_trained_again(small, finished, resumable, monkeypatch):
    monkeypatch.setattr(training.Recorder, "on_epoch_begin", lambda *_: pytest.fail("trained"))
    assert train(small, ONE, directory=resumable) == finished[0]


def test_a_training_that_moved_says_what_computed_which_epochs(tmp_path, monkeypatch):
    here = {"backend": keras.backend.backend(), "threads": environment.threads()}
    for epochs, device in ((2, "a GPU"), (3, "a processor"), (4, "a processor")):
        monkeypatch.setattr(environment, "device", lambda name=device: name)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["accuracy"])
        recorder = training.Recorder(tmp_path)
        done = recorder.restore(model)
        model.fit(
            np.ones((4, 1)),
            np.ones(4),
            initial_epoch=done,
            epochs=epochs,
            verbose=0,
            callbacks=[recorder],
        )
    assert callbacks.read_trained_on(tmp_path) == [
        {"first_epoch": 1, "last_epoch": 2, "device": "a GPU", **here},
        {"first_epoch": 3, "last_epoch": 4, "device": "a processor", **here},
    ]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"variant": "average_pooling"}, "model"),
        ({"rate": 0.4}, "model"),
        ({"recipe": dataclasses.replace(ONE, batch_size=32)}, "batch_size"),
        ({"recipe": training.Recipe(1, 64, 0.1, 0.2)}, "learning_rate, weight_decay"),
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


def older_identity(content):
    """A checkpoint whose identity lacks a name, as one of another version may."""
    with np.load(io.BytesIO(content)) as saved:
        arrays = dict(saved)
    meta = json.loads(str(arrays["meta"]))
    del meta["identity"]["normalization"]
    file = io.BytesIO()
    np.savez(file, **arrays | {"meta": np.array(json.dumps(meta))})
    return file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [cut, change_a_byte, other_archive, older_identity, lambda _: b"", lambda _: b"checkpoint"],
    ids=["cut", "a byte", "other archive", "older identity", "empty", "text"],
)
def test_damaged_checkpoint_is_named_and_left(small, resumable, damage):
    path = resumable / "checkpoint.npz"
    path.write_bytes(damage(path.read_bytes()))
    before = {p.name: p.read_bytes() for p in resumable.iterdir()}
    with pytest.raises(UserError, match=r"checkpoint\.npz .*delete it") as caught:
        train(small, ONE, directory=resumable)
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in resumable.iterdir()} == before


# --- What goes wrong ----------------------------------------------------------------------------


def test_diverging_loss_is_an_error(small, tmp_path):
    recipe = training.Recipe(epochs=3, learning_rate=1e20)
    with pytest.raises(UserError, match="no longer a number in epoch 1; .*learning rate"):
        train(small, recipe, directory=tmp_path / "run")


def test_epochs_before_a_diverging_one_are_kept(small, tmp_path, monkeypatch, unbroken):
    finish = training.Recorder.on_epoch_end

    def spoilt(self, epoch, logs):
        finish(self, epoch, {**logs, "loss": float("nan")} if epoch == 2 else logs)

    with monkeypatch.context() as patch:
        patch.setattr(training.Recorder, "on_epoch_end", spoilt)
        with pytest.raises(UserError, match="no longer a number in epoch 3"):
            train(small, LONG, seed=5, directory=tmp_path)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
    assert train(small, LONG, seed=5, directory=tmp_path) == unbroken


@pytest.mark.parametrize("key", training.COLUMNS.values())
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_every_figure_must_be_a_number(key, value):
    recorder = training.Recorder()
    recorder.on_epoch_begin(0)
    with pytest.raises(UserError, match="no longer a number in epoch 1"):
        recorder.on_epoch_end(0, dict.fromkeys(training.COLUMNS.values(), 0.5) | {key: value})
    assert recorder.rows == []


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
def test_full_disk_loses_nothing(small, tmp_path, monkeypatch, unbroken, function, writes):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        fill(patch, function, writes)
        with pytest.raises(UserError, match=r"cannot write .* \(No space left on device\); make"):
            train(small, LONG, seed=5, directory=folder)
    assert written(folder) == ["checkpoint.npz", "history.csv"]
    assert len((folder / "history.csv").read_text().splitlines()) == 3
    assert train(small, LONG, seed=5, directory=folder) == unbroken


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
    training.train("average_pooling", small, ONE, verbose=False)
    gc.collect()
    assert [reference() is None for reference in normalized] == [True, True]

"""How a model is trained: the reference recipe, `model.fit`, progress, and resuming."""

import csv
import dataclasses
import hashlib
import io
import json
import math
import time
import zipfile
from pathlib import Path

import keras
import numpy as np

from cifar_keras import data, files, models
from cifar_keras.errors import UserError

# Columns of a history, and the names under which Keras reports them.
COLUMNS = {
    "training_loss": "loss",
    "training_accuracy": "accuracy",
    "test_loss": "val_loss",
    "test_accuracy": "val_accuracy",
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Every value that a training depends on besides the model, the data and the seed.

    The defaults are the reference project's recipe.
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    # Coupled: added to the gradient as L2, as in torch.optim.Adam(weight_decay=1e-6).
    weight_decay: float = 1e-6
    initialization: str = "pytorch"
    normalization: str = "symmetric"


REFERENCE = Recipe()


@keras.saving.register_keras_serializable(package="cifar_keras")
class CoupledAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba, arXiv 1412.6980) on the gradient plus `l2` times the weight.

    This is PyTorch's `Adam(weight_decay=l2)`: the penalty passes through Adam's moments and
    applies to every trainable variable, biases too. Keras' own `weight_decay` is decoupled
    (AdamW, arXiv 1711.05101): it shrinks the weights beside the moments.
    """

    def __init__(self, learning_rate=1e-3, l2=0.0, epsilon=1e-8, **arguments):
        super().__init__(learning_rate=learning_rate, epsilon=epsilon, **arguments)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        penalized = gradient + self.l2 * keras.ops.cast(variable, gradient.dtype)
        super().update_step(penalized, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}


def compile_model(model, recipe=REFERENCE):
    """Compiles `model` (logits out) with the recipe's optimizer and cross-entropy; returns it.

    The penalty sits in the optimizer, so the reported loss is the cross-entropy alone (in nats).
    """
    model.compile(
        optimizer=CoupledAdam(recipe.learning_rate, l2=recipe.weight_decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # JAX needs its compiler; TensorFlow on a CPU is faster without XLA.
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


class ShuffledBatches(keras.utils.PyDataset):
    """Batches in an order that depends on the seed and the epoch alone.

    A training that resumes at epoch k therefore sees the very batches of an unbroken one.

    Args:
        images: float32 (n, height, width, channels); labels: integers (n,) or (n, 1).
        batch_size: images in a batch; the last batch of an epoch may be smaller.
        seed: seed of the order.
    """

    def __init__(self, images, labels, batch_size, seed):
        super().__init__()
        self.images, self.labels, self.batch_size, self.seed = images, labels, batch_size, seed
        self.shuffle(0)

    def shuffle(self, epoch):
        """Takes the order of an epoch, counted from 0."""
        self.order = np.random.default_rng((self.seed, epoch)).permutation(len(self.images))

    def __len__(self):
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, batch):
        chosen = self.order[batch * self.batch_size : (batch + 1) * self.batch_size]
        return self.images[chosen], self.labels[chosen]


class Progress(keras.callbacks.Callback):
    """One line, rewritten in place, in a terminal and in a notebook: how far, how well, how long.

    Behind the bar stand the epoch, then the accuracy of the last finished epoch on training and
    test images, then the time left.

    Args:
        label: what is being trained, at the head of the line.
    """

    def __init__(self, label=""):
        super().__init__()
        self.label = label

    def on_train_begin(self, logs=None):
        self.start, self.steps_done, self.first_epoch, self.last = time.monotonic(), 0, None, ""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.first_epoch = epoch if self.first_epoch is None else self.first_epoch

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += 1
        if self.steps_done % 10 == 0:
            self._show()

    def on_epoch_end(self, epoch, logs=None):
        self.last = f"  train {logs['accuracy']:.3f}"
        if "val_accuracy" in logs:
            self.last += f"  test {logs['val_accuracy']:.3f}"
        self._show()

    def on_train_end(self, logs=None):
        print(flush=True)

    def _show(self):
        epochs, steps = self.params["epochs"], self.params["steps"]
        elapsed = time.monotonic() - self.start
        total = (epochs - self.first_epoch) * steps
        left = elapsed / self.steps_done * (total - self.steps_done)
        filled = round(10 * self.steps_done / total)
        bar = "█" * filled + "░" * (10 - filled)
        clock = f"{left // 60:.0f}:{left % 60:02.0f} left" if left >= 0.5 else f"{elapsed:.0f} s"
        line = f"{self.label} {bar} {self.epoch + 1:>2}/{epochs}{self.last}  {clock}"
        # Padded over what stood there before, within a terminal of 80 columns.
        print(f"\r{line.strip():<79}", end="", flush=True)


class Recorder(keras.callbacks.Callback):
    """Keeps the history, and with a directory everything that a killed training needs to go on.

    After every epoch `checkpoint.npz` (variables of model and optimizer, random states of the
    dropout layers, and the history so far, in one file) and then `history.csv` are replaced as
    a whole, so neither is ever half-written and a kill between the two loses nothing.

    Args:
        directory: folder for the two files, or None to keep the history in memory only.
        identity: names and values that tell this training from any other; a checkpoint in
            which one of them differs is refused.
    """

    def __init__(self, directory=None, identity=None):
        super().__init__()
        self.directory = None if directory is None else Path(directory)
        self.identity = identity or {}
        self.rows = []

    def restore(self, model):
        """Loads the checkpoint, if there is one, into the compiled `model`.

        Returns the number of finished epochs.

        Raises:
            UserError: the checkpoint is damaged or belongs to another training.
        """
        path = None if self.directory is None else self.directory / "checkpoint.npz"
        if path is None or not path.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        variables = model.variables + model.optimizer.variables
        try:
            with np.load(path, allow_pickle=False) as saved:
                meta = json.loads(str(saved["meta"]))
                values = [saved[f"variable_{i}"] for i in range(meta["variables"])]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is damaged ({error}); delete it to start again") from error
        other = [
            name for name, value in self.identity.items() if meta["identity"].get(name) != value
        ]
        if other:
            raise UserError(
                f"{path} belongs to a training with another {', '.join(other)}; "
                "name another folder or delete it"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.rows = meta["rows"]
        files.write(self.directory / "history.csv", history_csv(self.rows).encode())
        return len(self.rows)

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(logs[key]) for name, key in COLUMNS.items()}
        if not all(math.isfinite(value) for value in row.values()):
            raise UserError(
                f"the loss is no longer a number in epoch {epoch + 1}; the epochs before it are "
                "kept. Try a lower learning rate."
            )
        seconds = round(time.monotonic() - self.start, 2)
        self.rows.append({"epoch": epoch + 1, **row, "seconds": seconds})
        if self.directory is not None:
            self._save()

    def _save(self):
        variables = self.model.variables + self.model.optimizer.variables
        meta = {"identity": self.identity, "rows": self.rows, "variables": len(variables)}
        arrays = {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
        checkpoint = io.BytesIO()
        np.savez(checkpoint, meta=np.array(json.dumps(meta)), **arrays)
        files.write(self.directory / "checkpoint.npz", checkpoint.getbuffer())
        files.write(self.directory / "history.csv", history_csv(self.rows).encode())


def history_rows(*fits):
    """The Keras histories of one training, in order, as a list with one dict an epoch.

    Args:
        fits: what consecutive `model.fit` calls with validation data returned.

    Returns:
        Dicts of epoch (from 1) and the columns in `COLUMNS`.
    """
    logs = {key: [v for fit in fits for v in fit.history[key]] for key in COLUMNS.values()}
    return [
        {"epoch": epoch, **dict(zip(COLUMNS, values, strict=True))}
        for epoch, values in enumerate(zip(*logs.values(), strict=True), start=1)
    ]


def history_csv(rows):
    """A history (list of one dict an epoch) as CSV text, numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *COLUMNS, "seconds"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def fit(model, arrays, recipe=REFERENCE, seed=0, directory=None, verbose=True):
    """Trains a compiled model with `model.fit`; goes on where a killed training stopped.

    Args:
        model: compiled, logits out.
        arrays: `((x_train, y_train), (x_test, y_test))` as the loaders in `data` return them,
            uint8. As in the reference project the test images are looked at after every epoch
            and choose nothing.
        recipe, seed: what to do, and the seed of the batches' order.
        directory: folder for `history.csv` and `checkpoint.npz`; None keeps nothing on disk.
        verbose: show a progress line, headed by the model's name.

    Returns:
        The history, a list with one dict an epoch: epoch (from 1), training and test
        cross-entropy in nats, training and test accuracy in [0, 1], seconds. The training
        figures are running means over the epoch, dropout switched on.

    Raises:
        UserError: unfit arrays, a full disk, a checkpoint of another training, or a loss that
            is no longer a number.
    """
    (x_train, y_train), (x_test, y_test) = arrays
    for images, labels in arrays:
        data.check_labels(labels, model.output_shape[-1])
        if len(images) != len(labels):
            raise UserError(f"{len(images)} images have {len(labels)} labels; give one for each")
    identity = {
        "model": models.architecture(model),
        "data": [data.array_hash(array) for part in arrays for array in part],
        "seed": seed,
        **dataclasses.asdict(recipe),
    }
    recorder = Recorder(directory, identity)
    done = recorder.restore(model)
    images = data.normalize(x_train, recipe.normalization)
    batches = ShuffledBatches(images, y_train, recipe.batch_size, seed)

    def begin_epoch(epoch, logs):
        batches.shuffle(epoch)
        if keras.backend.backend() == "torch":
            # There, dropout draws from PyTorch's global random state, which no checkpoint holds.
            keras.utils.set_random_seed(int(np.random.default_rng((seed, epoch)).integers(2**31)))

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=begin_epoch), recorder]
    model.fit(
        batches,
        shuffle=False,  # Keras would shuffle the batches again, by a state that is not resumed
        validation_data=(data.normalize(x_test, recipe.normalization), y_test),
        validation_batch_size=500,
        epochs=recipe.epochs,
        initial_epoch=done,
        verbose=0,
        callbacks=[*callbacks, *([Progress(model.name)] if verbose else [])],
    )
    return recorder.rows


def recipe_hash(model, recipe):
    """SHA-256, in hexadecimal, of all that the code puts into a training: recipe and architecture.

    The seed and the data are not in it. A recorded run whose hash differs from today's was
    trained by another recipe.
    """
    content = {"recipe": dataclasses.asdict(recipe), "model": models.architecture(model)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def train(variant, arrays, recipe=REFERENCE, seed=0, directory=None, verbose=True, **arguments):
    """Seeds, builds, compiles and fits one variant: a whole training in one call.

    Args:
        variant: a name in `models.MODELS`; `arguments` go to its builder.
        arrays, recipe, seed, directory, verbose: as in `fit`.

    Returns:
        (model, history).
    """
    keras.utils.set_random_seed(seed)
    model = models.build(variant, initialization=recipe.initialization, **arguments)
    compile_model(model, recipe)
    return model, fit(model, arrays, recipe, seed, directory, verbose=verbose)

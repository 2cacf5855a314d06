"""What happens during `model.fit` besides the steps: progress line, history, checkpoint."""

import io
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_keras.environment import keras

import numpy as np

from cifar_keras import environment, files, histories, terminal
from cifar_keras.errors import UserError
from cifar_keras.histories import COLUMNS, History

# Columns of a history that Keras reports, and their names there.
KERAS_NAMES = {
    "training_loss": "loss",
    "training_accuracy": "accuracy",
    "test_loss": "val_loss",
    "test_accuracy": "val_accuracy",
}
# Of a history's columns, those that are numbers in every epoch.
SEEN_ALWAYS = ("training_loss", "training_accuracy", "seconds")


class EpochOrder(keras.callbacks.Callback):
    """Has the batches take the order of the epoch that begins.

    Args:
        batches: a `training.ShuffledBatches`.
    """

    def __init__(self, batches: keras.utils.PyDataset):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.shuffle(epoch)
        if keras.backend.backend() == "torch":
            # There, dropout draws from PyTorch's global random state, which no checkpoint holds.
            seeds = np.random.default_rng((self.batches.seed, epoch))
            keras.utils.set_random_seed(int(seeds.integers(2**31)))


class Progress(keras.callbacks.Callback):
    """How far, how well, how long: one line, rewritten in place in a terminal and in a notebook.

    Behind the bar stand the epoch, then the accuracy (without one, the loss) of the last finished
    epoch on training and test images, then the time left. In a file or a pipe each epoch is a line.

    Args:
        label: what is being trained, at the head of the line.
    """

    def __init__(self, label: str = ""):
        super().__init__()
        self.label = label

    def on_train_begin(self, logs=None):
        self.start, self.updates, self.first_epoch, self.last = time.monotonic(), 0, None, ""
        self.steps = self.params.get("steps")  # None: a generator, whose end nobody knows

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.step = epoch, 0
        self.first_epoch = epoch if self.first_epoch is None else self.first_epoch

    def on_train_batch_end(self, batch, logs=None):
        self.step = batch + 1  # with several steps an update not every batch ends here
        self.updates += 1
        if self.updates % 10 == 0 and terminal.in_place(sys.stdout):
            self._show()

    def on_epoch_end(self, epoch, logs=None):
        self.steps = self.steps or self.step
        logs = logs or {}
        accuracies = (n for n in logs if n.endswith(("acc", "accuracy")))
        name = next((n for n in accuracies if not n.startswith("val_")), "loss")
        shown = "loss " if name == "loss" else ""
        self.last = f"  train {shown}{logs[name]:.3f}" if name in logs else ""
        if f"val_{name}" in logs:
            self.last += f"  test {shown}{logs[f'val_{name}']:.3f}"
        self._show()

    def on_train_end(self, logs=None):
        terminal.end_line()

    def _show(self):
        epochs = self.params["epochs"]
        of_epoch = min(1, self.step / self.steps) if self.steps else 0
        done = (self.epoch - self.first_epoch + of_epoch) / (epochs - self.first_epoch)
        filled = round(10 * done)
        bar = "█" * filled + "░" * (10 - filled)
        elapsed = time.monotonic() - self.start
        left = round(elapsed / done - elapsed) if done else 0
        clock = f"{left // 60}:{left % 60:02} left" if left else f"{elapsed:.0f} s"
        line = f" {bar} {self.epoch + 1:>2}/{epochs}{self.last}  {clock}"
        room = terminal.WIDTH - len(line)
        label = self.label if len(self.label) <= room else self.label[: room - 2] + ".."
        terminal.rewrite((label + line).strip(), sys.stdout)


class Recorder(keras.callbacks.Callback):
    """Keeps the history, and with a directory everything that a killed training needs to go on.

    After every epoch `checkpoint.npz` (variables of model and optimizer, random states of the
    dropout layers, the history so far and what computed it, in one file) and then `history.csv`
    are replaced as a whole, so neither is ever half-written and a kill between the two loses
    nothing.

    Args:
        directory: folder for the two files, or None to keep the history in memory only.
        identity: names and values that tell this training from any other; a checkpoint in
            which one of them differs is refused.
    """

    def __init__(
        self, directory: Path | str | None = None, identity: Mapping[str, Any] | None = None
    ):
        super().__init__()
        self.directory = None if directory is None else Path(directory)
        self.identity = identity or {}
        self.rows: History = []
        # What computed which epochs: more than one entry if the training moved.
        self.trained_on: list[dict[str, Any]] = []

    def restore(self, model: keras.Model) -> int:
        """Loads the checkpoint, if there is one, into the compiled `model`.

        Returns the number of finished epochs.

        Raises:
            UserError: the checkpoint is damaged or belongs to another training.
        """
        if self.directory is None or not (path := self.directory / "checkpoint.npz").exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        variables = model.variables + model.optimizer.variables
        try:
            with np.load(path, allow_pickle=False) as saved:
                meta = json.loads(str(saved["meta"]))
                values = [saved[f"variable_{i}"] for i in range(len(saved.files) - 1)]
            theirs, rows, trained_on = (meta[n] for n in ("identity", "rows", "trained_on"))
            if not isinstance(theirs, dict):
                raise ValueError("it does not say of which training it is")
            if not all(isinstance(part["last_epoch"], int) for part in trained_on):
                raise ValueError("it does not say what computed which epochs")
            columns = {"epoch", *COLUMNS}
            if not all(row.keys() == columns for row in rows):
                raise ValueError("its history lacks a column")
            if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
                raise ValueError("its history lacks an epoch")
            if not all(math.isfinite(row[name]) for row in rows for name in SEEN_ALWAYS):
                raise ValueError("its history holds what is not a number")
            if not all(np.isfinite(value).all() for value in values):
                raise ValueError("a value is not a number")
        except Exception as error:  # damaged bytes make the decoders raise nearly anything
            raise UserError(f"{path} is damaged ({error}); delete it to start again") from error
        names = dict.fromkeys([*self.identity, *theirs])  # in order, each once
        other = [name for name in names if self.identity.get(name) != theirs.get(name)]
        if other:
            raise UserError(
                f"{path} belongs to a training with another {', '.join(other)}; "
                "name another folder or delete it"
            )
        if [value.shape for value in values] != [tuple(v.shape) for v in variables]:
            raise UserError(
                f"{path} is damaged (its variables are not the model's); delete it to start again"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.rows, self.trained_on = rows, trained_on
        files.write(self.directory / "history.csv", histories.to_csv(self.rows).encode())
        return len(self.rows)

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        seen = {name: float(logs[key]) for name, key in KERAS_NAMES.items() if key in logs}
        if not all(math.isfinite(value) for value in seen.values()):
            kept = "; the epochs before it are kept" if self.directory and self.rows else ""
            raise UserError(
                f"the loss is no longer a number in epoch {epoch + 1}{kept}; try a lower learning "
                "rate"
            )
        seconds = round(time.monotonic() - self.start, 2)
        figures = dict.fromkeys(KERAS_NAMES, math.nan) | seen
        row = {"epoch": epoch + 1, **figures, "seconds": seconds}
        self.rows.append(row)
        here = {
            "backend": keras.backend.backend(),
            "device": environment.device(),
            "threads": environment.threads(),
            "dtype": self.model.dtype_policy.name,
        }
        if not self.trained_on or self.trained_on[-1] | here != self.trained_on[-1]:
            self.trained_on.append({"first_epoch": epoch + 1, "last_epoch": epoch + 1, **here})
        self.trained_on[-1]["last_epoch"] = epoch + 1
        if self.directory is not None:
            self._save(self.directory)

    def _save(self, directory):
        variables = self.model.variables + self.model.optimizer.variables
        meta = {
            "identity": self.identity,
            "rows": self.rows,
            "trained_on": self.trained_on,
        }
        arrays = {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}
        checkpoint = io.BytesIO()
        np.savez(checkpoint, meta=np.array(json.dumps(meta)), **arrays)
        files.write(directory / "checkpoint.npz", checkpoint.getbuffer())
        files.write(directory / "history.csv", histories.to_csv(self.rows).encode())


def read_trained_on(directory: Path) -> list[dict[str, Any]]:
    """What computed the epochs of the training whose checkpoint lies in `directory`.

    Returns:
        A list of dicts, in order: first_epoch, last_epoch (from 1), backend, device (the name of a
        processor or an accelerator), threads (that an operation may use on the processor), dtype
        (the policy; older records lack it).

    Raises:
        UserError: the checkpoint is no longer there.
    """
    path = directory / "checkpoint.npz"
    try:
        with np.load(path, allow_pickle=False) as saved:
            return json.loads(str(saved["meta"]))["trained_on"]
    except OSError as error:
        raise UserError(
            f"{path} vanished while it was needed ({error.strerror}); train the run again"
        ) from error

"""How a model is trained: the reference recipe, `model.fit`, progress, and resuming."""

import dataclasses
import hashlib
import json
import math
import numbers
from pathlib import Path
from typing import Any

from cifar_keras.environment import keras

import numpy as np

from cifar_keras import data, models, terminal
from cifar_keras.callbacks import EpochOrder, Progress, Recorder
from cifar_keras.errors import UserError
from cifar_keras.histories import History
from cifar_keras.layers import INITIALIZATIONS
from cifar_keras.optimizers import CoupledAdam, Muon, TriangularRate
from cifar_keras.whitened import whiten


def _check_setting(name, value, kind):
    """The value of a recipe's setting, of its kind; raises UserError if it is unfit."""
    wanted, fits = _FITTING[name]
    of_kind = isinstance(value, _KINDS[kind]) and (kind is bool or not isinstance(value, bool))
    if not (of_kind and fits(value)):
        raise UserError(f"{name} is {value!r}; give {wanted}")
    return kind(value)


_KINDS = {int: numbers.Integral, float: numbers.Real, bool: bool, str: str}


_RATE = "a number from 0", lambda value: 0 <= value < math.inf
_SHARE = "a share from 0 to below 1", lambda value: 0 <= value < 1
_COUNT = "a whole number from 1", lambda value: value >= 1
_FLAG = "true or false", lambda value: True
_FITTING = {
    **dict.fromkeys(("epochs", "batch_size"), _COUNT),
    **dict.fromkeys(("learning_rate", "weight_decay", "kernel_rate"), _RATE),
    **dict.fromkeys(("momentum", "warmup", "label_smoothing"), _SHARE),
    **dict.fromkeys(("mirror", "test_once"), _FLAG),
    "initialization": (
        f"one of {', '.join(INITIALIZATIONS)}",
        lambda value: value in INITIALIZATIONS,
    ),
    "normalization": (
        f"one of {', '.join(data.NORMALIZATIONS)}",
        lambda value: value in data.NORMALIZATIONS,
    ),
    "translation": ("a whole number of pixels from 0 to 31", lambda value: 0 <= value <= 31),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Every value that a training depends on besides the model, the data and the seed.

    The defaults are the reference project's recipe. What is 0 or False by default, and is so, is
    left out of a recipe's record: records made before such a value existed stay valid.

    Raises:
        UserError: a value of another type, or outside its range.
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    # Of Adam, coupled: added to the gradient as L2, as in torch.optim.Adam(weight_decay=1e-6).
    # Of SGD, decoupled: each step takes the learning rate's share of it off every kernel.
    weight_decay: float = 1e-6
    initialization: str = "pytorch"
    normalization: str = "symmetric"
    # 0: Adam. Else: SGD with this Nesterov momentum.
    momentum: float = 0.0
    # 0: the learning rate stays. Else: it rises from 0 during this share of the training, then
    # falls to 0, both in a straight line.
    warmup: float = 0.0
    # With momentum alone. 0: SGD for all weights. Else: Muon for the kernels of convolutions; at
    # the highest learning rate, a step is about this large, relative to its kernel.
    kernel_rate: float = 0.0
    # Mirror each image in every second epoch, one half of them in the even and one in the odd.
    mirror: bool = False
    # Move each image by up to this many pixels, anew in each epoch.
    translation: int = 0
    # The share of each training label that is spread evenly over all classes (Szegedy et al.,
    # arXiv 1512.00567).
    label_smoothing: float = 0.0
    # Look at the test images after the last epoch alone.
    test_once: bool = False

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = _check_setting(field.name, getattr(self, field.name), field.type)
            object.__setattr__(self, field.name, value)  # a whole number as the float it means
        if self.kernel_rate and not self.momentum:
            raise UserError(
                "kernel_rate needs SGD, and a momentum of 0 means Adam; give the recipe a momentum"
            )
        if self.kernel_rate and not self.learning_rate:
            raise UserError("kernel_rate is relative to learning_rate, which is 0; give it a rate")

    @property
    def optimizer(self) -> str:
        """What takes the steps: "adam", "sgd" or "muon"."""
        if not self.momentum:
            return "adam"
        return "muon" if self.kernel_rate else "sgd"

    def record(self) -> dict[str, Any]:
        """The values by name, as a run's record holds them; `Recipe(**record)` is the recipe."""
        values = {field: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {field.name: value for field, value in values.items() if value or field.default}


REFERENCE = Recipe()


def compile_model(model: keras.Model, recipe: Recipe = REFERENCE) -> keras.Model:
    """Compiles `model` (logits out) with the recipe's optimizer and cross-entropy; returns it.

    The penalty sits in the optimizer, so the reported loss is the cross-entropy alone (in nats).
    Labels are class numbers; where the recipe smooths them, shares of the classes (n, num_classes).
    """
    rate, momentum, decay = recipe.learning_rate, recipe.momentum, recipe.weight_decay
    match recipe.optimizer:
        case "adam":
            optimizer = CoupledAdam(rate, l2=decay)
        case "sgd":
            optimizer = keras.optimizers.SGD(rate, momentum, nesterov=True, weight_decay=decay)
        case "muon":
            optimizer = Muon(rate, momentum, recipe.kernel_rate / rate, weight_decay=decay)
    if recipe.optimizer != "adam":
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta"])
    losses = keras.losses
    cross_entropy = (
        losses.CategoricalCrossentropy
        if recipe.label_smoothing
        else losses.SparseCategoricalCrossentropy
    )
    model.compile(
        optimizer=optimizer,
        loss=cross_entropy(from_logits=True),
        metrics=["accuracy"],
        # JAX needs its compiler; TensorFlow on a CPU is faster without XLA.
        jit_compile=keras.backend.backend() == "jax",
    )
    # Otherwise it is built within the first step, which then is traced twice.
    optimizer.build(model.trainable_variables)
    return model


class ShuffledBatches(keras.utils.PyDataset):
    """Batches in an order that depends on the seed and the epoch alone; so do their changes.

    A training that resumes at epoch k therefore sees the very batches of an unbroken one.

    Args:
        images: float32 (n, height, width, channels); labels: (n, ...).
        batch_size: images in a batch; the last batch of an epoch may be smaller.
        seed: seed of the order.
        mirror, translation: as in `Recipe`.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        mirror: bool = False,
        translation: int = 0,
    ):
        super().__init__()
        self.images, self.labels, self.batch_size, self.seed = images, labels, batch_size, seed
        self.mirror, self.translation = mirror, translation
        self.shuffle(0)

    def shuffle(self, epoch: int) -> None:
        """Takes the order of an epoch, counted from 0, and draws how its images are changed."""
        n = len(self.images)
        generator = np.random.default_rng((self.seed, epoch))
        self.order = generator.permutation(n)
        self.shifts = generator.integers(-self.translation, self.translation + 1, (2, n))
        # Alternating flips, arXiv 2404.00498: two epochs show every image both ways.
        first = np.random.default_rng((self.seed, 0, 1)).random(n) < 0.5
        self.mirrored = self.mirror & (first ^ (epoch % 2 == 1))

    def release(self) -> None:
        """Lets the images go: TensorFlow keeps the batches for as long as the process lives."""
        # Empty, in case that TensorFlow asks for one batch more; a slice would hold the whole.
        self.images, self.labels = self.images[:0].copy(), self.labels[:0].copy()
        self.shuffle(0)

    def __len__(self):
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, batch):
        chosen = self.order[batch * self.batch_size : (batch + 1) * self.batch_size]
        images = data.shift(self.images[chosen], *self.shifts[:, chosen])
        if self.mirror:
            mirrored = self.mirrored[chosen]
            images[mirrored] = images[mirrored, :, ::-1]  # of the copy that indexing made
        return images, self.labels[chosen]


def check_seed(seed: int) -> None:
    """Raises UserError unless a seed is a whole number that all backends take, 0 to 2³² - 1."""
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise UserError(f"the seed is {seed!r}; give a whole number from 0 to 2**32 - 1")


def prepare(
    model: keras.Model, arrays: data.Dataset, recipe: Recipe = REFERENCE, seed: int = 0
) -> tuple[ShuffledBatches, tuple[np.ndarray, np.ndarray]]:
    """What `model.fit` is given: the training's batches and the test images, by the recipe.

    A falling learning rate is set, since only here it is known how many steps there are; a
    whitened net is given its first convolution.

    Args:
        model: compiled, logits out. arrays, recipe, seed: as in `fit`.

    Returns:
        (batches, (images, labels)): images float32, normalised; labels class numbers (n, 1), or
        shares of the classes (n, classes) where the recipe smooths those of the training.

    Raises:
        UserError: unfit arrays, or a batch larger than the data.
    """
    try:
        (x_train, y_train), (x_test, y_test) = arrays
    except (TypeError, ValueError) as error:
        raise UserError(
            "arrays must be ((x_train, y_train), (x_test, y_test)), as data.load_data() gives them"
        ) from error
    check_seed(seed)
    classes = model.output_shape[-1]
    y_train, y_test = (data.check_labels(labels, classes) for labels in (y_train, y_test))
    for images, labels in ((x_train, y_train), (x_test, y_test)):
        if np.shape(images)[1:] != model.input_shape[1:] or not len(images):
            raise UserError(
                f"the images have the shape {np.shape(images)}; give at least one of "
                f"{model.input_shape[1:]}"
            )
        if len(images) != len(labels):
            raise UserError(f"{len(images)} images have {len(labels)} labels; give one for each")
    if recipe.batch_size > len(x_train):
        raise UserError(
            f"a batch of {recipe.batch_size} is more than the {len(x_train)} training images; "
            "choose a smaller batch_size"
        )
    images = data.normalize(x_train, recipe.normalization)
    if recipe.label_smoothing:  # in training alone: the test loss stays the cross-entropy
        y_train, y_test = (keras.utils.to_categorical(y, classes) for y in (y_train, y_test))
        y_train += recipe.label_smoothing * (y_train.mean(axis=1, keepdims=True) - y_train)
    batches = ShuffledBatches(
        images, y_train, recipe.batch_size, seed, recipe.mirror, recipe.translation
    )
    if recipe.warmup:
        steps = recipe.epochs * len(batches)
        model.optimizer.learning_rate = TriangularRate(recipe.learning_rate, recipe.warmup, steps)
    whiten(model, images)
    return batches, (data.normalize(x_test, recipe.normalization), y_test)


def fit(
    model: keras.Model,
    arrays: data.Dataset,
    recipe: Recipe = REFERENCE,
    seed: int = 0,
    directory: Path | str | None = None,
    verbose: bool = True,
) -> History:
    """Trains a compiled model with `model.fit`; goes on where a killed training stopped.

    Args:
        model: compiled, logits out.
        arrays: `((x_train, y_train), (x_test, y_test))` as the loaders in `data` return them,
            uint8. As in the reference project the test images are looked at after every epoch
            (unless the recipe says `test_once`) and choose nothing.
        recipe, seed: what to do, and the seed of the batches' order.
        directory: folder for `history.csv` and `checkpoint.npz`; None keeps nothing on disk.
        verbose: show a progress line, headed by the model's name.

    Returns:
        The history, one dict an epoch: epoch (from 1), training and test cross-entropy in nats,
        training and test accuracy in [0, 1], seconds. The training figures are running means over
        the epoch, dropout and changes of the images switched on, labels smoothed. Test figures
        that the recipe does not look at are NaN.

    Raises:
        UserError: as `prepare` does; a full disk, a checkpoint of another training, or a loss that
            is no longer a number.
    """
    batches, validation = prepare(model, arrays, recipe, seed)
    recorder = Recorder(directory, identity(model, arrays, recipe, seed))
    try:
        model.fit(
            batches,
            shuffle=False,  # Keras would shuffle the batches again, by a state that is not resumed
            validation_data=validation,
            validation_batch_size=500,
            validation_freq=[recipe.epochs] if recipe.test_once else 1,
            initial_epoch=recorder.restore(model),
            epochs=recipe.epochs,
            verbose=0,
            callbacks=[EpochOrder(batches), recorder, *([Progress(model.name)] if verbose else [])],
        )
    finally:
        batches.release()
        terminal.end_line()  # an error or Ctrl-C leaves the progress line open
    return recorder.rows


def identity(model: keras.Model, arrays: data.Dataset, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Names and values that tell a training from any other, as a checkpoint holds them."""
    return {
        "model": models.architecture(model),
        "data": [data.array_hash(array) for part in arrays for array in part],
        "seed": int(seed),
        **recipe.record(),
    }


def recipe_hash(model: keras.Model, recipe: Recipe) -> str:
    """SHA-256, in hexadecimal, of all that the code puts into a training: recipe and architecture.

    The seed and the data are not in it. A recorded run whose hash differs from today's was
    trained by another recipe.
    """
    content = {"recipe": recipe.record(), "model": models.architecture(model)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def train(
    variant: str,
    arrays: data.Dataset,
    recipe: Recipe = REFERENCE,
    seed: int = 0,
    directory: Path | str | None = None,
    verbose: bool = True,
    **arguments: Any,
) -> tuple[keras.Model, History]:
    """Seeds, builds, compiles and fits one variant: a whole training in one call.

    Args:
        variant: a name that `models.build` knows; `arguments` go to its builder.
        arrays, recipe, seed, directory, verbose: as in `fit`.

    Returns:
        (model, history), the history as `fit` returns it.

    Raises:
        UserError: as `models.build` and `fit` do.
    """
    check_seed(seed)
    keras.utils.set_random_seed(seed)
    model = models.build(variant, initialization=recipe.initialization, **arguments)
    compile_model(model, recipe)
    return model, fit(model, arrays, recipe, seed, directory, verbose=verbose)

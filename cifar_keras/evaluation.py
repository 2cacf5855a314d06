"""What a trained net predicts, and its weights as a file."""

import io
from pathlib import Path

from cifar_keras.environment import keras

import numpy as np

from cifar_keras.errors import UserError

# A share of the test images: how far what is computed again may be from the record.
TOLERANCE = 0.001


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The class that a net gives to each image, integers (n,); images float32, normalised."""
    return model.predict(images, batch_size=500, verbose=0).argmax(axis=1)


def accuracy_both_ways(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """The accuracy of the mean of two logits, an image's and its mirror image's.

    Args:
        model: logits out. images: float32 (n, height, width, channels), normalised.
        labels: integers (n,) or (n, 1).

    Returns:
        The share of images that are right, in [0, 1].
    """
    both = (images, images[:, :, ::-1])
    one, other = (model.predict(each, batch_size=500, verbose=0) for each in both)
    return float(np.mean((one + other).argmax(axis=1) == np.ravel(labels)))


def pack_weights(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> memoryview:
    """The weights as the content of an `.npz`, in half precision if accuracy (nearly) allows it.

    Args:
        model: trained; it is left with the weights as they are stored. images: float32,
            normalised; labels: integers (n,).
    """
    accuracy = np.mean(predict(model, images) == labels)
    full = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    for dtype in ("float16", "float32"):
        stored = {path: value.astype(dtype) for path, value in full.items()}
        for weight in model.weights:
            weight.assign(stored[weight.path].astype("float32"))
        if abs(np.mean(predict(model, images) == labels) - accuracy) <= TOLERANCE / 2:
            break
    content = io.BytesIO()
    np.savez_compressed(content, **stored)
    return content.getbuffer()


def load_weights(model: keras.Model, path: Path | str) -> None:
    """Puts stored weights into a model of the same architecture.

    Args:
        model: any net of the package. path: a `weights.npz` that a study wrote.

    Raises:
        UserError: no such file, it is damaged, or it belongs to another architecture.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            stored = {name: saved[name].astype("float32") for name in saved.files}
    except FileNotFoundError as error:
        raise UserError(f"there are no weights {path}; its study kept none") from error
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        raise UserError(f"{path} is damaged ({error}); restore it from the repository") from error
    shapes = {weight.path: tuple(weight.shape) for weight in model.weights}
    if {name: value.shape for name, value in stored.items()} != shapes:
        raise UserError(f"{path} does not fit {model.name}: it holds the weights of another net")
    for weight in model.weights:
        weight.assign(stored[weight.path])

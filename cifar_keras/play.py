"""Writes the page that computes nets in a browser: one file, from `play/` and recorded weights."""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cifar_keras.environment import keras

import numpy as np
from keras import layers

from cifar_keras import data, evaluation, files, models, results, study
from cifar_keras.errors import UserError, first_line
from cifar_keras.layers import BatchNormalization
from cifar_keras.results import Run

SOURCES = files.CHECKOUT / "play"
# Accuracies with rounded weights, written by tools/measure_rounded.py.
ROUNDED = results.RESULTS / "play" / "rounded.json"
RECORDED = (
    *(Run.of(results.RESULTS / "full", variant, 0) for variant in results.VARIANTS),
    Run.of(results.RESULTS / "compact", "compact", 0),
)
IMAGES_OF_A_CLASS = 10
# Kernels of fewer numbers stay as they are: the first ones, whose rounding everything behind them
# feels, and the classifier.
FEW = 20_000
# The layers that play/nets.js has, with the settings with which it computes them. Subclasses may
# compute something else; ours computes as Keras' does.
_AS_IN_NETS_JS = {
    layers.Conv2D: {"strides": (1, 1), "dilation_rate": (1, 1), "groups": 1},
    layers.MaxPooling2D: {"padding": "valid"},
    layers.Rescaling: {"offset": 0.0},
    layers.Dropout: {"noise_shape": None},
    layers.ReLU: {"max_value": None, "negative_slope": 0, "threshold": 0},
    **dict.fromkeys((layers.BatchNormalization, BatchNormalization), {}),
    **dict.fromkeys((layers.Dense, layers.Activation, layers.Flatten, layers.Add), {}),
    **dict.fromkeys((layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D), {}),
}


def load_net(source: Run | Path) -> tuple[keras.Model, str]:
    """A trained net of the course, and how its images are normalised.

    Args:
        source: a recorded run; or the path of its folder, or of a `.keras` file. What lies in
            such a file was trained on symmetric images, as in the lessons of Part I.

    Returns:
        (model, a name that `data.normalize` knows).

    Raises:
        UserError: there is no net, it is damaged, one of another input or output, or one without
            a convolution.
    """
    if isinstance(source, Path) and source.suffix == ".keras":
        if not source.is_file():
            raise UserError(f"there is no file {source}; check its name and folder")
        try:
            model, method = keras.saving.load_model(source, compile=False), "symmetric"
        except Exception as error:  # what is no such file makes Keras raise nearly anything
            reason = first_line(error)
            raise UserError(f"{source} is no model that Keras can read ({reason})") from error
    else:
        one = source if isinstance(source, Run) else _run_in(source)
        record = one.record
        model = study.build_variant(one.variant, record["arguments"])
        evaluation.load_weights(model, one.weights)
        method = record["recipe"]["normalization"]
    takes, gives = (_shapes(getattr(model, side, None) or []) for side in ("inputs", "outputs"))
    if takes != [(32, 32, 3)] or [len(shape) for shape in gives] != [1] or gives[0] < (10,):
        takes, gives = (" and ".join(map(str, shapes)) or "nothing" for shapes in (takes, gives))
        raise UserError(
            f"{source} takes {takes} and gives {gives}; the page has nets from (32, 32, 3) to ten "
            "logits"
        )
    if not any(isinstance(layer, layers.Conv2D) for layer in model.layers):
        raise UserError(f"{source} has no convolution; the page shows nets that have one")
    return model, method


def _shapes(tensors):
    return [tuple(tensor.shape[1:]) for tensor in tensors]


def _run_in(folder):
    variant, _, seed = folder.name.rpartition("-seed")
    if not (variant and seed.isdecimal()):
        raise UserError(f"{folder} is no folder of a run; name one, such as quick-seed0")
    return Run(variant, int(seed), folder)


def round_kernel(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel in whole numbers of eight bits, and what they are multiplied by.

    Args:
        kernel: float32 (..., filters).

    Returns:
        (int8 of the same shape, -127 to 127; float32 (filters,): a filter's largest number / 127).
    """
    largest = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0)
    least = 127 * np.finfo(np.float32).tiny  # what is smaller some processors take for 0
    factors = (np.where(largest >= least, largest, 127) / 127).astype(np.float32)
    return np.rint(kernel / factors).astype(np.int8), factors


def round_weights(model: keras.Model) -> None:
    """Gives a net the kernels that the page computes with."""
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.Dense):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            if kernel.size >= FEW:
                whole, factors = round_kernel(kernel)
                layer.kernel.assign(whole * factors)


def describe(model: keras.Model) -> tuple[list[dict[str, Any]], bytes]:
    """A net as `unpack` in play/nets.js takes it.

    Returns:
        (layers in their order, each with kind, name, inputs (indices of layers, -1 for the
        image), settings, and the (offset, length) of its weights; the weights, large kernels as
        int8 and all else as float32).

    Raises:
        UserError: a layer that play/nets.js cannot compute.
    """
    shapes = {-1: _shapes(model.inputs)[0]}  # of what is taken, by place in the list
    described, content, placed, uses = [], bytearray(), {}, Counter()

    def place(array):
        content.extend(array.tobytes())
        return [len(content) - array.nbytes, array.size]

    for number, (layer, sources) in enumerate(models.calls(model)):
        given = [shapes[source] for source in sources]
        kind, settings, floats = _translate(layer, given)
        shapes[number] = _output_shape(layer, given)
        if layer.name not in placed:
            if "kernel" in floats and floats["kernel"].size >= FEW:
                whole, floats["factors"] = round_kernel(floats.pop("kernel"))
                settings["kernel"] = place(whole)
            floats = {name: place(array.astype("<f4")) for name, array in floats.items()}
            placed[layer.name] = {**settings, "floats": floats}
        uses[layer.name] += 1
        name = layer.name if uses[layer.name] == 1 else f"{layer.name} ({uses[layer.name]})"
        described.append({"kind": kind, "name": name, "inputs": sources, **placed[layer.name]})
    return described, bytes(content)


def _output_shape(layer, given):
    batches = [(None, *shape) for shape in given]
    return layer.compute_output_shape(batches if len(batches) > 1 else batches[0])[1:]


def _translate(layer, shapes) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """(kind, settings, weights) of a layer, by its function in play/nets.js.

    shapes: of what it takes, without the axis of the examples.
    """
    wanted = {"data_format": "channels_last", **_AS_IN_NETS_JS.get(type(layer), {})}
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if (
        type(layer) in _AS_IN_NETS_JS
        and name in ("linear", "relu", "silu")
        and all(getattr(layer, setting, value) == value for setting, value in wanted.items())
    ):
        weights = {weight.name: keras.ops.convert_to_numpy(weight) for weight in layer.weights}
        match layer:
            case layers.Conv2D(kernel_size=(size, other)) if size == other:
                same = layer.padding == "same"
                settings = {"size": size, "filters": layer.filters, "same": same}
                return "convolution", settings | {"activation": name}, weights
            case layers.Dense() if len(shapes[0]) == 1:
                return "dense", {"units": layer.units, "activation": name}, weights
            case layers.MaxPooling2D(pool_size=(size, other)) if (
                size == other and layer.strides == layer.pool_size
            ):
                return "maxPool", {"size": size}, {}
            case layers.BatchNormalization() if layer.axis in (-1, len(shapes[0])):
                factor = weights.get("gamma", 1) / np.sqrt(
                    weights["moving_variance"] + layer.epsilon
                )
                shift = weights.get("beta", 0) - weights["moving_mean"] * factor
                return "normalization", {}, {"factor": factor, "shift": shift}
            case layers.Activation():
                return "activation", {"activation": name}, {}
            case layers.ReLU():
                return "activation", {"activation": "relu"}, {}
            case layers.Rescaling(scale=int() | float()):
                return "scale", {"factor": layer.scale}, {}
            case layers.Dropout():
                return "dropout", {"rate": layer.rate}, {}
            case layers.Flatten():
                return "flatten", {}, {}
            case layers.GlobalAveragePooling2D():
                return "globalMean", {}, {}
            case layers.GlobalMaxPooling2D():
                return "globalMaximum", {}, {}
            case layers.Add() if len(shapes) == 2 and shapes[0] == shapes[1]:
                return "sum", {}, {}
    raise UserError(
        f"the page cannot compute the layer {layer.name} ({type(layer).__name__}); leave it out, "
        "or show another net"
    )


def write_page(out: Path, own: Sequence[Path] = ()) -> None:
    """Writes the page, with the recorded nets and with nets of the reader's own.

    Args:
        out: the file. own: folders of runs, or `.keras` files.

    Raises:
        UserError: as `load_net` and `describe` do; or the file cannot be written.
    """
    files.require_checkout()
    rounded = json.loads(ROUNDED.read_text(encoding="utf-8"))
    nets = [_net(one, one.variant, rounded.get(one.variant)) for one in RECORDED]
    for path in own:
        name = stem = path.stem if path.suffix == ".keras" else path.name
        number = 1
        while name in [net["name"] for net in nets]:
            number += 1
            name = f"{stem} {number}"
        nets.append(_net(path, name, None))
    images, labels = _images()
    payload = json.dumps(
        {
            "nets": nets,
            "classes": data.CLASS_NAMES,
            "labels": labels.tolist(),
            "images": _packed(images.tobytes()),
        }
    )
    page = (SOURCES / "page.html").read_text(encoding="utf-8")
    for name in ("page.css", "nets.js", "pictures.js", "page.js"):
        page = page.replace(f"{{{{{name}}}}}", (SOURCES / name).read_text(encoding="utf-8"))
    page = page.replace("{{payload}}", payload.replace("</", "<\\/"))
    files.write(out, page.encode())


def _net(source, name, accuracy):
    model, method = load_net(source)
    described, content = describe(model)
    ends = data.normalize(np.array([[[[0] * 3]], [[[255] * 3]]], np.uint8), method)[:, 0, 0]
    return {
        "name": name,
        "title": name.replace("_", " "),
        "parameters": models.trainable_parameters(model),
        "accuracy": accuracy,
        "pixels": {"factor": ((ends[1] - ends[0]) / 255).tolist(), "shift": ends[0].tolist()},
        "layers": described,
        "bytes": _packed(content),
    }


def _packed(content):
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _images():
    """The first test images of each class in the sample: uint8 (100, 32, 32, 3), labels (100,)."""
    images, labels = data.load_sample()[1]
    labels = labels.ravel()
    chosen = [np.flatnonzero(labels == k)[:IMAGES_OF_A_CLASS] for k in range(10)]
    chosen = np.stack(chosen, axis=1).ravel()  # class after class, ten times
    return images[chosen], labels[chosen]

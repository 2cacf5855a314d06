"""Starts Keras' backend quietly and at its full speed, and says in one line what runs here.

Import this before Keras: TensorFlow writes start-up notices (no GPU found, oneDNN is on) straight
to the process's stderr before any log level applies, and each would land in a notebook's output;
and the settings that make it fast on a CPU have to be there when it starts.
"""

import contextlib
import functools
import importlib.util
import json
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator

from cifar_keras import files, machine
from cifar_keras.errors import UserError

BACKENDS = ("tensorflow", "jax", "torch")  # of Keras', those that can train
# What Keras takes from keras.json, else it raises; the first is what the course trains with.
FLOATX = ("float32", "float16", "float64")
IMAGE_DATA_FORMAT = ("channels_last", "channels_first")


def _keras_json() -> dict:
    """What stands in keras.json, as Keras reads it."""
    path = files.keras_homes()[-1] / "keras.json"
    try:
        settings = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:
        return {}
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); mend or delete it") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings; mend or delete it")
    for name, values in {"floatx": FLOATX, "image_data_format": IMAGE_DATA_FORMAT}.items():
        if (value := settings.get(name, values[0])) not in values:
            raise UserError(f"{path} sets {name} to {value!r}; make it {values[0]!r}")
    if not isinstance(settings.get("epsilon", 0.0), float):
        raise UserError(f"{path} sets epsilon to {settings['epsilon']!r}; make it 1e-07")
    return settings


def check_settings() -> None:
    """Checks, before Keras starts, that it can start with the settings that it finds.

    Raises:
        UserError: what to change, and where it was set.
    """
    settings = _keras_json()
    place, backend = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if not backend:
        place = (
            files.keras_homes()[-1] / "keras.json" if "backend" in settings else "Keras' default"
        )
        backend = settings.get("backend", BACKENDS[0])
    if backend not in BACKENDS:
        raise UserError(
            f"{place} names the backend {backend!r}, which the course cannot train with; "
            f"make it one of {', '.join(BACKENDS)}"
        )
    if importlib.util.find_spec(backend) is None:
        raise UserError(
            f"{place} names the backend {backend!r}, which is not installed; "
            f"`pip install {backend}`, or set KERAS_BACKEND to another of {', '.join(BACKENDS)}"
        )


@contextlib.contextmanager
def _notices_dropped() -> Iterator[None]:
    """Holds back stderr at the file-descriptor level; shows it after all if the block raises."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


# oneDNN's convolutions are the faster ones on any x86 processor, but TensorFlow takes them by
# itself on those with AVX-512 alone.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

check_settings()
with _notices_dropped():
    import keras

    keras.ops.zeros(1)  # the first operation starts the device

# It warns of retracing when one process trains many nets, which is what a study does. In a notebook
# TensorFlow sets the level itself when it starts.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

# The course trains the same nets in the same way, whatever the reader's other work needs.
keras.config.set_floatx(FLOATX[0])
keras.config.set_dtype_policy(FLOATX[0])
keras.config.set_image_data_format(IMAGE_DATA_FORMAT[0])
keras.config.set_epsilon(1e-7)
keras.config.set_max_epochs(None)
keras.config.set_max_steps_per_epoch(None)


def leave_out_autotuner() -> None:
    """Makes `iter` of TensorFlow's datasets leave out tf.data's autotuner; once is enough.

    At the end of an epoch tf.data stops its autotuner and, as often as not, waits until that wakes
    from a sleep that doubles each time, 10 ms, 20 ms, 40 ms and so on: an epoch of 11 s lasts
    20.5 s, with nothing computed in the rest. With images in memory there is nothing to tune.
    TensorFlow has no switch for it but an option of each dataset, and Keras makes those by itself.
    """
    import tensorflow

    dataset_class = tensorflow.data.Dataset
    if hasattr(dataset_class.__iter__, "__wrapped__"):
        return
    options = tensorflow.data.Options()
    options.autotune.enabled = False

    @functools.wraps(dataset_class.__iter__)
    def iterate(self):
        return iterate.__wrapped__(self.with_options(options))

    dataset_class.__iter__ = iterate


if keras.backend.backend() == "tensorflow":
    leave_out_autotuner()


@contextlib.contextmanager
def graphs_released() -> Iterator[None]:
    """Frees, when the block ends, the graphs that TensorFlow traced in it.

    Whenever it traces a function with a gradient of its own, TensorFlow enters that gradient in a
    table of the process, and nothing takes it out again; with the gradient stays the whole graph,
    10 to 50 MB a training. Keras' optimizers sum gradients through such a function, and our SiLU is
    one. TensorFlow has no public way to take an entry out. Other backends have no such table.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    from tensorflow.python.framework.ops import gradient_registry

    entries = gradient_registry._registry
    before = set(entries)
    try:
        yield
    finally:
        for name in entries.keys() - before:
            del entries[name]


def on_cpu() -> bool:
    """Whether the backend computes on the processor; else it has an accelerator."""
    return "cpu" in str(keras.ops.zeros(1).device).lower()


def device() -> str:
    """The name of what the backend computes on: the processor's or the accelerator's."""
    if on_cpu():
        return machine.processor()
    accelerator = keras.ops.zeros(1).device
    return str(getattr(accelerator, "device_kind", accelerator))  # JAX knows the model's name


def threads() -> int:
    """How many threads an operation may use on the processor."""
    variables = {"tensorflow": "TF_NUM_INTRAOP_THREADS", "torch": "OMP_NUM_THREADS"}
    asked = os.environ.get(variables.get(keras.backend.backend(), ""), "")  # no number: passed over
    return (int(asked) if asked.isdecimal() else 0) or machine.cores()


def fastest_dtype() -> str:
    """The dtype policy that trains fastest here: "mixed_bfloat16" or "float32".

    bfloat16 takes half the memory and, on GPUs and where `machine.has_fast_bfloat16`, about half
    the time. Other processors' instructions for it can be slower than float32's; without any it is
    emulated, many times slower. GPUs without them (NVIDIA's before Ampere) are not told apart.
    """
    return "mixed_bfloat16" if not on_cpu() or machine.has_fast_bfloat16() else "float32"


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made in the block have this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def describe() -> str:
    """Python, Keras, backend, their versions and the device, in one line of text."""
    backend = keras.backend.backend()
    computes_on = f"{machine.cores()} CPU cores" if on_cpu() else "GPU"
    return (
        f"Python {platform.python_version()} · Keras {keras.__version__} · "
        f"{backend} {sys.modules[backend].__version__} · {computes_on}"
    )

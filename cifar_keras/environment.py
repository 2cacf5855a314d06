"""Starts Keras' backend quietly and at its full speed, and says in one line what runs here.

Import this before Keras: TensorFlow writes start-up notices (no GPU found, oneDNN is on) straight
to the process's stderr before any log level applies, and each would land in a notebook's output;
and the settings that make it fast on a CPU have to be there when it starts.
"""

import contextlib
import importlib.metadata
import logging
import os
import platform
import sys
import tempfile

from cifar_keras import machine


@contextlib.contextmanager
def _notices_dropped():
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


# It warns of retracing when one process trains many nets, which is what a study does.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

# oneDNN's convolutions are the faster ones on any x86 processor, but TensorFlow takes them by
# itself on those with AVX-512 alone.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

with _notices_dropped():
    import keras

    keras.ops.zeros(1)  # the first operation starts the device


def _without_autotuner(iterate):
    """`iter` of a TensorFlow dataset, with tf.data's autotuner left out.

    At the end of an epoch tf.data stops its autotuner and, as often as not, waits until that wakes
    from a sleep that doubles each time, 10 ms, 20 ms, 40 ms and so on: an epoch of 11 s lasts
    20.5 s, with nothing computed in the rest. With images in memory there is nothing to tune.
    TensorFlow has no switch for it but an option of each dataset, and Keras makes those by itself.
    """
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    return lambda dataset: iterate(dataset.with_options(options))


if keras.backend.backend() == "tensorflow":
    import tensorflow

    tensorflow.data.Dataset.__iter__ = _without_autotuner(tensorflow.data.Dataset.__iter__)


def on_cpu():
    """Whether the backend computes on the processor; else it has an accelerator."""
    return "cpu" in str(keras.ops.zeros(1).device).lower()


def device():
    """The name of what the backend computes on: the processor's or the accelerator's."""
    if on_cpu():
        return machine.processor()
    accelerator = keras.ops.zeros(1).device
    return str(getattr(accelerator, "device_kind", accelerator))  # JAX knows the model's name


def threads():
    """How many threads an operation may use on the processor."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or machine.cores()


def fastest_dtype():
    """The dtype policy that trains fastest here: "mixed_bfloat16" or "float32".

    bfloat16 takes half the memory and, on processors with instructions for it and on GPUs, half
    the time; on others it is emulated, many times slower.
    """
    return "mixed_bfloat16" if not on_cpu() or machine.has_bfloat16() else "float32"


@contextlib.contextmanager
def dtype_policy(name):
    """Layers made in the block have this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def describe():
    """Python, Keras, backend, their versions and the device, in one line of text."""
    backend = keras.backend.backend()
    computes_on = f"{machine.cores()} CPU cores" if on_cpu() else "GPU"
    return (
        f"Python {platform.python_version()} · Keras {keras.__version__} · "
        f"{backend} {importlib.metadata.version(backend)} · {computes_on}"
    )

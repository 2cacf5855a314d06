"""Writing a file as a whole or not at all, and by one process at a time."""

import contextlib
import os

import filelock

from cifar_keras.errors import UserError


def write(path, content):
    """Replaces the file `path` by `content` (bytes); makes its folder if need be.

    Raises:
        UserError: it cannot be written (full disk, no permission, a file in the folder's place);
            what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {path} ({error.strerror}); make room or name another place"
        ) from error


@contextlib.contextmanager
def lock(folder):
    """Locks `folder` for this process while the block runs; makes it if need be.

    Yields True, or False if another process has locked it. The system drops a lock when its
    process ends, however it ends.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    its_lock = filelock.FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        its_lock.acquire()
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise UserError(
            f"cannot write {folder} ({error.strerror}); make room or name another place"
        ) from error
    try:
        yield True
    finally:
        its_lock.release()


def is_locked(folder):
    """Whether another process has locked `folder`; writes nothing."""
    path = folder / ".lock"
    if not path.exists() or not os.access(path, os.W_OK):
        return False
    with lock(folder) as free:
        return not free

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
def claim(folder):
    """Claims `folder` for this process while the block runs; makes it if need be.

    Yields True, or False if another process has claimed it. The system drops a claim when its
    process ends, however it ends.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    lock = filelock.FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
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
        lock.release()

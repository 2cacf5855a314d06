"""Writing a file as a whole or not at all."""

import os

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

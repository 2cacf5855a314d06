"""Lines on a terminal, in a notebook, in a file or a pipe: rewritten in place, in any encoding."""

import codecs
import contextlib
import sys
from typing import TextIO

# What is printed beyond ASCII, and what stands for it where the stream's encoding lacks it.
ASCII = {"█": "#", "░": ".", "…": "...", "·": "|", "–": "-", "−": "-", "×": "x", "→": "->"}
WIDTH = 79  # characters: a terminal of 80 columns wraps after the last one

_open: set[TextIO] = set()  # where `rewrite` left a line without an end


def _ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: the ASCII forms, and "?" for what has none."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(ASCII.get(character, "?") for character in missing), error.end


def fall_back_to_ascii() -> None:
    """Lets stdout and stderr print `ASCII` in place of what their encoding lacks."""
    codecs.register_error("cifar_keras", _ascii)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # no stream at all, or a notebook's: UTF-8
            stream.reconfigure(errors="cifar_keras")  # pyright: ignore


def in_place(stream: TextIO) -> bool:
    """Whether a line can be rewritten: on a terminal and in a notebook, not in a file or pipe."""
    return stream.isatty() or type(stream).__module__.startswith("ipykernel")


def rewrite(line: str, stream: TextIO) -> None:
    """Prints a line, cut to `WIDTH`: over the one before where `in_place`, else below it."""
    if in_place(stream):
        _open.add(stream)  # first: Ctrl-C may come while the line is printed
        print(f"\r{line[:WIDTH]:{WIDTH}}", end="", file=stream, flush=True)
    else:
        print(line[:WIDTH], file=stream, flush=True)


def end_line() -> None:
    """Ends the line that `rewrite` left open, if it did."""
    for stream in _open:
        print(file=stream, flush=True)
    _open.clear()

"""Whether lines are rewritten only where that can be seen."""

import io

import pytest

from cifar_keras import terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_is_rewritten_in_a_terminal_and_in_a_notebook_only():
    class OutStream(io.StringIO):  # ipykernel's stderr
        __module__ = "ipykernel.iostream"

    for stream, expected in [(OutStream(), True), (Terminal(), True), (io.StringIO(), False)]:
        assert terminal.in_place(stream) == expected


def test_a_line_in_which_ctrl_c_comes_is_ended():
    class Interrupted(Terminal):
        def flush(self):
            if not self.getvalue().endswith("\n"):
                raise KeyboardInterrupt

    stream = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        terminal.rewrite("a bar", stream)
    terminal.end_line()
    assert stream.getvalue().endswith("\n")

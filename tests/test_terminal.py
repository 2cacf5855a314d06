"""Whether lines are rewritten only where that can be seen."""

import io

from cifar_keras import terminal


def test_a_line_is_rewritten_in_a_terminal_and_in_a_notebook_only():
    class OutStream(io.StringIO):  # ipykernel's stderr
        __module__ = "ipykernel.iostream"

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, expected in [(OutStream(), True), (Terminal(), True), (io.StringIO(), False)]:
        assert terminal.in_place(stream) == expected

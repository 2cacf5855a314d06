"""The one exception that is meant for the reader, and what is shown of others."""


class UserError(ValueError):
    """Something the reader can put right: one line that says what is wrong and what to do.

    The command line prints it without a traceback and exits with status 2; a notebook shows it
    without one, too.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"error: {self}"]


def first_line(error: BaseException) -> str:
    """The first line of an exception's text; empty if it has none."""
    return str(error).strip().partition("\n")[0]

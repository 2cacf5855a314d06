"""The one exception that is meant for the reader."""


class UserError(ValueError):
    """Something the reader can put right: one line that says what is wrong and what to do.

    The command line prints it without a traceback and exits with status 2; a notebook shows it
    without one, too.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"error: {self}"]

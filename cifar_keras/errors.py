"""The one exception that is meant for the reader, checks that raise it, what others show."""


class UserError(ValueError):
    """Something the reader can put right: one line that says what is wrong and what to do.

    The command line prints it without a traceback and exits with status 2; a notebook shows it
    without one, too.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"error: {self}"]


def check_flag(name: str, value: object) -> None:
    """Raises UserError unless an argument of that name is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{name} is {value!r}: give True or False")


def check_share(name: str, value: object, of_what: str) -> None:
    """Raises UserError unless an argument of that name is a number in [0, 1), a share `of_what`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UserError(f"{name} is {value!r}: the share of {of_what} must be in [0, 1)")


def first_line(error: BaseException) -> str:
    """The first line of an exception's text; empty if it has none."""
    return str(error).strip().partition("\n")[0]

"""Where nbval's patterns lie, wherever pytest is started: its option counts from the folder."""

from pathlib import Path


def pytest_configure(config):
    patterns = Path(__file__).parent / "tests" / "nbval_sanitize.cfg"
    config.option.nbval_sanitize_with = str(patterns)

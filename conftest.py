"""What pytest has to know wherever it is started: nbval's patterns, and what it leaves out."""

from pathlib import Path

collect_ignore_glob = ["notebooks/student/*"]  # there checks fail until a student answers them


def pytest_configure(config):
    # nbval's option counts from the folder
    patterns = Path(__file__).parent / "tests" / "nbval_sanitize.cfg"
    config.option.nbval_sanitize_with = str(patterns)

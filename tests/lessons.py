"""What tests of the lessons share: their cells, and how these are run without a kernel."""

import functools
import re
from pathlib import Path

import nbformat
from make_student_notebooks import SOLUTION  # noqa: F401  which tests take from here

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@functools.cache
def read(path):
    """A lesson; whoever changes it copies it first."""
    return nbformat.read(path, as_version=4)


def prose(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def tags(cell):
    return cell.metadata.get("tags", [])


def tagged(path, tag):
    return [cell for cell in code_cells(path) if tag in tags(cell)]


def setup_of(path):
    return "\n".join(cell.source for cell in tagged(path, "exercise-setup"))


def stated_minutes(path):
    """For how long a lesson computes on two cores, as its first cell says."""
    said = re.search(r"about (half a|\d+)(½?) (minute|second)", prose(path)[0])
    number = (0.5 if said[1] == "half a" else float(said[1])) + 0.5 * bool(said[2])
    return number / (60 if said[3] == "second" else 1)


def planned_minutes(path):
    """[(minutes, what)] of the plan in a lesson's first cell."""
    rows = re.findall(r"^\| *(\d+) *\|(.*)", prose(path)[0], re.MULTILINE)
    return [(int(minutes), what) for minutes, what in rows]


def find_exercises(path):
    """(cell of the answer, cell of the check) of every exercise of a notebook."""
    cells = code_cells(path)
    return [(cells[i - 1], cell) for i, cell in enumerate(cells) if "exercise-check" in tags(cell)]


def run(*sources, namespace=None):
    """Runs cells one after the other in a fresh namespace, or in a copy; returns it."""
    namespace = {"__name__": "notebook"} | (namespace or {})
    for source in sources:
        exec(compile(source, "cell", "exec"), namespace)
    return namespace

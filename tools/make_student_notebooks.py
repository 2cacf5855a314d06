"""Makes notebooks for students from the complete lessons, which hold the answers.

    python tools/make_student_notebooks.py                     # all of notebooks/student
    python tools/make_student_notebooks.py --nbgrader COURSE   # COURSE/source/NN_x/NN_x.ipynb

The second marks answers and checks for nbgrader, which takes the answers out itself:

    cd COURSE && nbgrader generate_assignment 03_fully_connected
    nbgrader autograde 03_fully_connected --Execute.timeout=600   # seconds a cell; lessons train
"""

import argparse
import copy
import re
import shutil
from pathlib import Path

import nbformat

LESSONS = Path(__file__).parents[1] / "notebooks"
STUDENT = LESSONS / "student"
EDITION = """This is the students' edition: guesses and answers are yours to write. The
[complete edition](../{}) has them."""
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION$", re.DOTALL | re.MULTILINE)
STUB = r"\1# your answer\n\1raise NotImplementedError"
LINK = re.compile(r"""(\]\(|<img [^>]*?src=["'])([^)"'\s]+)""")
LESSON = re.compile(r"\d\d_\w+\.ipynb")
GLOSSARY = "glossary.md"
GIVES_AWAY = {"exercise", "exercise-check", "reveal"}  # what such a cell prints


def has(cell, tag):
    return tag in cell.metadata.get("tags", [])


def emptied(notebook):
    """A copy without guesses, without outputs that give an answer away, with nothing folded.

    A cell that fails before it is answered does not stop what comes below it. What the title says
    of editions is not said.
    """
    notebook, guessing = copy.deepcopy(notebook), False
    title = notebook.cells[0]
    about = [part for part in title.source.split("\n\n") if "student/" not in part]
    title.source = "\n\n".join(about)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if has(cell, "guess"):
            cell.source, guessing = "my_guess = ...", True
        answers = [match[1] for match in SOLUTION.finditer(cell.source)]
        if guessing or answers or GIVES_AWAY & set(cell.metadata.get("tags", [])):
            cell.outputs, cell.execution_count = [], None
        guessing = guessing and not has(cell, "reveal")
        if has(cell, "exercise-check") or "" in answers:  # not in a function: it runs at once
            cell.metadata.setdefault("tags", []).append("raises-exception")
        if "jupyter" in cell.metadata:
            cell.metadata.jupyter.pop("source_hidden", None)
            if not cell.metadata.jupyter:
                del cell.metadata["jupyter"]
    return notebook


def from_student(target):
    """A link of a lesson, from the folder of the students' edition.

    It has lessons and a glossary of its own, so that no link of the glossary leads to answers.

    What is no path of this repository stays.
    """
    if re.match(r"\w+:|[#/]", target) or LESSON.match(target) or target == GLOSSARY:
        return target
    if target.startswith("student/"):
        return target.removeprefix("student/") or "."
    return f"../{target}"


def students_edition(notebook, name):
    """The students' edition of the lesson with this file name."""
    notebook = emptied(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(lambda link: link[1] + from_student(link[2]), cell.source)
        else:
            cell.source = SOLUTION.sub(STUB, cell.source)
    notebook.cells[0].source += "\n\n" + EDITION.format(name)
    return notebook


def for_nbgrader(notebook):
    """A lesson with its answers, marked for nbgrader: a point for each check."""
    notebook = emptied(notebook)
    for cell in notebook.cells:
        answer, check = bool(SOLUTION.search(cell.source)), has(cell, "exercise-check")
        if answer or check:
            marks = {"grade": check, "locked": check, "solution": answer, "task": False}
            points = {"points": 1} if check else {}
            cell.metadata["nbgrader"] = marks | points | {"grade_id": cell.id, "schema_version": 3}
    return notebook


def write(notebook, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main():
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--nbgrader", metavar="COURSE", type=Path, help="nbgrader's course folder")
    course = parser.parse_args().nbgrader
    lessons = {path: nbformat.read(path, as_version=4) for path in sorted(LESSONS.glob("*.ipynb"))}
    if course:
        for path, lesson in lessons.items():
            write(for_nbgrader(lesson), course / "source" / path.stem / path.name)
        return
    for path in set(STUDENT.glob("*.ipynb")) - {STUDENT / path.name for path in lessons}:
        path.unlink()  # of a lesson that was renamed
    for path, lesson in lessons.items():
        write(students_edition(lesson, path.name), STUDENT / path.name)
    shutil.copyfile(LESSONS / GLOSSARY, STUDENT / GLOSSARY)


if __name__ == "__main__":
    main()

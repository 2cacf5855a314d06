"""The students' edition: whether it is made from the lessons, hides the answers, and runs."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import make_student_notebooks as maker
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
LESSONS = sorted(maker.LESSONS.glob("*.ipynb"))
lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cell(cell_id, source, *tags, **metadata):
    printed = new_output("stream", name="stdout", text=f"{cell_id} says it\n")
    metadata |= {"tags": list(tags)} if tags else {}
    return new_code_cell(
        source, id=cell_id, metadata=metadata, outputs=[printed], execution_count=1
    )


@pytest.fixture(scope="module")
def edition():
    """The students' cells, by id, of a small lesson."""
    solution = "### BEGIN SOLUTION\n{0}return 2 * x\n{0}### END SOLUTION"
    folded = {"jupyter": {"source_hidden": True}}
    answer = f"def double(x):\n    {solution.format('    ')}\n\n\nagain = double"
    top = "### BEGIN SOLUTION\nx = 2\n### END SOLUTION"
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# 03 · It\n\n[Answers](student/03_it.ipynb)\n\nEnd.", id="title"),
            new_markdown_cell(
                "[a](02_to.ipynb#x) [b](glossary.md) ![c](../d.png) <img alt='' src='e.png'> "
                "[f](https://g.org/h) [i](#j) ![k](attachment:l.png) [m](student/)",
                id="links",
            ),
            code_cell("before", "x = 1", "exercise-setup"),
            code_cell("guess", 'my_guess = "a"', "guess"),
            code_cell("between", "print(x)"),
            code_cell("reveal", "exercises.compare(my_guess, x)", "reveal"),
            code_cell("after", "print(x)"),
            code_cell("answer", answer, "exercise", **folded),
            code_cell("check", "assert double(2) == 4", "exercise-check"),
            code_cell("top", top, "exercise"),
            code_cell("end", "print(x)"),
        ]
    )
    return {cell.id: cell for cell in maker.students_edition(notebook, "03_it.ipynb").cells}


def test_answers_are_stubs_and_guesses_are_empty(edition):
    assert edition["answer"].source == (
        "def double(x):\n    # your answer\n    raise NotImplementedError\n\n\nagain = double"
    )
    assert edition["top"].source == "# your answer\nraise NotImplementedError"
    assert edition["guess"].source == "my_guess = ..."
    assert edition["check"].source == "assert double(2) == 4"


def test_nothing_shows_what_the_student_is_to_find(edition):
    code = {name: cell for name, cell in edition.items() if cell.cell_type == "code"}
    assert {name for name in code if code[name].outputs} == {"before", "after", "end"}
    for cell in code.values():  # nbval complains of outputs without a count
        assert (cell.execution_count is None) == (not cell.outputs)
    assert "jupyter" not in edition["answer"].metadata


def test_what_fails_before_it_is_answered_does_not_stop_the_rest(edition):
    assert {name for name in edition if maker.has(edition[name], "raises-exception")} == {
        "check",
        "top",
    }


def test_links_lead_from_the_folder_of_the_students(edition):
    assert edition["links"].source == (
        "[a](02_to.ipynb#x) [b](glossary.md) ![c](../../d.png) <img alt='' src='../e.png'> "
        "[f](https://g.org/h) [i](#j) ![k](attachment:l.png) [m](.)"
    )
    assert edition["title"].source == (
        f"# 03 · It\n\nEnd.\n\n{maker.EDITION.format('03_it.ipynb')}"
    )


def test_of_every_lesson_there_is_one_and_of_nothing_else():
    names = {path.name for path in maker.STUDENT.glob("*.ipynb")}
    assert names == {path.name for path in LESSONS}
    glossaries = {
        (folder / maker.GLOSSARY).read_bytes() for folder in (maker.LESSONS, maker.STUDENT)
    }
    assert len(glossaries) == 1, "run python tools/make_student_notebooks.py"


@lessons
def test_it_is_what_the_tool_makes_of_the_lesson(path):
    made = nbformat.writes(maker.students_edition(read(path), path.name)) + "\n"
    committed = (maker.STUDENT / path.name).read_text(encoding="utf-8")
    assert committed == made, "run python tools/make_student_notebooks.py"
    assert "### BEGIN" not in committed and "### END" not in committed


@lessons
def test_its_links_lead_somewhere(path):
    for cell in read(maker.STUDENT / path.name).cells:
        if cell.cell_type == "markdown":
            for _, target in maker.LINK.findall(cell.source):
                if not re.match(r"\w+:|#", target):
                    assert (maker.STUDENT / target.partition("#")[0]).exists(), target


def test_it_runs_to_the_end_and_says_one_line_for_each_check():
    notebook = read(maker.STUDENT / LESSONS[0].name)
    NotebookClient(notebook, resources={"metadata": {"path": maker.STUDENT}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    checks = [cell for cell in code if maker.has(cell, "exercise-check")]
    assert checks
    for cell in checks:
        [error] = [output for output in cell.outputs if output.output_type == "error"]
        assert error.ename == "Hint" and "not written yet" in error.evalue
        assert len("\n".join(error.traceback).splitlines()) == 1


def test_nbval_leaves_it_out():
    folders = [f"notebooks/{LESSONS[0].name}", "notebooks/student"]
    command = [sys.executable, "-m", "pytest", "--nbval", "--collect-only", "-q", *folders]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"notebooks/{LESSONS[0].name}" in run.stdout and "student" not in run.stdout


@lessons
def test_what_is_handed_out_does_not_tell_of_another_edition(path):
    title = maker.for_nbgrader(read(path)).cells[0].source
    assert "**Computing**" in title and "student/" not in title


@pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None,
    reason="nbgrader is not installed; pip install -e '.[teach]'",
)
def test_nbgrader_hands_out_and_grades_a_lesson(tmp_path):
    path = LESSONS[0]
    lesson = maker.for_nbgrader(read(path))
    few = {"exercise-accuracy", "check-accuracy", "exercise-three", "check-three"}
    lesson.cells = [
        cell for cell in lesson.cells if cell.id in few or maker.has(cell, "exercise-setup")
    ]
    maker.write(lesson, tmp_path / "source" / path.stem / path.name)
    nbgrader(tmp_path, "generate_assignment", path.stem)
    released = read(tmp_path / "release" / path.stem / path.name)
    assert not any(maker.SOLUTION.search(cell.source) for cell in released.cells)
    answers = {cell.id: cell.source for cell in lesson.cells if maker.SOLUTION.search(cell.source)}
    wrong = {cell_id: maker.SOLUTION.sub(r"\1pass", answers[cell_id]) for cell_id in answers}
    for student, sources in {"right": answers, "wrong": wrong}.items():
        for cell in released.cells:
            cell.source = sources.get(cell.id, cell.source)
        maker.write(released, tmp_path / "submitted" / student / path.stem / path.name)
    nbgrader(tmp_path, "autograde", path.stem, "--Execute.timeout=600")

    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        graded = gradebook.assignment_submissions(path.stem)
        scores = {each.student.id: (each.score, each.max_score) for each in graded}
    checks = sum(maker.has(cell, "exercise-check") for cell in lesson.cells)
    assert checks == 2
    assert scores == {"right": (checks, checks), "wrong": (0, checks)}


def nbgrader(course, *arguments):
    """Runs nbgrader in a course's folder, in the environment that runs the tests."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env=os.environ | {"PYTHONPATH": path, "PATH": programs},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr

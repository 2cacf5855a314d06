"""Whether lessons have their form, and what their exercises say to right and wrong answers.

Wrong answers of lesson NN stand in exercises/lesson_NN.py: WRONG gives for the id of each check a
list of (name of the mistake, source in the place of the answer's cell, part of the hint it gets).
"""

import ast
import contextlib
import functools
import itertools
import re
import runpy
from unittest import mock

import keras
import pytest
from lessons import (
    PATHS,
    ROOT,
    SOLUTION,
    code_cells,
    find_exercises,
    planned_minutes,
    prose,
    run,
    setup_of,
    tags,
)
from small_study import eagerly

from cifar_keras import exercises

GRADES = ["apply", "modify", "investigate"]
FEW, EPOCHS = 128, 2  # images and, where a lesson names their number, epochs of wrong answers
lessons = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def wrong_answers(path):
    file = ROOT / "tests" / "exercises" / f"lesson_{path.name[:2]}.py"
    return runpy.run_path(str(file))["WRONG"] if file.exists() else {}


EXERCISES = [
    pytest.param(path, answer, check, id=f"{path.name[:2]}-{check.id}")
    for path in PATHS
    for answer, check in find_exercises(path)
]
MISTAKES = [
    pytest.param(path, source, check, hint, id=f"{path.name[:2]}-{check.id}-{mistake}")
    for path in PATHS
    for wrong in [wrong_answers(path)]
    for _, check in find_exercises(path)
    for mistake, source, hint in wrong.get(check.id, [])
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where answers may write


# --- Form ---------------------------------------------------------------------------------------


@lessons
def test_first_cell_says_what_comes(path):
    first = prose(path)[0]
    assert "After this lesson you can" in first
    assert "on 2 CPU cores" in first
    assert "](glossary.md)" in first and "student/" in first
    plan = planned_minutes(path)
    most = 90 if "07" <= path.name[:2] <= "10" else 50  # Part II is read alone, not in one class
    assert 20 <= sum(minutes for minutes, _ in plan) <= most
    assert sum(minutes for minutes, part in plan if "exercise" in part) >= 10
    if path.name >= "07":  # of Parts II and III, a section is read in one sitting
        assert all(minutes <= 8 for minutes, part in plan if "exercise" not in part)


@lessons
def test_three_questions_recall_what_came_before(path):
    [recall] = [text for text in prose(path)[:3] if "## Recall" in text]
    folded = re.findall(r"<details>\s*<summary>answer</summary>.+?</details>", recall, re.DOTALL)
    assert len(folded) == 3


@lessons
def test_guesses_are_made_and_then_compared(path):
    cells = code_cells(path)
    guesses = [i for i, cell in enumerate(cells) if "guess" in tags(cell)]
    assert len(guesses) >= 2
    for i in guesses:
        assert re.fullmatch(r"my_guess = [^\n]+", cells[i].source)
        reveals = list(itertools.takewhile(lambda cell: "reveal" in tags(cell), cells[i + 1 :]))
        assert sum("exercises.compare(" in cell.source for cell in reveals) == 1


@lessons
def test_exercises_are_graded_and_one_of_them_trains(path):
    headings = re.findall(r"^### Exercise (\d+) · (\w+) · \S", "\n".join(prose(path)), re.MULTILINE)
    found = find_exercises(path)
    assert [int(number) for number, _ in headings] == list(range(1, len(found) + 1))
    assert len(found) >= 3 and {grade for _, grade in headings} == set(GRADES)
    assert any(".fit(" in answer.source + check.source for answer, check in found)


@lessons
def test_last_cell_says_what_was_found_in_sentences_with_their_numbers(path):
    last = prose(path)[-1]
    assert last.startswith("## What was found")
    found = re.findall(r"^- (.+?)(?=\n- |\n\n|\Z)", last, re.DOTALL | re.MULTILINE)
    assert len(found) >= 3
    for sentence in found:
        assert sentence.endswith(".") and re.search(r"\d", sentence), sentence


@lessons
def test_its_decimal_numbers_are_printed_or_asserted(path):
    """Each is a number of an output or of the code, rounded, or that as a percentage."""
    known = []
    for cell in code_cells(path):
        printed = [output.get("text", "") for output in cell.outputs]
        described = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        known += re.findall(r"\d+(?:\.\d+)?", " ".join([cell.source, *printed, *described]))
    for number in re.findall(r"(?<![\w.,])\d+\.\d+\b", prose(path)[-1]):
        digits = len(number.partition(".")[2])
        rounded = {round(scale * float(each), digits) for each in known for scale in (1, 100)}
        assert float(number) in rounded, number


@lessons
def test_test_images_choose_nothing(path):
    for cell in code_cells(path):
        assert not re.search(r"validation_data=\(?\s*(\w+_)?test", cell.source), cell.id


@pytest.mark.parametrize(("path", "answer", "check"), EXERCISES)
class TestExercise:
    def test_its_answer_is_a_folded_function(self, path, answer, check):
        assert "exercise" in tags(answer)
        assert answer.metadata.get("jupyter", {}).get("source_hidden")
        indents = SOLUTION.findall(answer.source)
        assert indents and all(indents), "a solution stands in a function"
        assert len(indents) == answer.source.count("### BEGIN SOLUTION")

    def test_each_assert_of_its_check_says_what_is_wrong(self, path, answer, check):
        tree = ast.parse(check.source)
        [block] = [node for node in tree.body if isinstance(node, ast.With)]
        assert ast.unparse(block.items[0]).startswith("exercises.check(")
        asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        assert asserts and all(node.msg for node in asserts)
        assert all(node in set(ast.walk(block)) for node in asserts)

    def test_its_solution_is_right(self, path, answer, check, capsys):
        """One that trains takes its time, and runs with its notebook: what that printed, counts."""
        if re.search(r"\.fit\(|\b(train|experiment)\(", answer.source + check.source):
            printed = "".join(output.get("text", "") for output in check.outputs)
        else:
            run(answer.source, check.source, namespace=after_setup(path))
            printed = capsys.readouterr().out
        assert re.search("^[^\n]+: right$", printed, re.MULTILINE)

    def test_a_stub_gets_a_hint(self, path, answer, check):
        for part in SOLUTION.finditer(answer.source):  # each alone: not begun, returning nothing
            for body in ("raise NotImplementedError", "pass"):
                stub = answer.source.replace(part[0], part[1] + body)
                said = hint(path, stub, check.source)
                assert ("not written yet" in said) == (body != "pass"), said

    def test_three_mistakes_are_known(self, path, answer, check):
        assert len(wrong_answers(path).get(check.id, [])) >= 3


# --- Mistakes -----------------------------------------------------------------------------------


@lessons
def test_mistakes_are_of_exercises_that_there_are(path):
    assert wrong_answers(path).keys() <= {check.id for _, check in find_exercises(path)}


@pytest.mark.parametrize(("path", "source", "check", "expected"), MISTAKES)
def test_a_mistake_gets_a_hint_that_fits(path, source, check, expected):
    assert expected in hint(path, source, check.source)


@functools.cache
def after_setup(path):
    """What an answer and its check find: the names of a lesson's setup."""
    return run(setup_of(path))


@contextlib.contextmanager
def in_large_batches():
    """Networks answer 500 images at once: 32 at once take longer, where nothing is traced."""

    def large(original):
        return lambda model, *given, **options: original(
            model, *given, **{"batch_size": 500} | options
        )

    evaluate, predict = keras.Model.evaluate, keras.Model.predict
    with mock.patch.multiple(keras.Model, evaluate=large(evaluate), predict=large(predict)):
        yield


def hint(path, answer, check):
    """What the check says to a wrong answer, which trains with a few images."""
    namespace = dict(after_setup(path))
    for name in {"x_train", "y_train"} & namespace.keys():
        namespace[name] = namespace[name][:FEW].copy()
    if "EPOCHS" in namespace:
        namespace["EPOCHS"] = EPOCHS
    with eagerly(), in_large_batches(), pytest.raises(exercises.Hint) as caught:
        run(answer, check, namespace=namespace)
    assert "\n" not in str(caught.value)
    return str(caught.value)

"""What nbval does not see: whether the notebooks are whole, honest, and solvable.

nbval compares nothing in a cell without an execution count, never looks at pictures, and takes a
cell's word when it is tagged to be ignored.
"""

import re
import statistics
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
MOST_IGNORED = 0  # cells in the whole course whose output nbval is told not to compare
IGNORING = re.compile(r"nbval[-_](ignore|skip)|validate_ignore|raises[-_]exception", re.IGNORECASE)
SOLUTION = re.compile(r"^ *### BEGIN SOLUTION\n.*?### END SOLUTION$", re.DOTALL | re.MULTILINE)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_the_course_is_complete():
    assert [path.name[:2] for path in PATHS] == [f"{number:02}" for number in range(len(PATHS))]
    assert len(PATHS) == 9


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_valid_and_its_cell_ids_are_stable(self, path):
        notebook = read(path)
        nbformat.validate(notebook)
        ids = [cell.id for cell in notebook.cells]
        assert len(ids) == len(set(ids))
        for cell_id in ids:
            assert re.fullmatch(r"[a-z][a-z0-9-]+", cell_id), cell_id
            assert not re.fullmatch(r"[0-9a-f]{8}", cell_id), "a random id makes huge diffs"

    def test_was_executed_top_to_bottom(self, path):
        counts = [cell.execution_count for cell in code_cells(path)]
        assert counts == list(range(1, len(counts) + 1))

    def test_has_no_errors_no_stderr_and_no_place_of_its_author(self, path):
        for cell in code_cells(path):
            for output in cell.outputs:
                assert output.output_type != "error", cell.id
                assert output.get("name") != "stderr", cell.id
                assert not re.search(r"/(home|root|tmp|work|Users)/", str(output)), cell.id

    def test_pictures_have_a_text_alternative(self, path):
        pictures = [
            output
            for cell in code_cells(path)
            for output in cell.outputs
            if "image/png" in output.get("data", {})
        ]
        assert pictures
        for picture in pictures:
            alternative = picture.metadata["image/png"]["alt"]
            assert len(alternative) > 40
            assert picture.data["text/plain"] == alternative

    def test_has_the_anatomy_of_a_lesson(self, path):
        notebook = read(path)
        prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        assert prose[0].startswith(f"# {path.name[:2]} · ")
        assert sum(bool(re.match("# ", line)) for line in "\n".join(prose).split("\n")) == 1
        assert "**You will learn**" in prose[0]
        assert prose[-1].startswith("## You have seen")
        assert prose[0].count("\n- ") == prose[-1].count("\n- "), "objectives and summary differ"
        assert any("**Predict" in text for text in prose)

    def test_links_lead_somewhere(self, path):
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
                    assert (path.parent / target).exists(), target

    def test_leads_to_its_neighbours(self, path):
        text = "".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
        here = PATHS.index(path)
        for neighbour in PATHS[max(here - 1, 0) : here] + PATHS[here + 1 : here + 2]:
            assert f"]({neighbour.name})" in text

    def test_code_cells_are_short(self, path):
        lengths = [len(cell.source.splitlines()) for cell in code_cells(path)]
        assert statistics.median(lengths) <= 8
        assert max(lengths) <= 30

    def test_exercises_can_be_solved_and_do_not_solve_themselves(self, path):
        exercises = find_exercises(path)
        assert 2 <= len(exercises) <= 4
        with_solution = [cell for cell in code_cells(path) if "### BEGIN" in cell.source]
        assert len(with_solution) == len(exercises), "a solution without a check"
        for setup, exercise, check in exercises:
            run(setup, exercise, check)
            parts = [match.group() for match in SOLUTION.finditer(exercise)]
            assert len(parts) == exercise.count("### BEGIN SOLUTION") > 0
            for part in parts:  # each alone: not begun, and returning nothing
                indent = part[: len(part) - len(part.lstrip())]
                with pytest.raises((NotImplementedError, AssertionError)):
                    run(setup, exercise.replace(part, indent + "raise NotImplementedError"), check)
                with pytest.raises((AssertionError, TypeError, AttributeError)):
                    run(setup, exercise.replace(part, indent + "pass"), check)

    def test_what_it_writes_out_is_what_the_package_has(self, path):
        cells = [cell.source for cell in code_cells(path) if "inline-equals-package" in tags(cell)]
        if not cells:
            shown_elsewhere = ("00", "01", "05", "06", "07", "08")
            assert path.name[:2] in shown_elsewhere, "shows no network of its own"
            return
        namespace = run(setup_of(path), *cells)
        assert description(namespace["model"]) == description(
            namespace["models"].build(namespace["model"].name)
        )


def test_few_outputs_escape_comparison():
    ignored = [
        f"{path.name}: {cell.id}"
        for path in PATHS
        for cell in code_cells(path)
        if IGNORING.search(cell.source) or any(IGNORING.search(tag) for tag in tags(cell))
    ]
    assert len(ignored) <= MOST_IGNORED, ignored


def test_compiling_by_hand_is_what_the_package_does():
    path = next(path for path in PATHS if path.name.startswith("02"))
    cells = [cell.source for cell in code_cells(path) if "inline-equals-package" in tags(cell)]
    by_hand = run(setup_of(path), *cells)
    model = by_hand["model"]
    packaged = by_hand["training"].compile_model(by_hand["models"].build_fully_connected())
    for part in ("optimizer", "loss"):
        configs = [getattr(each, part).get_config() for each in (model, packaged)]
        for config in configs:
            config.pop("name")  # numbered by Keras
        assert configs[0] == configs[1]
    assert model.jit_compile == packaged.jit_compile


def setup_of(path):
    return "\n".join(cell.source for cell in code_cells(path) if "exercise-setup" in tags(cell))


def find_exercises(path):
    """(setup, exercise with solution, check) of every exercise of a notebook."""
    cells = code_cells(path)
    checks = [i for i, cell in enumerate(cells) if "exercise-check" in tags(cell)]
    return [(setup_of(path), cells[i - 1].source, cells[i].source) for i in checks]


def run(*sources):
    """Runs cells one after the other in a fresh namespace, which it returns."""
    namespace = {"__name__": "notebook"}
    for source in sources:
        exec(compile(source, "cell", "exec"), namespace)
    return namespace


def description(model):
    """What makes two networks the same: kinds, names, shapes, parameters and settings."""
    settings = ("filters", "kernel_size", "padding", "strides", "pool_size", "units", "rate")
    return [
        (
            type(layer).__name__,
            layer.name,
            layer.output.shape,
            layer.count_params(),
            getattr(getattr(layer, "activation", None), "__name__", None),
            [getattr(layer, setting, None) for setting in settings],
        )
        for layer in model.layers
    ]

"""What nbval does not see: whether the notebooks are whole, honest, and solvable.

nbval compares nothing in a cell without an execution count, never looks at pictures, and takes a
cell's word when it is tagged to be ignored.
"""

import ast
import re
import statistics

from cifar_keras.environment import keras

import nbformat
import pytest
from bs4 import BeautifulSoup
from lessons import (
    PATHS,
    code_cells,
    prose,
    read,
    run,
    setup_of,
    stated_minutes,
    tagged,
    tags,
)
from nbconvert import ScriptExporter

from cifar_keras import models

MOST_IGNORED = 0  # cells in the whole course whose output nbval is told not to compare
IGNORING = re.compile(r"nbval[-_](ignore|skip)|validate_ignore|raises[-_]exception", re.IGNORECASE)

# Where numbers come from that depend on this computer: networks, and what is done with them.
MEASURING_MODULES = {
    *("keras", "layers", "models", "training", "measure", "inspection", "evaluation", "time"),
}
MEASURING_METHODS = {"fit", "evaluate", "predict", "load_model", "linalg"}


def test_the_course_is_complete():
    assert [path.name[:2] for path in PATHS] == [f"{number:02}" for number in range(len(PATHS))]
    assert 9 <= len(PATHS) <= 13


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

    def test_has_one_title_with_its_number(self, path):
        titles = re.findall("^# .*", "\n".join(prose(path)), re.MULTILINE)
        assert len(titles) == 1 and titles[0].startswith(f"# {path.name[:2]} · ")
        assert prose(path)[0].startswith(titles[0])

    def test_was_executed_top_to_bottom(self, path):
        counts = [cell.execution_count for cell in code_cells(path)]
        assert counts == list(range(1, len(counts) + 1))

    def test_has_no_errors_no_stderr_and_no_place_of_its_author(self, path):
        for cell in code_cells(path):
            for output in cell.outputs:
                assert output.output_type != "error", cell.id
                assert output.get("name") != "stderr", cell.id
                assert not re.search(r"/(home|root|tmp|work|Users)/", str(output)), cell.id

    def test_pictures_have_title_and_description_as_text_alternative(self, path):
        outputs = [output for cell in code_cells(path) for output in cell.outputs]
        descriptions = [
            output.data["text/plain"]
            for output in outputs
            if "<img" in output.get("data", {}).get("text/html", "")
        ]
        assert not any("image/png" in output.get("data", {}) for output in outputs)
        shown = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
        images = BeautifulSoup(shown, "html.parser").find_all("img", src=re.compile("^data:"))
        for image, description in zip(images, descriptions, strict=True):
            title, _, said = image["alt"].rpartition(description)
            assert len(title) > 15 and title.endswith(". ") and said == "" and len(description) > 40
        assert descriptions

    def test_links_lead_somewhere(self, path):
        for target in re.findall(r"\]\(([^)#:]+)\)", "\n".join(prose(path))):
            assert (path.parent / target).exists(), target

    def test_leads_to_its_neighbours(self, path):
        here = PATHS.index(path)
        for neighbour in PATHS[max(here - 1, 0) : here] + PATHS[here + 1 : here + 2]:
            assert f"]({neighbour.name})" in "".join(prose(path))

    def test_it_can_be_exported_to_a_script(self, path):
        script, resources = ScriptExporter().from_filename(path)
        assert resources["output_extension"] == ".py"
        compile(script, path.stem, "exec")

    def test_what_is_only_read_from_files_is_not_said_to_be_of_this_run(self, path):
        """nbval compares no number behind `this run:`, and recorded numbers are to be compared."""
        assert not recorded_yet_masked([cell.source for cell in code_cells(path)])

    def test_what_is_not_compared_has_the_words_of_its_cell(self, path):
        """A text that is changed behind `this run:` is executed again, though nbval passes it."""
        for cell in code_cells(path):
            printed = "".join(output.get("text", "") for output in cell.outputs)
            for line in re.findall(r"this run:[^\n]*", printed):
                assert any(re.match(form, line) for form in masked_forms(cell.source)), line

    def test_no_line_of_a_formula_is_an_item_of_a_list(self, path):
        """Markdown takes a line that begins with + or - for one."""
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                for formula in re.findall(r"\$\$.*?\$\$", cell.source, re.DOTALL):
                    assert not re.search(r"^(\$\$)?\s*[-+]", formula, re.MULTILINE), formula

    def test_code_cells_are_short(self, path):
        lengths = [len(cell.source.splitlines()) for cell in code_cells(path)]
        assert statistics.median(lengths) <= 8
        assert max(lengths) <= 30


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_time_stated_is_within_a_factor_of_two_of_what_was_computed(path):
    measured = read(path).metadata["cifar_keras"]["computing_seconds"] / 60
    assert measured / 2 <= stated_minutes(path) <= 2 * measured


def test_few_outputs_escape_comparison():
    ignored = [
        f"{path.name}: {cell.id}"
        for path in PATHS
        for cell in code_cells(path)
        if IGNORING.search(cell.source) or any(IGNORING.search(tag) for tag in tags(cell))
    ]
    assert len(ignored) <= MOST_IGNORED, ignored


def masked_forms(source):
    """The texts in a cell that begin with `this run:`, as patterns of what they print."""
    tree = ast.parse(re.sub("^[%!].*", "", source, flags=re.MULTILINE))
    formatted = [node.values for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts_of_formatted = {id(part) for values in formatted for part in values}
    texts = [[getattr(part, "value", None) for part in values] for values in formatted]
    texts += [
        re.split(r"\{[^}]*\}()", node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in parts_of_formatted
    ]
    forms = [
        "".join(re.escape(part) if part and isinstance(part, str) else ".*" for part in parts)
        for parts in texts
    ]
    return [form for form in forms if form.startswith("this\\ run:")]


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        ('print(f"this run: {results.final(run, column):.1%}")', True),
        ('loss = results.final(run, column)\nprint(f"this run: {loss:.1f}")', True),
        ('print("this run: {:.1f}".format(np.mean([h[-1] for h in recorded.values()])))', True),
        ('start = f"this run: {name}"\nprint(start, recorded[name])', True),
        ('print("this run:", end=" ")\nprint(recorded)', True),
        ('print("this run:", end=" ")\nprint(model.evaluate(x, y))', False),
        ('print(f"recorded: {recorded}")', False),
        ('loss = model.evaluate(x, y)\nprint(f"this run: {loss:.1f}")', False),
        ('loss = model.evaluate(x, y)\nloss = recorded\nprint(f"this run: {loss}")', True),
        ("def f(x):\n    return keras.ops.sum(x)\nprint(f'this run: {f(1)}')", False),
        ("all = {}\nfor m in nets:\n    all[m] = m.fit(x)\nprint(f'this run: {all}')", False),
        ("all = []\nall.append(measure.gradient(f, x))\nprint(f'this run: {all}')", False),
        ("with check('x'):\n    a, b = runs\n    print(f'this run: {a}')", True),
    ],
)
def test_what_is_only_read_is_told_from_what_is_measured(source, masked):
    assert bool(recorded_yet_masked([source])) == masked


def recorded_yet_masked(cells):
    """The prints of lines `this run:` of which nothing was measured in these cells, as source.

    Follows assignments from top to bottom: what comes from a network, or from something that did,
    is measured.
    """
    measured, beginnings, found, unfinished = set(MEASURING_MODULES), set(), [], []

    def is_measured(node):
        return any(
            (isinstance(part, ast.Name) and part.id in measured)
            or (isinstance(part, ast.Attribute) and part.attr in MEASURING_METHODS)
            for part in ast.walk(node)
        )

    def begins(node):
        """Whether the first text in an expression is that of a masked line."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in beginnings:
                return True
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                return part.value.startswith("this run:")
        return False

    def assign(target, value):
        names = {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
        if is_measured(value):
            measured.update(names)
        elif isinstance(target, ast.Name):
            measured.difference_update(names)
        if begins(value):
            beginnings.update(names)

    def call(node):
        if isinstance(node.func, ast.Attribute) and is_measured(ast.Tuple(node.args)):
            measured.update(n.id for n in ast.walk(node.func.value) if isinstance(n, ast.Name))
        if getattr(node.func, "id", None) != "print" or not node.args:
            return
        masked = bool(unfinished) or begins(node.args[0])
        unfinished.append(node)  # prints with `end` make one line together with the next
        if not any(keyword.arg == "end" for keyword in node.keywords):
            if masked and not any(is_measured(ast.Tuple(part.args)) for part in unfinished):
                found.append(ast.unparse(node))
            unfinished.clear()

    def follow(statements):
        for statement in statements:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                assign(ast.Name(statement.name), statement)
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    assign(target, statement.value)
            elif isinstance(statement, ast.AugAssign):
                assign(ast.Tuple([statement.target]), statement.value)
            elif isinstance(statement, ast.For):
                assign(statement.target, statement.iter)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                call(statement.value)
            follow(getattr(statement, "body", []))
            follow(getattr(statement, "orelse", []))

    for cell in cells:
        follow(ast.parse(re.sub("^[%!].*", "", cell, flags=re.MULTILINE)).body)
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in PATHS if tagged(path, "inline-equals-package")],
    ids=lambda path: path.stem,
)
def test_a_network_that_is_written_out_is_the_package_s(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = run(
        setup_of(path), *(cell.source for cell in tagged(path, "inline-equals-package"))
    )
    [packaged] = [name for name in models.BUILDERS if name.endswith(path.stem[3:])]
    written = [
        description(value)
        for name, value in namespace.items()
        if isinstance(value, keras.Model) and name != "package"
    ]
    assert description(models.build(packaged)) in written


def description(model):
    """What makes two networks the same: kinds, shapes, parameters and settings of the layers."""
    settings = ("filters", "kernel_size", "padding", "strides", "pool_size", "units", "rate")
    return [
        (
            type(layer).__name__,
            layer.output.shape,
            layer.count_params(),
            getattr(getattr(layer, "activation", None), "__name__", None),
            [getattr(layer, setting, None) for setting in settings],
        )
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)  # a Sequential does not list it
    ]

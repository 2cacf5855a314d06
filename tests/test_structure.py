"""Whether the package is as it is meant to be: small modules, one direction, no back doors."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cifar_keras"
# Each module imports only from modules before it.
ORDER = [
    *("errors", "machine", "files", "terminal", "environment"),
    *("formats", "sources", "data"),
    *("layers", "practice", "whitened", "models", "optimizers"),
    *("histories", "callbacks", "training", "evaluation", "results"),
    *("study", "jobs", "verification"),
    *("claims", "measure", "inspection", "exercises"),
    "style",
    *("plots", "plots_statistics", "plots_lessons", "plots_architecture", "plots_training"),
    *("plots_inside", "plots_recipes", "plots_summary"),
    "play",
    "__main__",
]
# Which module may import which backend; each such line stands alone there and says why.
BACKENDS = {
    "environment": {"tensorflow"},
    "layers": {"tensorflow"},  # its compiler and its batch normalisation
    "measure": {"tensorflow", "jax", "torch"},  # Keras has no gradient of its own
}
MOST_LINES = 420  # what can be read in one sitting
# Their types are Keras', which calls them: overridden, they stand as Keras has them.
KERAS_METHODS = r"on_\w+|call|get_config|from_config|update_step"

modules = pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"],
    ids=lambda path: path.stem,
)


def imports(path):
    """(module, names) of every import statement in a file, whether it runs at once or later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", [alias.name for alias in node.names]


def test_every_module_has_its_place():
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", *ORDER}


def test_every_module_has_a_file_of_tests():
    for module in set(ORDER) - {"__main__"} | {"cli"}:
        assert Path(__file__).with_name(f"test_{module}.py").is_file(), module


@modules
def test_a_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@modules
def test_data_flows_in_one_direction(path):
    for module, names in imports(path):
        if module == "cifar_keras":
            used = [name for name in names if name != "__version__"]
        elif module.startswith("cifar_keras."):
            used = [module.removeprefix("cifar_keras.")]
        else:
            continue
        for other in used:
            assert ORDER.index(other) < ORDER.index(path.stem), f"{path.stem} imports {other}"


@modules
def test_no_module_uses_what_is_private_to_another(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for module, names in imports(path):
        if module.startswith("cifar_keras"):
            assert not [n for n in names if re.match("_(?!_)", n)], module
    used = [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id in ORDER and node.attr.startswith("_")
    ]
    assert not used


@modules
def test_the_choice_of_the_backend_is_left_to_keras(path):
    imported = {module.partition(".")[0] for module, _ in imports(path)}
    backends = imported & {"tensorflow", "tf_keras", "jax", "torch"}
    assert backends == BACKENDS.get(path.stem, set())


def public_functions(tree):
    """(name, node) of every public function, and of the public methods of the public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            yield from (
                (f"{node.name}.{method.name}", method)
                for method in methods
                if re.match("__init__|(?!_)", method.name)
                and not re.fullmatch(KERAS_METHODS, method.name)
            )


@modules
def test_public_signatures_have_types(path):
    untyped = []
    for name, function in public_functions(ast.parse(path.read_text(encoding="utf-8"))):
        given = function.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        untyped += [
            f"{name}({argument.arg})"
            for argument in arguments
            if argument and argument.annotation is None and argument.arg not in ("self", "cls")
        ]
        if function.returns is None and function.name != "__init__":
            untyped.append(f"{name} -> ?")
    assert not untyped

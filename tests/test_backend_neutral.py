"""The package leaves the choice of the backend to Keras."""

import ast
from pathlib import Path

import pytest

# Which room may import which backend; each such line stands alone there and says why.
EXCEPTIONS = {
    "layers.py": {"tensorflow"},  # its compiler and its batch normalisation
    "environment.py": {"tensorflow"},
    "measure.py": {"tensorflow", "jax", "torch"},  # Keras has no gradient of its own
}
PACKAGE = Path(__file__).parents[1] / "cifar_keras"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_imports_no_backend(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    backends = imported & {"tensorflow", "tf_keras", "jax", "torch"}
    assert backends == EXCEPTIONS.get(path.name, set())

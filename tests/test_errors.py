"""What a reader sees of an error that is meant for him."""

import nbformat
from nbclient import NotebookClient


def test_a_notebook_shows_one_line():
    source = (
        "from cifar_keras.errors import UserError\nraise UserError('no; do this') from OSError()"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
    [output] = notebook.cells[0].outputs
    assert output["traceback"] == ["error: no; do this"]
    assert (output["ename"], output["evalue"]) == ("UserError", "no; do this")

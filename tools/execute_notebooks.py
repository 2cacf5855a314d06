"""Runs notebooks top to bottom and stores their outputs, as they are committed.

    python tools/execute_notebooks.py notebooks/*.ipynb

Of a progress line that rewrites itself only the last state is kept. A notebook in which a cell
fails is left as it was.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def last_state(text):
    """What a terminal shows of a text once every carriage return has been obeyed."""
    return "\n".join(re.split(r"\r+", line)[-1] for line in text.split("\n"))


def execute(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    NotebookClient(
        notebook,
        resources={"metadata": {"path": path.parent}},
        record_timing=False,
        coalesce_streams=True,
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = last_state(output.text)
    # The kernel's Python version would differ at every execution.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "file_extension": ".py"},  # of exported scripts
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument, flush=True)
        execute(Path(argument))

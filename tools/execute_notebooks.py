"""Runs notebooks top to bottom and stores their outputs, as they are committed.

    python tools/execute_notebooks.py notebooks/*.ipynb

Of a progress line that rewrites itself only the last state is kept. A notebook in which a cell
fails is left as it was. What it computed for is kept in its metadata, as seconds of two processor
cores that do nothing else; tests hold the time that a lesson states to it.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def last_state(text):
    """What a terminal shows of a text once every carriage return has been obeyed."""
    return "\n".join(re.split(r"\r+", line.rstrip("\r"))[-1] for line in text.split("\n"))


def computed():
    """Seconds for which processes that have ended computed, on two cores; 0 on Windows."""
    times = os.times()
    return (times.children_user + times.children_system) / 2


def execute(path):
    started = computed()
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
        "cifar_keras": {"computing_seconds": round(computed() - started)},
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument, flush=True)
        execute(Path(argument))

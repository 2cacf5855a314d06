"""Brings the records of runs, `results/*/*/run.json`, into today's form; their numbers stay.

    python tools/amend_records.py

What a record lacks is taken from the files beside it and from what is known of the recordings:
that seed 0 of `full` began on a GPU is in its seconds and in `studies/full.toml`; on how many
threads a run was trained was written down for `quick`, `compact` and `strong` alone. Records that
have today's form are left as they are.
"""

import json
import re

from cifar_keras import environment  # noqa: F401  quietly  isort: skip
from cifar_keras import files, results, study

# From which epoch on a processor went on with seed 0 of `full`: there an epoch takes minutes.
FULL_FROM = {
    "fully_connected": 62,
    "average_pooling": 78,
    "average_pooling_dropout": 74,
    "average_pooling_no_classifier": 81,
    "average_pooling_dropout_no_classifier": 78,
}
GPU = {"backend": "jax", "device": "NVIDIA H200", "threads": None}
THREADS = {"quick": 2, "compact": 2, "strong": 1}
RENAMED = {"final_accuracy": "last_accuracy", "final_loss": "last_loss"}


def trained_on(name, record):
    """What computed which epochs, from the names that a record had for it."""
    epochs = record["recipe"]["epochs"]
    here = {
        "backend": record["backend"],
        # The number behind the name is that of the processor's threads, not of the run's.
        "device": re.sub(r" \(\d+ threads\)$", "", record["device"]),
        "threads": THREADS.get(name),
    }
    if name == "full" and record["seed"] == 0:
        begin = FULL_FROM[record["variant"]]
        return [
            {"first_epoch": 1, "last_epoch": begin - 1, **GPU},
            {"first_epoch": begin, "last_epoch": epochs, **here},
        ]
    return [{"first_epoch": 1, "last_epoch": epochs, **here}]


def amended(name, run):
    """The record of a run of the study `name` in today's form."""
    record = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    record["summary"] = {RENAMED.get(k, k): value for k, value in record["summary"].items()}
    if "trained_on" not in record:
        record["trained_on"] = trained_on(name, record)
    for former in ("backend", "device"):
        record.pop(former, None)
    record.setdefault("sha256", study.file_hashes(run))
    return record


if __name__ == "__main__":
    for name in files.studies():
        for run in results.runs_in(results.RESULTS / name):
            if run.finished:
                content = json.dumps(amended(name, run), indent=1) + "\n"
                files.write(run.folder / "run.json", content.encode())

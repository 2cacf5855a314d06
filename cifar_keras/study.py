"""Many trainings as one experiment: variants × seeds on one data set, recorded as they finish."""

import dataclasses
import importlib.metadata
import json
import platform
import subprocess
import time
from pathlib import Path

import keras

from cifar_keras import data, files, results, training
from cifar_keras.errors import UserError

PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch")


def run(folder, data_name="sample", recipe=training.REFERENCE, seeds=(0,), verbose=True):
    """Trains the three variants once for each seed; finished runs are not trained again.

    Every run is a folder `<variant>-seed<k>` with `history.csv` and, once it is finished,
    `run.json`: recipe, seed, data and their hashes, versions, machine, commit, seconds. A run
    that was killed goes on at its last finished epoch.

    Args:
        folder: where the runs go. data_name: "sample" or "full".
        recipe, seeds: how each is trained, and from which seeds.
        verbose: show a progress line for each run.

    Returns:
        `{variant: {seed: history}}` of the runs asked for.

    Raises:
        UserError: a finished run in `folder` has other settings, or as `training.fit` does.
    """
    arrays = data.load_data(data_name)
    settings = {
        "recipe": dataclasses.asdict(recipe),
        "data": data_name,
        "data_sha256": [data.array_hash(array) for part in arrays for array in part],
    }
    runs = {variant: {} for variant in results.VARIANTS}
    for seed in seeds:
        for variant in results.VARIANTS:
            run_folder = Path(folder) / f"{variant}-seed{seed}"
            if not _finished(run_folder, settings):
                _record(run_folder, variant, arrays, recipe, seed, settings, verbose)
            runs[variant][seed] = results.read_history(run_folder / "history.csv")
    return runs


def _finished(run_folder, settings):
    path = run_folder / "run.json"
    if not path.exists():
        return False
    recorded = json.loads(path.read_text())
    other = [name for name, value in settings.items() if recorded.get(name) != value]
    if other:
        raise UserError(
            f"{run_folder} holds a run with another {', '.join(other)}; name another folder"
        )
    return True


def _record(run_folder, variant, arrays, recipe, seed, settings, verbose):
    started, commit = time.monotonic(), _commit()  # before: the code may be edited meanwhile
    training.train(variant, arrays, recipe, seed, run_folder, verbose)
    files.write(
        run_folder / "run.json",
        json.dumps(
            {
                "variant": variant,
                "seed": seed,
                **settings,
                "backend": keras.backend.backend(),
                "dtype": keras.config.dtype_policy().name,
                "versions": _versions(),
                "cpu": _cpu(),
                "commit": commit,
                "seconds": round(time.monotonic() - started, 1),
            },
            indent=1,
        ).encode(),
    )
    (run_folder / "checkpoint.npz").unlink()


def _versions():
    installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    packages = {name: installed[name] for name in PACKAGES if name in installed}
    return {"python": platform.python_version(), **packages}


def _cpu():
    """The processor's name; /proc/cpuinfo has the full one where there is one (Linux)."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} threads)" if names else platform.processor()


def _commit():
    """The checkout's commit, with "+" if the package differs from it; None outside git."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None

"""The runs of a study, many at once: on this computer, or on the workers of a Dask cluster.

Either way a run is trained by a process of its own, `python -m cifar_keras study run NAME --only
RUN`, so that its memory ends with it; and which process trains what is settled by the locks on the
runs' folders alone, as among several terminals.

A Dask worker imports this module to start such processes and needs no Keras for that, so what needs
it is imported by the functions that start here.
"""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cifar_keras import files, machine, terminal
from cifar_keras.errors import UserError, first_line
from cifar_keras.results import Run

POLL = 0.5  # seconds between two looks at what has changed
# MB, taken for a run while none of its study is recorded: the largest nets take it on all images.
MOST_MEMORY = 2500


def run_here(name: str, jobs: int) -> None:
    """Trains what a study lacks, `jobs` runs at once, which share the cores of this computer.

    Raises:
        UserError: more jobs than cores, or than the memory suffices for; a finished run has other
            settings; a run failed, which its own line has said, after all others are done.
    """
    if jobs > machine.cores():
        raise UserError(
            f"{jobs} jobs are more than the {machine.cores()} processor cores here; give --jobs "
            f"from 1 to {machine.cores()}"
        )
    from cifar_keras import environment

    print(environment.describe())
    described, lacking = _lacking(name)
    at_once = min(jobs, len(lacking))
    _check_memory(described, at_once)
    threads, stop = machine.cores() // max(at_once, 1), threading.Event()
    with ThreadPoolExecutor(jobs) as pool:  # whose end waits for all processes
        try:
            _watch(
                described,
                {
                    pool.submit(train, name, one, files.CHECKOUT, stop, threads): one
                    for one in lacking
                },
            )
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def run_on_cluster(name: str, address: str) -> None:
    """Trains what a study lacks on the workers of a Dask cluster, a run for each of their threads.

    The workers must see the checkout's folder under the same path. A run whose worker dies is
    given to another, which goes on at its checkpoint.

    Args:
        address: of the scheduler, as `tcp://host:8786`.

    Raises:
        UserError: `distributed` is not installed, no scheduler is there or it has no workers, a
            worker does not see the folder, another command has given the study to a cluster, or
            as `run_here` does.
    """
    try:
        import distributed  # pyright: ignore[reportMissingImports]  # of the extra `cluster`
    except ImportError as error:
        raise UserError(
            "--scheduler needs the package distributed; `pip install -e '.[cluster]'`"
        ) from error
    described, lacking = _lacking(name)
    # Held until the end: workers recognise by it that they see this very folder, and its locks.
    with files.lock(described.folder) as ours:
        if not ours:
            raise UserError(
                f"another command has given the runs of {name!r} to a cluster; wait until it ends, "
                "or stop it"
            )
        with _connected(distributed, address) as client:
            _check_workers(client, described.folder)
            stop = distributed.Event()
            futures = {
                client.submit(
                    _train_on_worker, name, one, files.CHECKOUT, stop, key=f"{one.name} {stop.name}"
                ): one
                for one in lacking
            }
            try:
                _watch(described, futures)
            except BaseException:
                with contextlib.suppress(Exception):  # nobody may answer any more
                    stop.set()
                    distributed.wait(list(futures), timeout=10)
                raise


def train(name: str, one: Run, checkout: Path, stop: Any, threads: int = 1) -> bool:
    """Trains one run in a process of its own and waits for its end.

    Args:
        name: of the study. one: the run.
        checkout: folder of the repository whose study it is.
        stop: an event (of `threading` or `distributed`) that ends the process when it is set.
        threads: that an operation may use, unless TF_NUM_INTRAOP_THREADS says how many.

    Returns:
        Whether the run is finished; else another process trains it.

    Raises:
        UserError: the training failed; the name of the run and the last line of its error.
    """
    # The package of this checkout, whatever the folder in which a worker was started holds.
    path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
    # TensorFlow's and PyTorch's.
    limits = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"), str(threads))
    variables = {**limits, **os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-P", "-m", "cifar_keras", "study", "run", name, "--only", one.name]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command,
            env=variables | {"PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        while process.poll() is None:
            if stop.wait(POLL):
                return False  # closes the pipe, at whose end the process ends
        errors.seek(0)
        lines = errors.read().splitlines() or ["it said nothing"]
    if process.returncode < 0:
        lines = [f"killed by signal {-process.returncode}; if memory was short, give fewer jobs"]
    if process.returncode:
        said = ([line for line in lines if line.startswith("error: ")] or lines)[-1]
        raise UserError(f"{one.name}: {said.removeprefix('error: ').removeprefix(f'{one.name}: ')}")
    return one.finished


def train_only(name: str, run: str) -> None:
    """Trains one run, if no other process does; what the processes that `train` starts do.

    The process ends at once when its standard input does, so with the one that started it, even if
    that was killed: a checkpoint is whole at any moment.

    Raises:
        UserError: as `study.run` does, or no such run is planned.
    """

    def end_with_the_starter():
        os.read(sys.stdin.fileno(), 1)  # nothing is ever written there
        os._exit(130)

    threading.Thread(target=end_with_the_starter, daemon=True).start()
    from cifar_keras import study

    study.run(study.load(name).only(run), verbose=False)


def _lacking(name):
    """The study and the runs that it lacks, after a look at those that it has."""
    from cifar_keras import data, study

    described = study.load(name)
    hashes = data.known_hashes(described.data)
    return described, [
        one for one in described.runs() if study.needs_training(described, one, hashes)
    ]


def _check_memory(described, jobs):
    """Raises UserError if the free memory is too small for that many runs at once."""
    # MB, the least of each variant: who trains several runs in a process records its peak of all.
    least: dict[str, int] = {}
    for one in described.runs():
        if one.finished and (taken := one.record.get("peak_memory_mb")):
            least[one.variant] = min(taken, least.setdefault(one.variant, taken))
    each, free = max(least.values(), default=MOST_MEMORY), machine.free_memory()
    if free is not None and jobs * each > free:
        taken = f"{jobs} runs at once take" if jobs > 1 else "a run takes"
        fewer = f"give --jobs {free // each}, or " if free >= each else ""
        raise UserError(
            f"{taken} about {jobs * each:,} MB of memory, and {free:,} MB are free; {fewer}close "
            "other programs"
        )


def _connected(distributed, address):
    """A client of the scheduler; raises UserError if none answers."""
    # What it would log there besides, our own lines say.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        return distributed.Client(address, timeout=5)
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Dask scheduler answers at {address}; start one with `dask scheduler`, or mend the "
            "address"
        ) from error


def _check_workers(client, folder):
    """Raises UserError unless there are workers and all see what is locked here."""
    try:
        seen = client.run(files.locked, folder)
    except Exception as error:  # whatever was raised there
        raise UserError(
            f"a worker cannot run the course ({first_line(error)}); start it with the course's "
            "Python and package"
        ) from error
    if not seen:
        raise UserError("the scheduler has no workers; start some with `dask worker`")
    if blind := [worker for worker, locked in seen.items() if not locked]:
        raise UserError(_not_seen(", ".join(blind), folder))


def _not_seen(worker, folder):
    return (
        f"{worker} does not see {folder}, or no locks in it; start the workers where the checkout "
        "lies on a shared disk, under the same path"
    )


def _train_on_worker(name, one, *arguments):
    if not files.locked(one.folder.parent):  # by a worker that came later
        raise UserError(_not_seen("its worker", one.folder.parent))
    return train(name, one, *arguments)


def _watch(described, futures):
    """Shows what changes until all futures are done; takes out of `futures` those that are.

    Raises:
        UserError: a run failed, or the cluster is lost.
    """
    from cifar_keras import study

    shown, started = study.status(described), time.monotonic()
    total, finished, failed = len(futures), 0, 0
    print(f"{total} of {len(shown)} runs are to be trained")
    while futures:
        time.sleep(POLL)
        ended = [future for future in futures if future.done()]
        if any(future.cancelled() for future in ended):
            raise UserError(
                "the scheduler does not answer any more; start it again, and the same command goes "
                "on"
            )
        lines = study.status(described)
        for line in (line for line, before in zip(lines, shown, strict=True) if line != before):
            _show(line, stays="finished" in line)
        shown = lines
        for future in ended:
            one = futures.pop(future)
            try:
                if future.result():
                    finished += 1
                else:
                    _show(f"{one.name:43} left to another process, which is training it")
            except Exception as error:  # whatever a worker raises
                failed += 1
                terminal.end_line()
                said = " ".join(str(error).split())
                print(
                    f"error: {said if one.name in said else f'{one.name}: {said}'}", file=sys.stderr
                )
        if ended and futures and finished:
            left = (time.monotonic() - started) / finished * len(futures) / 60
            _show(f"{finished} of {total} finished (the study has {left:.0f} min left)")
    if failed:
        raise UserError(
            f"{failed} of {total} runs failed, as said above; the same command goes on with them"
        )


def _show(line, stays=True):
    """A line over the one before, if that was not to stay."""
    terminal.rewrite(line, sys.stdout)
    if stays:
        terminal.end_line()

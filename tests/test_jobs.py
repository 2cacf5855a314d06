"""Whether many runs at once are the runs that one after the other would be, and end as they should.

The processes work in a copy of the package, which has small studies of its own.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from small_study import contents

from cifar_keras import files, jobs, machine, results, study
from cifar_keras.__main__ import main
from cifar_keras.errors import UserError

STUDIES = {
    "one": """
        data = "sample"
        keep_weights = [0]
        recipe = { epochs = 4, batch_size = 256, learning_rate = 0.01, momentum = 0.9 }
        [variants]
        narrow = { model = "whitened", widths = [8, 16], depths = [1, 1] }
        moved = { model = "whitened", widths = [8, 8], depths = [1, 1], recipe = { mirror = true } }
    """,
    "two": """
        base = "one"
        [variants.diverging]
        model = "whitened"
        widths = [8]
        depths = [1]
        recipe = { learning_rate = 1e30 }
    """,
    "cluster": 'base = "one"',
    "long": 'base = "one"\nrecipe = { epochs = 1000 }',
}
RUNS = ["narrow-seed0", "moved-seed0"]
BEGUN = re.compile(r"^(\S+) +in training, [1-9]\d* of \d+ epochs done$")
two_cores = pytest.mark.skipif(machine.cores() < 2, reason="needs two processor cores")


FEW = """

def load_sample(whole=load_sample):
    return tuple((images[:1000], labels[:1000]) for images, labels in whole())
"""
HOLD = """

def _held(self, epoch, logs=None, begin=Recorder.on_epoch_begin):
    while epoch == 2 and (files.CHECKOUT / "hold").exists():
        time.sleep(0.01)
    begin(self, epoch, logs)


Recorder.on_epoch_begin = _held  # the test's: with a file `hold`, no run goes on after two epochs
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with the package and small studies, and nothing recorded."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(files.CHECKOUT / "cifar_keras", folder / "cifar_keras")
    with (folder / "cifar_keras" / "callbacks.py").open("a", encoding="utf-8") as file:
        file.write(HOLD)
    with (folder / "cifar_keras" / "data.py").open("a", encoding="utf-8") as file:
        file.write(FEW)
    path = folder / "cifar_keras" / "jobs.py"
    text = path.read_text(encoding="utf-8")
    assert "MOST_MEMORY = 2500" in text
    path.write_text(text.replace("MOST_MEMORY = 2500", "MOST_MEMORY = 100"), encoding="utf-8")
    (folder / "studies").mkdir()
    for name, described in STUDIES.items():
        (folder / "studies" / f"{name}.toml").write_text(described)
    return folder


@contextlib.contextmanager
def running(checkout, name, *options, **variables):
    """`study run` as a process, of which nothing is left after the block."""
    path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-m", "cifar_keras", "study", "run", name, *options],
        env=os.environ | {"PYTHONPATH": path} | variables,
        cwd=checkout,
        # Whoever runs tests in the background hands it on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **pipes,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def plain(printed):
    """The lines of what was printed into a pipe, which it looks at."""
    assert "\r" not in printed
    lines = printed.splitlines()
    assert not [line for line in lines if len(line) > 79]
    return lines


def digits(checkout, name, run):
    """What must be the same, digit for digit: everything but what time it took and where."""
    folder = checkout / "results" / name / run
    history = results.Run("", 0, folder).history
    return [
        [{key: value for key, value in row.items() if key != "seconds"} for row in history],
        (folder / "predictions.csv").read_bytes(),
        (folder / "weights.npz").read_bytes(),
    ]


def begun(process, many):
    """The first runs of a process that have an epoch done, as soon as there are as many."""
    runs = {}
    while len(runs) < many:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        if found := BEGUN.match(line):
            runs[found[1]] = True
    return list(runs)


@pytest.fixture(scope="module")
def one_by_one(checkout):
    """What a single process trains with the threads that each of two jobs has, by run."""
    threads = str(machine.cores() // 2)
    with running(checkout, "one", TF_NUM_INTRAOP_THREADS=threads) as process:
        _, said = process.communicate()
    assert (process.returncode, said) == (0, "")
    return {run: digits(checkout, "one", run) for run in RUNS}


@two_cores
def test_jobs_train_what_a_single_process_does_though_a_run_fails(
    checkout, one_by_one, monkeypatch
):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    with running(checkout, "two", "--jobs", "2") as process:
        printed, said = process.communicate()
    assert process.returncode == 2
    assert said == (
        "error: diverging-seed0: the loss is no longer a number in epoch 1; try a lower learning "
        "rate\n"
        "error: 1 of 3 runs failed, as said above; the same command goes on with them\n"
    )
    lines = plain(printed)
    assert lines[1] == "3 of 3 runs are to be trained"
    assert sum(" finished, last test accuracy " in line for line in lines) == 2
    assert {run: digits(checkout, "two", run) for run in RUNS} == one_by_one
    for run in RUNS:
        recorded = results.Run("", 0, checkout / "results" / "two" / run).record
        assert recorded["trained_on"][0]["threads"] == machine.cores() // 2


def test_ctrl_c_ends_the_processes_and_keeps_their_checkpoints(checkout):
    with running(checkout, "long", "--jobs", "1") as process:
        (run,) = begun(process, 1)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate()
    assert process.returncode == 130
    assert said == "interrupted; the same command goes on after the last finished epoch\n"
    plain(printed)
    folder = checkout / "results" / "long" / run
    assert (folder / "checkpoint.npz").exists()
    with files.lock(folder) as free:
        assert free


@pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="needs distributed")
@two_cores
def test_a_run_goes_on_elsewhere_when_its_worker_of_a_cluster_is_killed(
    checkout, one_by_one, monkeypatch
):
    import distributed

    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", str(machine.cores() // 2))  # workers inherit it
    hold = checkout / "hold"
    hold.touch()
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        running(checkout, "cluster", "--scheduler", cluster.scheduler_address) as process,
    ):
        (run,) = begun(process, 1)
        history = checkout / "results" / "cluster" / run / "history.csv"
        has = {worker: str(keys) for worker, keys in client.processing().items()}
        (worker,) = (one for one in cluster.workers.values() if run in has[one.worker_address])
        killed = worker.pid
        os.kill(killed, signal.SIGKILL)
        while files.locked(history.parent):  # until the process that it had started has ended, too
            time.sleep(0.05)
        before = history.read_text()
        assert before.count("\n") <= 3  # in mid-run, with a line for the head of the table
        hold.unlink()
        _, said = process.communicate()
        assert (process.returncode, said) == (0, "")
        assert worker.pid != killed  # its keeper has started another
    assert {run: digits(checkout, "cluster", run) for run in RUNS} == one_by_one
    # With their seconds: these epochs were not trained again.
    assert history.read_text().startswith(before)


# --- Bad input ----------------------------------------------------------------------------------


@pytest.fixture
def command(recorded, monkeypatch, capsys):
    """A function that gives `study run` options and returns its line; half the runs are there."""
    planned, _ = recorded
    shutil.rmtree(planned.folder / "average_pooling_no_classifier-seed3")
    finished = contents(planned.folder / "average_pooling-seed3")
    monkeypatch.setattr(study, "load", lambda name: planned)
    monkeypatch.setattr(files, "study_file", lambda name: name)
    monkeypatch.setattr(jobs, "train", lambda *_: pytest.fail("a run was started"))

    def command(*options):
        with contextlib.suppress(SystemExit):  # of argparse
            assert main(["study", "run", "mine", *options]) == 2
        assert contents(planned.folder / "average_pooling-seed3") == finished
        said = capsys.readouterr().err.splitlines()
        assert "error: " in said[-1]
        return said[-1].partition("error: ")[2]

    command.folder = planned.folder
    return command


def test_jobs_are_one_to_as_many_as_there_are_cores(command, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 4)
    assert command("--jobs", "0") == "argument --jobs: must be at least 1"
    assert command("--jobs", "5") == (
        "5 jobs are more than the 4 processor cores here; give --jobs from 1 to 4"
    )


def test_a_run_takes_what_the_largest_net_took_by_itself(command, monkeypatch):
    """Those that were recorded by one process after the other hold the data of all before them."""
    monkeypatch.setattr(machine, "free_memory", lambda: 3000)
    taken = [("large", 2000), ("large", 2600), ("small", 900), ("large", 3200)]
    runs = [
        SimpleNamespace(variant=variant, finished=True, record={"peak_memory_mb": mb})
        for variant, mb in taken
    ]
    jobs._check_memory(SimpleNamespace(runs=lambda: runs), 1)
    with pytest.raises(UserError, match="2 runs at once take about 4,000 MB .*give --jobs 1, or"):
        jobs._check_memory(SimpleNamespace(runs=lambda: runs), 2)


def test_memory_that_does_not_suffice_is_known_by_what_is_recorded(command, monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 99)
    used = results.Run("", 0, command.folder / "average_pooling-seed3").record["peak_memory_mb"]
    each = used or jobs.MOST_MEMORY
    assert command("--jobs", "1") == (
        f"a run takes about {each:,} MB of memory, and 99 MB are free; close other programs"
    )


@pytest.fixture
def cluster(monkeypatch):
    """In the place of `distributed`: workers that answer what a test says."""
    answers = {}

    @contextlib.contextmanager
    def client(address, timeout):
        if not address.startswith("tcp"):
            raise ValueError(address)
        lost = Future()
        lost.cancel()
        yield SimpleNamespace(run=lambda asked, folder: answers, submit=lambda *_, key: lost)

    event = SimpleNamespace(name="stop", set=lambda: None)
    stand_in = SimpleNamespace(Client=client, Event=lambda: event)
    monkeypatch.setitem(sys.modules, "distributed", stand_in)
    return answers


def test_a_cluster_without_workers_or_with_blind_ones_is_refused(command, cluster):
    there = ("--scheduler", "tcp://there:8786")
    assert command(*there) == "the scheduler has no workers; start some with `dask worker`"
    cluster |= {"tcp://a:1": True, "tcp://b:2": False}
    assert command(*there) == (
        f"tcp://b:2 does not see {command.folder}, or no locks in it; start the workers where the "
        "checkout lies on a shared disk, under the same path"
    )
    late = results.Run("", 0, command.folder / "run")
    with pytest.raises(UserError, match="its worker does not see "):
        jobs._train_on_worker("mine", late)


def test_a_scheduler_that_is_lost_is_one_line(command, cluster):
    cluster["tcp://a:1"] = True
    assert command("--scheduler", "tcp://there:8786") == (
        "the scheduler does not answer any more; start it again, and the same command goes on"
    )


def test_a_study_is_given_to_one_cluster_at_a_time(command, cluster):
    with files.lock(command.folder):
        assert command("--scheduler", "tcp://there:8786") == (
            "another command has given the runs of 'mine' to a cluster; wait until it ends, or "
            "stop it"
        )


def test_without_the_package_it_says_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert command("--scheduler", "tcp://there:8786") == (
        "--scheduler needs the package distributed; `pip install -e '.[cluster]'`"
    )


@pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="needs distributed")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nothing:like:it"])
def test_a_scheduler_that_is_not_there_is_one_line(command, monkeypatch, address):
    import distributed

    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout=1))
    assert command("--scheduler", address) == (
        f"no Dask scheduler answers at {address}; start one with `dask scheduler`, or mend the "
        "address"
    )

"""What pytest has to know wherever it starts: how its processes share cores and tests; nbval."""

import os
import re
from pathlib import Path

from cifar_keras import machine

# The processes of the tests share the cores: where each has a thread for every core, the threads
# (TensorFlow's, PyTorch's, NumPy's) wait for each other, and a training takes up to a third longer.
# Kernels inherit it.
if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    share = str(max(1, machine.cores() // int(processes)))
    for variable in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, share)

collect_ignore_glob = ["notebooks/student/*"]  # there checks fail until a student answers them


def pytest_xdist_make_scheduler(config, log):
    """Which tests stay together in one process: those of a module or class, with two exceptions."""
    from xdist.scheduler import LoadScopeScheduling

    if config.getvalue("dist") != "loadscope":
        return None

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            scope = super()._split_scope(nodeid)
            if re.match(r"notebooks/0[3-6]_", scope):
                return "notebooks/03 to 06"  # the last reads what the others leave in runs/
            if lesson := re.search(r"test_lessons\.py::(\w+::)?\w+\[(\d\d)[_-]", nodeid):
                return f"test_lessons {lesson[2]}"  # the longest module, which both share
            if scope in ("tests/test_memory.py", "tests/test_jobs.py"):
                return "tests/test_callbacks.py"  # few and long: by themselves they would come last
            return scope

    return Scheduling(config, log)


def pytest_configure(config):
    # nbval's option counts from the folder
    patterns = Path(__file__).parent / "tests" / "nbval_sanitize.cfg"
    config.option.nbval_sanitize_with = str(patterns)

"""What is said of the computer is true of this process, and never empty."""

import os
import subprocess
import sys

import pytest

from cifar_keras import machine

CPUINFO = "processor\t: 0\nvendor_id\t: {}\nmodel name\t: A Processor 9\nflags\t\t: fpu {}\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone has affinity")
def test_cores_are_those_that_the_process_may_use():
    script = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    script += "from cifar_keras import machine; print(machine.cores())"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


def test_cores_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for counted, said in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda counted=counted: counted)
        assert machine.cores() == said


@pytest.mark.parametrize(
    ("vendor", "flags", "fast"),
    [
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("GenuineIntel", "avx512f avx512_bf16", False),
        ("GenuineIntel", "avx512_bf16 amx_bf16 sse", True),
        ("", "bf16", True),
        ("", "avx512f xbf16", False),
    ],
)
def test_what_the_processor_says_of_itself(tmp_path, monkeypatch, vendor, flags, fast):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    machine.CPUINFO.write_text(CPUINFO.format(vendor, flags))
    assert machine.processor() == "A Processor 9"
    assert machine.has_fast_bfloat16() is fast


def test_a_processor_without_a_name_is_called_something(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    for function in ("processor", "machine"):
        assert machine.processor()
        monkeypatch.setattr(machine.platform, function, lambda: "")
    assert machine.processor() == "unknown"
    assert not machine.has_fast_bfloat16()


def test_peak_memory_is_in_megabytes():
    used = machine.peak_memory()
    if used is not None:  # Windows does not tell
        assert 20 < used < 100_000


def test_free_memory_is_told_in_megabytes_where_the_system_tells_it(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(machine, "MEMINFO", meminfo)
    assert machine.free_memory() is None
    meminfo.write_text("MemTotal:       24684000 kB\nMemAvailable:    2000000 kB\n")
    assert machine.free_memory() == 2048

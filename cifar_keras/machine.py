"""What this computer is: its processor, cores, memory and packages, and what this process took."""

import contextlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")  # Linux only: the processor's full name and what it can do

MEMINFO = Path("/proc/meminfo")  # Linux only, too


def _cpuinfo(field: str) -> str:
    """What /proc/cpuinfo says of the first processor; "" where there is no such file or field."""
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    found = re.search(rf"^{field}\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def processor() -> str:
    """The processor's name; never empty."""
    return _cpuinfo("model name") or platform.processor() or platform.machine() or "unknown"


def has_fast_bfloat16() -> bool:
    """Whether nets train faster in bfloat16 than in float32 (as Linux tells it; elsewhere False).

    They do with matrix instructions (AMX); with AMD's AVX-512 and Arm's they are taken to, but no
    record compares. With Intel's AVX-512 alone they do not: on a virtual machine that hides AMX an
    epoch of strong took 307 s in bfloat16 and 155 s in float32, one of compact 44 s and 39 s.
    """
    fast = {"amx_bf16", "bf16"}
    if _cpuinfo("vendor_id") != "GenuineIntel":
        fast.add("avx512_bf16")
    return not fast.isdisjoint(_cpuinfo("(?:flags|Features)").split())


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """The memory that new processes can have, in MB; None elsewhere than on Linux."""
    text = MEMINFO.read_text() if MEMINFO.exists() else ""
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 // 10**6 if found else None


def peak_memory() -> int | None:
    """The most memory that this process ever had resident, in MB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed, by name; none of them is started."""
    found = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found

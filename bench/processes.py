"""What a process costs, and where it runs. Linux only: CPU time by its clock, memory from `/proc`."""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("hypercorn", "quart", "uvloop", "websockets", "picows", "msgspec")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, all threads, user and system, to the nanosecond.

    The kernel's number for another process's CPU clock (`clock_getcpuclockid`, which Python does not have).
    """
    return time.clock_gettime((~pid << 3) | 2)


def rss_kb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where there are two or more."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core % len(cores)]})


def prefer(pid: int, nice: int) -> None:
    """Give a process weight against other work; also its session, which the kernel weighs first (sched_autogroup)."""
    if not nice:
        return
    os.setpriority(os.PRIO_PROCESS, pid, nice)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(nice))


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def machine() -> dict[str, str]:
    """The machine and the versions that a result depends on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    found = {"cpu": models[0] if models else platform.machine(), "cores": str(os.cpu_count())}
    found |= {"kernel": platform.release(), "python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

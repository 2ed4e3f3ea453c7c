"""What a run was measured on."""

import os
import platform
import subprocess
from pathlib import Path

from tools import parts
from tools.local_system import ROOT


def machine() -> dict[str, str]:
    """Return the machine and the versions of what runs on it."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Dapr": _said_by(str(parts.daprd()), "--version"),
        "Redis": _said_by(str(parts.redis_server()), "--version").split(" sha=")[0],
        "load generator": _said_by("wrk", "-v").split(" Copyright")[0],
    }


def commit() -> str:
    """Return the commit that is measured, and whether the files differ from it."""
    status = ("git", "status", "--porcelain")
    changed = subprocess.run(status, cwd=ROOT, capture_output=True).stdout
    return _said_by("git", "rev-parse", "--short=12", "HEAD") + (" and changes" if changed else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _said_by(*command: str) -> str:
    """Return the first line that a program says."""
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return (answer.stdout.strip() or answer.stderr.strip() or "unknown").splitlines()[0]

"""Makes the virtual environment: `python3 tools/environment.py`, on the standard library alone."""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
INSTALLED = VENV / "installed"
PACKAGES = (
    "libs/shared-models",
    "libs/service-kit",
    "services/task-api",
    "services/notification-service",
)
OLDEST_PYTHON = (3, 11)


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        here = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"Python {here} at {sys.executable} is too old: install Python 3.11 or newer, or name"
            " it, as in `make PYTHON=python3.12 up`."
        )
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"Python at {sys.executable} cannot make virtual environments (no ensurepip):"
            " install it, on Debian with `apt install python3-venv`."
        )
    began = time.monotonic()
    print("Installing Python packages into .venv (once, about half a minute) …", flush=True)
    _run("make the virtual environment", sys.executable, "-m", "venv", str(VENV))
    pip = (str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    _run("download packages", *pip, "--require-hashes", "-r", "requirements.txt")
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    _run("install this repository", *pip, "--no-deps", "--no-build-isolation", *editable)
    INSTALLED.touch()
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def _run(purpose: str, *command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        sys.stderr.write(result.stderr[-3000:])
        sys.exit(
            f"Could not {purpose}: see above. Without a network, pip needs its cache or a mirror"
            " (PIP_INDEX_URL); with a full disk or without permission, mend that; then again."
        )


if __name__ == "__main__":
    main()

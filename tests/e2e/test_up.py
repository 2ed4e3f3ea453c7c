"""`make up` and `make down`: what ends is said and started again, and nothing is left running."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.eventually import eventually
from tools import down
from tools.local_system import ROOT, LocalSystem, left_behind
from tools.ports import Ports
from tools.up import pid_file, supervisor

PROGRAM = """
import sys
from pathlib import Path
from tools.local_system import LocalSystem
from tools.up import run

sys.exit(0 if run(LocalSystem.for_test(Path(sys.argv[1]))) else 1)
"""
# As the first, on its ports.
AGAIN = """
import sys
from pathlib import Path
from tools.local_system import LocalSystem
from tools.ports import Ports
from tools.run_file import RunFile
from tools.up import run

state = Path(sys.argv[1])
ports = Ports.of_run_file(RunFile(state / "dapr.yaml").content)
sys.exit(0 if run(LocalSystem(state, state / "dapr.yaml", ports)) else 1)
"""


class Up:
    """`make up` on free ports, in a process of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._said = state / "said"
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(state)],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self._said.read_text()

    def system(self) -> LocalSystem:
        run_file = self.state / "dapr.yaml"
        return LocalSystem(
            self.state, run_file, Ports.of_run_file(yaml.safe_load(run_file.read_text()))
        )


@contextmanager
def _up(state: Path) -> Iterator[Up]:
    up = Up(state)
    try:
        yield up
    finally:
        down.stop(state)
        up.process.wait(30)


def test_a_sidecar_that_ends_is_said_and_started_again_once(tmp_path: Path) -> None:
    with _up(tmp_path) as up:
        eventually(lambda: "Ready in" in up.said(), within=90)
        system = up.system()
        system.sidecar("task-api").kill()
        killed = "task-api-sidecar ended (killed by SIGKILL)"
        eventually(lambda: killed in up.said(), within=2)
        eventually(lambda: "task-api-sidecar runs again" in up.said())
        system.wait_until_ready("task-api")

        eventually(lambda: system.sidecar("task-api")).kill()
        assert up.process.wait(30) == 1
        assert up.said().count(killed) == 2
        assert left_behind(tmp_path) == []


@pytest.mark.parametrize("after", ["up.pid", "logs/redis.log", "logs/task-api-sidecar.log"])
@pytest.mark.parametrize("how", ["make down", "Ctrl-C", "a closed terminal"])
def test_stopping_during_a_start_leaves_nothing(tmp_path: Path, after: str, how: str) -> None:
    with _up(tmp_path) as up:
        eventually((tmp_path / after).exists, within=30)
        if how == "make down":
            assert down.stop(tmp_path)
        else:
            up.process.send_signal(signal.SIGINT if how == "Ctrl-C" else signal.SIGHUP)
        up.process.wait(30)
        assert "Stopped." in up.said()
        assert "Traceback" not in up.said()
        assert left_behind(tmp_path) == []
        assert not pid_file(tmp_path).exists()


def test_a_second_make_up_leaves_the_first_alone(tmp_path: Path) -> None:
    with _up(tmp_path) as up:
        eventually(lambda: "Ready in" in up.said(), within=90)
        second = subprocess.run(
            [sys.executable, "-c", AGAIN, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
        )
        assert second.returncode == 1
        assert f"It runs already, started by process {up.process.pid}" in second.stdout
        assert up.process.poll() is None
        assert supervisor(tmp_path)
        up.system().wait_until_ready("task-api")


def test_what_a_killed_make_up_left_is_stopped_by_make_down(tmp_path: Path) -> None:
    with _up(tmp_path) as up:
        eventually(lambda: "Ready in" in up.said(), within=90)
        up.process.kill()
        up.process.wait(30)
        assert left_behind(tmp_path)
        assert down.stop(tmp_path)
        assert left_behind(tmp_path) == []

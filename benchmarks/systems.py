"""What is measured: the services as `make up` runs them, and the comparators beside them.

All are up during the whole run, and idle while another one is measured. The comparators share a
Redis of their own, which is started in the same way as that of the services.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tools import parts
from tools.local_system import ROOT, CannotStart, LocalSystem
from tools.ports import Ports
from tools.readiness import STARTUP_SECONDS

OURS, NAIVE, DIRECT, EMPTY = "ours", "naive", "direct", "empty"
SYSTEMS = (OURS, NAIVE, DIRECT, EMPTY)
COMPONENTS = Path(__file__).with_name("components")
# What the components name, as in `make up`; each run has a Redis on another port.
REDIS_ADDRESS = "127.0.0.1:6379"


@dataclass(frozen=True)
class Target:
    """A system that takes requests."""

    name: str
    url: str
    processes: dict[str, list[psutil.Process]]
    """By the part that they are."""
    redis_port: int | None = None
    """Where the broker of the services is; None where nothing is announced in the background."""

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time that each part has used since it was started."""
        return {
            part: sum(_cpu_seconds(process) for process in processes)
            for part, processes in self.processes.items()
        }

    def megabytes(self) -> dict[str, float]:
        """Return the resident memory of each part."""
        return {
            part: sum(process.memory_info().rss for process in processes) / 1e6
            for part, processes in self.processes.items()
        }


def ours(system: LocalSystem) -> Target:
    """Return the services of a running system as a target."""
    processes = {}
    for app_id in system.ports.apps:
        app = system.app(app_id)
        processes[app_id] = [app, *app.children(recursive=True)]
        processes[f"sidecar of {app_id}"] = [system.sidecar(app_id)]
    processes["Redis"] = [
        each for each in system.left_behind() if each.name().startswith("redis-server")
    ]
    return Target(OURS, system.url("task-api"), processes, system.ports.redis)


class Comparators:
    """The comparators, their Redis and their sidecars, started as wanted.

    Args:
        folder: for data and logs.
    """

    def __init__(self, folder: Path) -> None:
        names = (NAIVE, DIRECT, EMPTY, "outbox")
        self.ports = Ports.free({"apps": [{"appID": name} for name in names]})
        self._folder = folder
        self._resources = folder / "components"
        # Of this system only the Redis is started.
        self._system = LocalSystem(folder, folder / "dapr.yaml", self.ports)
        self._stack = ExitStack()

    def __enter__(self) -> "Comparators":
        self._resources.mkdir(parents=True)
        for source in COMPONENTS.glob("*.yaml"):
            text = source.read_text().replace(REDIS_ADDRESS, f"127.0.0.1:{self.ports.redis}")
            (self._resources / source.name).write_text(text)
        self._stack.callback(self._system.stop)
        try:
            self._system.start_redis()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, name: str) -> Target:
        """Start a comparator, and the sidecar that it needs."""
        port = self.ports.apps[name]["appPort"]
        processes: dict[str, list[psutil.Process]] = {}
        if name == NAIVE:
            processes["sidecar"] = [self.start_sidecar(NAIVE)]
        command = [
            *(sys.executable, "-m", "uvicorn", f"benchmarks.comparators.{name}:app"),
            *("--port", str(port), "--no-access-log", "--log-level", "warning"),
        ]
        environment = {
            **os.environ,
            "REDIS_PORT": str(self.ports.redis),
            "DAPR_HTTP_PORT": str(self.ports.apps[name]["daprHTTPPort"]),
            "DAPR_GRPC_PORT": str(self.ports.apps[name]["daprGRPCPort"]),
        }
        url = f"http://127.0.0.1:{port}"
        service = self._start(name, command, environment, f"{url}/health")
        processes = {"service": [service], **processes}
        if name != EMPTY:
            processes["Redis"] = [
                each
                for each in self._system.left_behind()
                if each.name().startswith("redis-server")
            ]
        return Target(name, url, processes)

    def start_sidecar(self, app_id: str) -> psutil.Process:
        """Start a sidecar without an application; return once its components are ready."""
        ports = self.ports.apps[app_id]
        command = [
            *(str(parts.daprd()), "--app-id", app_id, "--resources-path", str(self._resources)),
            *("--config", str(ROOT / "dapr-config.yaml"), "--dapr-listen-addresses", "127.0.0.1"),
            *("--dapr-http-port", str(ports["daprHTTPPort"])),
            *("--dapr-grpc-port", str(ports["daprGRPCPort"])),
            *("--dapr-internal-grpc-port", str(ports["daprInternalGRPCPort"])),
            *("--metrics-port", str(ports["metricsPort"])),
        ]
        health = f"{self.sidecar_url(app_id)}/v1.0/healthz/outbound"
        return self._start(f"{app_id}-sidecar", command, dict(os.environ), health)

    def sidecar_url(self, app_id: str) -> str:
        return f"http://127.0.0.1:{self.ports.apps[app_id]['daprHTTPPort']}"

    def sidecar_address(self, app_id: str) -> str:
        """Return where the sidecar answers gRPC."""
        return f"127.0.0.1:{self.ports.apps[app_id]['daprGRPCPort']}"

    def _start(
        self, name: str, command: Sequence[str], environment: dict[str, str], health: str
    ) -> psutil.Process:
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            process = psutil.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for this process alone
            )
        self._stack.callback(_stop, process)
        wait_until(
            lambda: _answers(health),
            f"{name} does not answer {health}; its log is {log}",
            given_up=lambda: process.poll() is not None,
        )
        return process


@contextmanager
def running(folder: Path, names: Sequence[str]) -> Iterator[dict[str, Target]]:
    """Run the named systems beside each other; yield them as targets, by name."""
    with ExitStack() as stack:
        targets = {}
        if OURS in names:
            targets[OURS] = ours(stack.enter_context(LocalSystem.for_test(folder / OURS)))
        comparators = stack.enter_context(Comparators(folder / "comparators"))
        for name in names:
            if name != OURS:
                targets[name] = comparators.start(name)
        yield targets


def wait_until(
    ready: Callable[[], bool],
    otherwise: str,
    seconds: float = STARTUP_SECONDS,
    given_up: Callable[[], bool] = lambda: False,
) -> float:
    """Wait until `ready`; return how many seconds it took.

    Raises:
        CannotStart: with the text `otherwise`.
    """
    began = time.monotonic()
    while not ready():
        if given_up() or time.monotonic() - began > seconds:
            raise CannotStart(otherwise)
        time.sleep(0.02)
    return time.monotonic() - began


def _answers(url: str) -> bool:
    with (
        suppress(urllib.error.URLError, OSError),
        urllib.request.urlopen(url, timeout=2) as answer,
    ):
        return bool(200 <= answer.status < 300)
    return False


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _stop(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(10)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)

"""The whole system on one machine: Redis, the scheduler and `dapr run -f`.

`make up` runs it in the repository, with the ports of `dapr.yaml`. Tests run more of them beside
it, each in a folder and on ports of its own, rendered from the same files.
"""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from tools import parts
from tools.tokens import TOKENS, tokens_in

ROOT = Path(__file__).parent.parent
# In the environment of every process of a system: the folder of its state.
MARK = "DAPR_TASKS_STATE"
STARTUP_SECONDS = 90
STOP_SECONDS = 15
# Below Linux's range for outgoing connections, so that none of those takes one of them.
TEST_PORTS = range(20000, 32000)

REDIS_PORT = 6379
SCHEDULER_PORTS = {"scheduler": 50006, "health": 50007, "etcd": 50008, "etcd_peer": 50009}
APP_PORTS = ("appPort", "daprHTTPPort", "daprGRPCPort", "daprInternalGRPCPort", "metricsPort")


class CannotStart(Exception):
    """The system cannot start; the text says what to do."""


@dataclass(frozen=True)
class Ports:
    redis: int
    scheduler: dict[str, int]
    apps: dict[str, dict[str, int]]
    """By app-id, then by the name that the port has in dapr.yaml."""

    @classmethod
    def of_run_file(cls, run_file: dict[str, Any]) -> "Ports":
        apps = {app["appID"]: {name: app[name] for name in APP_PORTS} for app in run_file["apps"]}
        return cls(REDIS_PORT, dict(SCHEDULER_PORTS), apps)

    @classmethod
    def free(cls, run_file: dict[str, Any]) -> "Ports":
        """Return ports that nobody listens on, of a range that no outgoing connection uses."""
        free = free_ports()
        return cls(
            next(free),
            {name: next(free) for name in SCHEDULER_PORTS},
            {app["appID"]: {name: next(free) for name in APP_PORTS} for app in run_file["apps"]},
        )

    def users(self) -> Iterator[tuple[int, str]]:
        """Yield each port and what listens there."""
        yield self.redis, "Redis"
        for name, port in self.scheduler.items():
            yield port, f"the Dapr scheduler ({name})"
        for app_id, ports in self.apps.items():
            for name, port in ports.items():
                yield port, f"{app_id} ({name})"


class LocalSystem:
    """A running system; start it as a context manager.

    Args:
        state: folder for data, secrets and logs. What is in it survives a restart.
        run_file: the run file for `dapr run -f`.
        shows_tokens: sidecars and services get their tokens; a plain `dapr run -f .` has none.
    """

    def __init__(
        self, state: Path, run_file: Path, ports: Ports, *, shows_tokens: bool = True
    ) -> None:
        self.state = state
        self.ports = ports
        self.tokens: dict[str, str] = {}
        self._run_file = run_file
        self._shows_tokens = shows_tokens
        self._processes: dict[str, psutil.Process] = {}

    @classmethod
    def in_repository(cls) -> "LocalSystem":
        """Return the system of `make up`."""
        run_file = ROOT / "dapr.yaml"
        return cls(
            ROOT / ".local", run_file, Ports.of_run_file(yaml.safe_load(run_file.read_text()))
        )

    @classmethod
    def for_test(
        cls, state: Path, *, shows_tokens: bool = True, redis_proxy_port: int | None = None
    ) -> "LocalSystem":
        """Return a system like that of `make up`, on free ports, with its state in `state`.

        Args:
            redis_proxy_port: where the sidecars find Redis, if not on its own port.
        """
        ports = Ports.free(yaml.safe_load((ROOT / "dapr.yaml").read_text()))
        run_file = _render(state, ports, redis_proxy_port or ports.redis)
        return cls(state, run_file, ports, shows_tokens=shows_tokens)

    def __enter__(self) -> "LocalSystem":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, progress: Callable[[str], None] = lambda line: None) -> None:
        """Start everything and return when both services are ready.

        Raises:
            CannotStart: a port is taken, or a part ended or did not get ready.
            PartMissing: a program cannot be had.
        """
        programs = {
            "redis-server": parts.redis_server(),
            "scheduler": parts.scheduler(),
            "daprd": parts.daprd(),
            "dapr": parts.dapr_cli(),
        }
        self._refuse_taken_ports()
        try:
            self.tokens = tokens_in(self.state)
        except ValueError as error:
            raise CannotStart(str(error)) from error
        began = time.monotonic()
        self.start_redis(programs["redis-server"])
        self.start_scheduler(programs["scheduler"])
        progress(f"Redis and the scheduler are up ({time.monotonic() - began:.1f} s)")
        self._start_apps(programs)
        for app_id in self.ports.apps:
            self.wait_until_ready(app_id)
            progress(f"{app_id} is ready ({time.monotonic() - began:.1f} s)")

    def start_redis(self, program: Path | None = None) -> None:
        """Start Redis on the data of the state folder, and wait until it answers."""
        command = [
            str(program or parts.redis_server()),
            *("--port", str(self.ports.redis), "--bind", "127.0.0.1", "--save", ""),
            *("--set-proc-title", "no"),  # the title would overwrite the environment
            *("--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(self.state)),
        ]
        self._spawn("redis", command)
        self._await("redis", self._redis_answers)

    def kill_redis(self) -> None:
        """Kill Redis as a crash would; `start_redis` brings it back with its data."""
        process = self._processes.pop("redis")
        process.kill()
        process.wait(STOP_SECONDS)

    def start_scheduler(self, program: Path | None = None) -> None:
        """Start Dapr's scheduler on the data of the state folder, and wait until it listens."""
        ports = self.ports.scheduler
        command = [
            *(str(program or parts.scheduler()), "--mode", "standalone"),
            *("--listen-address", "127.0.0.1", "--port", str(ports["scheduler"])),
            *("--healthz-listen-address", "127.0.0.1", "--healthz-port", str(ports["health"])),
            *("--etcd-data-dir", str(self.state / "scheduler"), "--enable-metrics=false"),
            *("--etcd-client-listen-address", "127.0.0.1"),
            *("--etcd-client-port", str(ports["etcd"])),
            "--etcd-initial-cluster",
            f"dapr-scheduler-server-0=http://127.0.0.1:{ports['etcd_peer']}",
        ]
        self._spawn("scheduler", command)
        self._await("scheduler", lambda: _listens(ports["scheduler"]))

    def stop(self) -> None:
        """Stop everything that was started, whatever became of it meanwhile."""
        for name in reversed(list(self._processes)):
            _stop_tree(self._processes.pop(name))

    def left_behind(self) -> list[psutil.Process]:
        """Return the running processes of a system with this state, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.state):
                    found.append(process)
        return found

    def app(self, app_id: str) -> psutil.Process:
        """Return the process that listens on the port of a service."""
        return listener(self.ports.apps[app_id]["appPort"])

    def sidecar(self, app_id: str) -> psutil.Process:
        """Return the process that listens on the port of a service's sidecar."""
        return listener(self.ports.apps[app_id]["daprHTTPPort"])

    def restart(self, process: psutil.Process) -> None:
        """Kill a process of the system and start the same command again, as a kubelet would."""
        self.restart_after(process, lambda: None)

    def restart_after(
        self, process: psutil.Process, meanwhile: Callable[[], None]
    ) -> psutil.Process:
        """Kill a process of the system, do something, and start the same command again.

        Returns:
            The process that was started.
        """
        command, environment, cwd = process.cmdline(), process.environ(), process.cwd()
        started_here = next((n for n, p in self._processes.items() if p.pid == process.pid), None)
        if started_here:
            process = self._processes.pop(started_here)
        process.kill()
        process.wait(STOP_SECONDS)
        meanwhile()
        name = f"{Path(command[0]).name}-{time.monotonic_ns()}"
        return self._spawn(name, command, environment, cwd)

    def add_replica(self, app_id: str) -> str:
        """Start another instance of a service, with a sidecar of its own; return its base URL."""
        free = free_ports()
        others = {str(port): str(next(free)) for port in self.ports.apps[app_id].values()}
        for process in (self.sidecar(app_id), self.app(app_id)):
            environment = {
                name: others.get(value, value) for name, value in process.environ().items()
            }
            command = [others.get(argument, argument) for argument in process.cmdline()]
            self._spawn(f"replica-{time.monotonic_ns()}", command, environment, process.cwd())
        url = f"http://127.0.0.1:{others[str(self.ports.apps[app_id]['appPort'])]}"
        self._await(f"a replica of {app_id}", lambda: _answers(f"{url}/health/ready"))
        return url

    def url(self, app_id: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports.apps[app_id]['appPort']}{path}"

    def wait_until_ready(self, app_id: str) -> None:
        self._await(app_id, lambda: _answers(self.url(app_id, "/health/ready")))

    def run_beside(self, name: str, command: list[str]) -> psutil.Process:
        """Start a program that belongs to the system and ends with it, with a log of its own."""
        return self._spawn(name, command)

    def ended(self) -> str | None:
        """Return the name of a part that is no longer running, or None."""
        return next((name for name, each in self._processes.items() if not _alive(each)), None)

    def log(self, name: str) -> Path:
        return self.state / "logs" / f"{name}.log"

    def _start_apps(self, programs: dict[str, Path]) -> None:
        runtime = self.state / "runtime"
        installed = runtime / ".dapr" / "bin" / "daprd"
        installed.parent.mkdir(parents=True, exist_ok=True)
        installed.unlink(missing_ok=True)
        installed.symlink_to(programs["daprd"])
        environment = {
            **os.environ,
            **self._token_variables(),
            "DAPR_RUNTIME_PATH": str(runtime),
            # The CLI may be older than the scheduler; the sidecar reads this itself.
            "DAPR_SCHEDULER_HOST_ADDRESS_DNS_A": f"127.0.0.1:{self.ports.scheduler['scheduler']}",
        }
        self._spawn("dapr", [str(programs["dapr"]), "run", "-f", str(self._run_file)], environment)

    def _token_variables(self) -> dict[str, str]:
        if not self._shows_tokens:
            return {}
        return {variable: self.tokens[name] for name, variable in TOKENS.items()}

    def _spawn(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str] | None = None,
        cwd: str | None = None,
    ) -> psutil.Process:
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = psutil.Popen(
                command,
                env={**(environment or os.environ), MARK: str(self.state)},
                cwd=cwd or self._run_file.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for this process alone
            )
        self._processes[name] = process
        return process

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while not ready():
            if (ended := self.ended()) or time.monotonic() > deadline:
                late = f"{name} is not ready after {STARTUP_SECONDS} s"
                what = f"{ended} ended before {name} was ready" if ended else late
                log = self.log(ended or "dapr")
                raise CannotStart(f"{what}. The end of {log}:\n{_end_of(log)}")
            time.sleep(0.05)

    def _redis_answers(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.ports.redis), 1) as peer,
        ):
            peer.sendall(b"PING\r\n")
            return peer.recv(16).startswith(b"+PONG")  # while it loads its data it says so
        return False

    def _refuse_taken_ports(self) -> None:
        for port, user in self.ports.users():
            if _listens(port):
                raise CannotStart(
                    f"Port {port}, for {user}, is taken by {_name_of_listener(port)}. Stop that"
                    " (`make down` stops an earlier `make up`); if it is the Redis of `dapr init`,"
                    " start the services on it with `dapr run -f .`."
                )


def _render(state: Path, ports: Ports, redis_port: int) -> Path:
    """Write the run file and its resources with other ports and paths to `state`."""
    run_file = yaml.safe_load((ROOT / "dapr.yaml").read_text())
    common = run_file["common"]
    resources = state / "components"
    resources.mkdir(parents=True, exist_ok=True)
    for source in (ROOT / common["resourcesPaths"][0]).glob("*.yaml"):
        text = source.read_text()
        text = text.replace(f"127.0.0.1:{REDIS_PORT}", f"127.0.0.1:{redis_port}")
        (resources / source.name).write_text(text.replace(".local/", f"{state}/"))
    config = state / common["configFilePath"]
    config.write_text((ROOT / config.name).read_text().replace(".local/", f"{state}/"))
    common["resourcesPaths"] = [str(resources)]
    common["configFilePath"] = str(config)
    for app in run_file["apps"]:
        app.update(ports.apps[app["appID"]])
        app["command"] = [str(ROOT / app["command"][0]), *app["command"][1:]]
    target = state / "dapr.yaml"
    target.write_text(yaml.safe_dump(run_file))
    return target


def free_ports() -> Iterator[int]:
    """Yield ports that nobody listens on, of a range that no outgoing connection uses."""
    candidates = random.sample(TEST_PORTS, len(TEST_PORTS))
    return (port for port in candidates if not _listens(port))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    """Return whether `url` answers 200."""
    with (
        suppress(urllib.error.URLError, OSError),
        urllib.request.urlopen(url, timeout=2) as answer,
    ):
        return bool(answer.status == 200)
    return False


def listener(port: int) -> psutil.Process:
    """Return the process that listens on `port`."""
    # One process after the other: macOS lets only root look at all of them at once.
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                listens = connection.status == psutil.CONN_LISTEN
                if listens and connection.laddr and connection.laddr.port == port:
                    return process
    raise LookupError(f"nobody listens on port {port}")


def _name_of_listener(port: int) -> str:
    try:
        process = listener(port)
        return f"{process.name()} (process {process.pid})"
    except (LookupError, psutil.Error):
        return "another program"


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _stop_tree(process: psutil.Process) -> None:
    """Stop a process and all that it started: politely, then by force."""
    try:
        tree = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, STOP_SECONDS)
    for each in alive:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(alive, STOP_SECONDS)


def _end_of(log: Path, lines: int = 8) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

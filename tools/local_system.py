"""The whole system on one machine: Redis, the scheduler, and what dapr.yaml says.

`make up` runs it in the repository, with the ports of `dapr.yaml`. Tests run more of them beside
it, each in a folder and on ports of its own, rendered from the same files.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import yaml

from tools import infrastructure, parts, processes
from tools.copies import copied
from tools.ports import HERE, Ports, free_ports, listener, listens, name_of_listener
from tools.processes import Part, Recipe, shown
from tools.readiness import NeverReady, Wait, not_ready
from tools.resources.mistakes import mistakes_of, silent_addresses, with_place
from tools.resources.yaml_files import Mistake
from tools.run_file import RunFile
from tools.tokens import TOKENS, tokens_in

ROOT = Path(__file__).parent.parent
STATE = ROOT / ".local"
# In the environment of every process of a system: the folder of its state.
MARK = "DAPR_TASKS_STATE"
STOP_SECONDS = 15
LOOK_SECONDS = 0.05
INFRASTRUCTURE = ("redis", "scheduler")

# These lead the SDK to another sidecar, or give it another token.
_OF_ANOTHER_SIDECAR = (
    "DAPR_HTTP_ENDPOINT",
    "DAPR_GRPC_ENDPOINT",
    "DAPR_API_TOKEN",
    "APP_API_TOKEN",
)


class CannotStart(Exception):
    """The system cannot start; the text says what to do."""


class LocalSystem:
    """A running system; start it as a context manager.

    Args:
        state: folder for data, secrets and logs. What is in it survives a restart.
        run_file: the run file, as for `dapr run -f`.
    """

    def __init__(self, state: Path, run_file: Path, ports: Ports) -> None:
        self.state = state
        self.ports = ports
        self._run_file = run_file
        self.tokens: dict[str, str] = {}
        self._parts: dict[str, Part] = {}

    @classmethod
    def in_repository(cls) -> "LocalSystem":
        """Return the system of `make up`.

        Raises:
            CannotStart: its run file is wrong.
        """
        run_file = ROOT / "dapr.yaml"
        try:
            return cls(STATE, run_file, Ports.of_run_file(RunFile(run_file).content))
        except Mistake as mistake:
            raise CannotStart(str(mistake)) from mistake

    @classmethod
    def for_test(cls, state: Path, *, redis_proxy_port: int | None = None) -> "LocalSystem":
        """Return a system like that of `make up`, on free ports, with its state in `state`.

        Args:
            redis_proxy_port: where the sidecars find Redis, if not on its own port.
        """
        run_file = ROOT / "dapr.yaml"
        ports = Ports.free(yaml.safe_load(run_file.read_text()))
        return cls(state, copied(run_file, state, ports, redis_proxy_port or ports.redis), ports)

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
            CannotStart: a file is wrong, a port is taken, or a part ended or did not get ready.
            PartMissing: a program cannot be had.
        """
        self.make_tokens()
        self.refuse_mistakes()
        self._refuse_taken_ports()
        redis, scheduler, daprd = parts.redis_server(), parts.scheduler(), parts.daprd()
        began = time.monotonic()
        self.start_redis(redis)
        self.start_scheduler(scheduler)
        self._refuse(silent_addresses(self._run_file))
        progress(f"Redis and the scheduler are up ({time.monotonic() - began:.1f} s)")
        self._start_apps(RunFile(self._run_file), daprd)
        for app_id in self.ports.apps:
            self.wait_until_ready(app_id, progress)
            progress(f"{app_id} is ready ({time.monotonic() - began:.1f} s)")

    def make_tokens(self) -> None:
        """Make the tokens of services and sidecars, if there are none yet."""
        try:
            self.tokens = tokens_in(self.state)
        except (ValueError, OSError) as error:
            raise CannotStart(str(error)) from error

    def refuse_mistakes(self) -> None:
        """Look at the run file and at the resources that it names.

        Raises:
            CannotStart: with a line for each mistake.
        """
        self._refuse(mistakes_of(self._run_file))

    def start_redis(self, program: Path | None = None) -> None:
        """Start Redis on the data of the state folder, and wait until it answers."""
        port = self.ports.redis
        command = infrastructure.redis(program or parts.redis_server(), port, self.state)
        self.run_beside("redis", command)
        self._await(Wait("redis", lambda: infrastructure.redis_not_ready(port)))

    def kill_redis(self) -> None:
        """Kill Redis as a crash would; `start_redis` brings it back with its data."""
        process = self._parts.pop("redis").process
        process.kill()
        process.wait(STOP_SECONDS)

    def start_scheduler(self, program: Path | None = None) -> None:
        """Start Dapr's scheduler on the data of the state folder, and wait until it listens."""
        ports, folder = self.ports.scheduler, self.state / "scheduler"
        command = infrastructure.scheduler(program or parts.scheduler(), ports, folder)
        self.run_beside("scheduler", command)
        port = ports["scheduler"]
        self._await(Wait("scheduler", lambda: infrastructure.scheduler_not_ready(port)))

    def stop(self) -> None:
        """Stop everything that was started, whatever became of it meanwhile."""
        infrastructure = [self._parts.pop(name) for name in INFRASTRUCTURE if name in self._parts]
        processes.stop([part.process for part in self._parts.values()])
        self._parts.clear()
        processes.stop([part.process for part in infrastructure])
        # What was being started when a signal came is in no list yet.
        processes.stop(self.left_behind())

    def left_behind(self) -> list[psutil.Process]:
        """Return the running processes of a system with this state, whoever started them."""
        return left_behind(self.state)

    def app(self, app_id: str) -> psutil.Process:
        """Return the process that listens on the port of a service."""
        return listener(self.ports.apps[app_id]["appPort"])

    def sidecar(self, app_id: str) -> psutil.Process:
        """Return the process that listens on the port of a service's sidecar."""
        return listener(self.ports.apps[app_id]["daprHTTPPort"])

    def restart_after(
        self, process: psutil.Process, meanwhile: Callable[[], None], **variables: str
    ) -> psutil.Process:
        """Kill a part of the system, do something, and start the same command again.

        Args:
            variables: what changes in its environment.

        Returns:
            The process that was started.
        """
        (part,) = (each for each in self._parts.values() if each.process.pid == process.pid)
        part.process.kill()
        part.process.wait(STOP_SECONDS)
        meanwhile()
        environment = {**part.recipe.environment, **variables}
        return self._start(replace(part.recipe, environment=environment))

    def start_again(self, part: Part) -> psutil.Process:
        """Start what ended."""
        return self._start(part.recipe)

    def add_replica(self, app_id: str) -> str:
        """Start another instance of a service, with a sidecar of its own; return its base URL."""
        free = free_ports()
        others = {str(port): str(next(free)) for port in self.ports.apps[app_id].values()}
        url = f"http://{HERE}:{others[str(self.ports.apps[app_id]['appPort'])]}"
        for name in (f"{app_id}-sidecar", app_id):
            of = self._parts[name].recipe
            replica = f"{name}-replica-{time.monotonic_ns()}"
            environment = {key: others.get(value, value) for key, value in of.environment.items()}
            command = [others.get(argument, argument) for argument in of.command]
            self._start(Recipe(replica, command, environment, of.folder, self.log(replica)))
        self._await(Wait(f"a replica of {app_id}", lambda: not_ready(f"{url}/health/ready")))
        return url

    def url(self, app_id: str, path: str = "") -> str:
        return f"http://{HERE}:{self.ports.apps[app_id]['appPort']}{path}"

    def wait_until_ready(
        self, app_id: str, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        """Return once a service is ready; say what it waits for, where that takes a while.

        Raises:
            CannotStart: a part ended, or the service lacks what nobody is about to bring.
        """
        url = self.url(app_id, "/health/ready")
        self._await(Wait(app_id, lambda: not_ready(url), progress))

    def run_beside(self, name: str, command: list[str]) -> psutil.Process:
        """Start a program that belongs to the system and ends with it, with a log of its own."""
        return self._start(
            Recipe(name, command, self._environment(), self._run_file.parent, self.log(name))
        )

    def ended(self) -> Part | None:
        """Return a part that is no longer running, or None."""
        return next((part for part in self._parts.values() if part.has_ended()), None)

    def why_ended(self, part: Part) -> str:
        """Return how a part ended, why, and where that stands."""
        end = part.end()
        words = with_place(end.words, self._run_file) if self._run_file.exists() else end.words
        why = f": {words}" if words else ""
        return f"{part.name} ended ({end.how}){why}. Its log is {shown(part.recipe.log)}"

    def log(self, name: str) -> Path:
        return self.state / "logs" / f"{name}.log"

    def _environment(self) -> dict[str, str]:
        """Return what every process of the system finds in its environment."""
        inherited = {k: v for k, v in os.environ.items() if k not in _OF_ANOTHER_SIDECAR}
        not_by_proxy = ",".join(filter(None, (os.environ.get("no_proxy"), "localhost", HERE)))
        return {
            **inherited,
            MARK: str(self.state),
            # Else a sidecar tells the others the machine's address of the moment, and does not
            # start where it has none.
            "DAPR_HOST_IP": HERE,
            "DAPR_SCHEDULER_HOST_ADDRESS_DNS_A": f"{HERE}:{self.ports.scheduler['scheduler']}",
            "no_proxy": not_by_proxy,
            "NO_PROXY": not_by_proxy,
        }

    def _start_apps(self, run_file: RunFile, daprd: Path) -> None:
        logs = self.state / "logs"
        tokens = {TOKENS[name]: token for name, token in self.tokens.items()}
        environment = {**self._environment(), **tokens}
        for app in run_file.apps():
            for recipe in run_file.recipes(app, daprd, environment, logs):
                self._start(recipe)

    def _refuse(self, mistakes: Sequence[str]) -> None:
        if mistakes:
            raise CannotStart("\n".join(mistakes))

    def _start(self, recipe: Recipe) -> psutil.Process:
        try:
            part = self._parts[recipe.name] = Part(recipe)
        except OSError as error:
            raise CannotStart(
                f"Could not start {recipe.name}: {error.strerror}: {error.filename}. Look at its"
                f" command in {shown(self._run_file)}; `make install` brings the services."
            ) from error
        return part.process

    def _await(self, wait: Wait) -> None:
        try:
            while not wait.is_over():
                if ended := self.ended():
                    raise CannotStart(self.why_ended(ended))
                time.sleep(LOOK_SECONDS)
        except NeverReady as error:
            raise CannotStart(str(error)) from error

    def _refuse_taken_ports(self) -> None:
        for port, user in self.ports.users():
            if listens(port):
                raise CannotStart(
                    f"Port {port}, for {user}, is taken by {name_of_listener(port)}. Stop that"
                    " (`make down` stops an earlier `make up`); if it is the Redis of `dapr init`,"
                    " start the services on it with `dapr run -f .`."
                )


def left_behind(state: Path) -> list[psutil.Process]:
    """Return the running processes of a system with this state, whoever started them."""
    return processes.with_mark(MARK, str(state))

"""kubectl and helm, which are all that the tests need of a cluster."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from tools.local_system import ROOT

TASK_API, NOTIFICATIONS = "task-api", "notification-service"
SERVICES = (TASK_API, NOTIFICATIONS)
SIDECAR = "daprd"
OF_RELEASE = "app.kubernetes.io/part-of=dapr-tasks"
DAPR_NAMESPACE = os.environ.get("DAPR_NAMESPACE", "dapr-system")
CHART = ROOT / "helm"
WHOLE_WITHIN_SECONDS = 240
COMMAND_SECONDS = 300

Json = Any


class CommandFailed(Exception):
    """A command that ended with an error; says which, and how."""


def run(*command: str, stdin: str = "", within: float = COMMAND_SECONDS) -> str:
    """Run a command and return what it printed.

    Raises:
        CommandFailed: it ended with an error, or not in time.
    """
    shown = " ".join(part if len(part) < 80 else f"{part[:60]}…" for part in command)
    try:
        answer = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=within, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"`{shown}` did not end within {within} s") from error
    if answer.returncode:
        said = f"{answer.stderr}{answer.stdout}".strip()
        raise CommandFailed(f"`{shown}` ended with {answer.returncode}: {said}")
    return answer.stdout


def kubectl(*arguments: str, stdin: str = "", within: float = COMMAND_SECONDS) -> str:
    return run("kubectl", *arguments, stdin=stdin, within=within)


def what_is_missing() -> str | None:
    """Return why the tests cannot run here, and the mend; None where they can."""
    for program in ("kubectl", "helm"):
        if not shutil.which(program):
            return f"There is no {program} on the PATH. Install it, or add its folder to the PATH."
    try:
        kubectl("get", "crd", "components.dapr.io")
        wait_for_control_plane()
    except CommandFailed as error:
        return (
            f"There is no cluster with Dapr: {error}\nLet KUBECONFIG name a cluster with Dapr 1.18"
            f" in the namespace {DAPR_NAMESPACE} (another one: DAPR_NAMESPACE)."
        )
    return None


def wait_for_control_plane() -> None:
    """Return once every part of Dapr's control plane is there, as it should be."""
    dapr = Namespace(DAPR_NAMESPACE)
    for part in dapr.kubectl("get", "deployments,statefulsets", "--output=name").split():
        dapr.kubectl("rollout", "status", part, "--timeout=290s")


def eventually(look: Callable[[], Any], within: float = 60, every: float = 0.5) -> Any:
    """Return what `look` returns as soon as it is true; a command that fails is looked at again."""
    deadline = time.monotonic() + within
    while True:
        try:
            if outcome := look():
                return outcome
        except CommandFailed as error:
            outcome = error
        if time.monotonic() > deadline:
            raise AssertionError(f"still {outcome!r} after {within} s")
        time.sleep(every)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By name in small letters."""
    body: str

    def json(self) -> Json:
        return json.loads(self.body)


# Names in the URL and the headers that start with $ are variables of the container.
_ASK = """
import json, os, sys, urllib.error, urllib.request
wanted = json.loads(sys.argv[1])
body = wanted["body"]
request = urllib.request.Request(
    os.path.expandvars(wanted["url"]),
    method=wanted["method"],
    headers={name: os.path.expandvars(value) for name, value in wanted["headers"].items()},
    data=None if body is None else json.dumps(body).encode(),
)
try:
    answer = urllib.request.urlopen(request, timeout=150)
except urllib.error.HTTPError as error:
    answer = error
headers = {name.lower(): value for name, value in answer.headers.items()}
print(json.dumps([answer.status, headers, answer.read().decode()]))
"""


class Container:
    """A container that has Python in it.

    Args:
        pod: its name, or that of what made it, such as `deployment/task-api`.
    """

    def __init__(self, namespace: "Namespace", pod: str, name: str) -> None:
        self._exec = partial(
            namespace.kubectl, "exec", "--stdin", pod, f"--container={name}", "--", "python3", "-"
        )

    def python(self, program: str, *arguments: str) -> str:
        """Return what a program prints that is run there.

        Raises:
            CommandFailed: it ended with an error.
        """
        return self._exec(*arguments, stdin=program)

    def ask(
        self, method: str, url: str, body: Json = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request from there, with a body of JSON."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        wanted = {"method": method, "url": url, "headers": headers, "body": body}
        return Answer(*json.loads(self.python(_ASK, json.dumps(wanted))))

    def ask_sidecar(
        self, method: str, path: str, body: Json = None, *, with_token: bool = True
    ) -> Answer:
        """Send a request to the HTTP API of the pod's own sidecar, as its application."""
        token = {"dapr-api-token": "$DAPR_API_TOKEN"} if with_token else {}
        return self.ask(method, f"http://127.0.0.1:$DAPR_HTTP_PORT{path}", body, token)


class Namespace:
    """A namespace that is the test's own and enforces the restricted Pod Security Standard."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        wanted = {"kind": "Namespace", "metadata": {"name": self.name, "labels": labels}}
        kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", **wanted}))
        # Pods of before these are there are refused, or come up without their parts.
        eventually(lambda: self.get("serviceaccount", "default"))
        eventually(lambda: self.get("configmap", "kube-root-ca.crt"))

    def delete(self) -> None:
        kubectl("delete", "namespace", self.name, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return kubectl("--namespace", self.name, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Json:
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def apply(self, *objects: Json) -> None:
        self.kubectl("apply", "-f", "-", stdin=_as_list(objects))

    def remove(self, *objects: Json) -> None:
        self.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=_as_list(objects))

    def pods(self, app: str) -> list[Json]:
        """Return the pods of an app that are not on their way out."""
        found = self.get("pods", f"--selector=app.kubernetes.io/name={app}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def container(self, app: str) -> Container:
        """Return the container of an app in one of its pods."""
        return Container(self, f"deployment/{app}", app)

    def is_whole(self) -> bool:
        """Return whether each service has the pods it should have, ready, and no others."""
        for app in SERVICES:
            status = (deployment := self.get("deployment", app))["status"]
            wanted = deployment["spec"]["replicas"]
            counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas")]
            counts += [status.get(each, 0) for each in ("readyReplicas", "availableReplicas")]
            seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
            pods = self.get("pods", f"--selector=app.kubernetes.io/name={app}")["items"]
            if not seen or {*counts, len(pods)} != {wanted} or not all(map(is_ready, pods)):
                return False
        return True

    def wait_until_whole(self) -> None:
        try:
            eventually(self.is_whole, WHOLE_WITHIN_SECONDS, every=1)
        except AssertionError as error:
            raise AssertionError(f"{self.name} is not whole.\n{self.described()}") from error

    def redis(self, *commands: str) -> list[str]:
        """Return the lines that the chart's own Redis answers to commands."""
        password = self.kubectl(
            "get", "secret", "redis", "--output=go-template={{.data.password | base64decode}}"
        )
        (pod,) = self.pods("redis")
        script = "\n".join([f'AUTH "{password}"', *commands])
        signed_in, *lines = (
            self.kubectl(
                "exec", "--stdin", pod["metadata"]["name"], "--", "redis-cli", stdin=script
            )
            .removesuffix("\n")
            .split("\n")
        )
        if signed_in != "OK":
            raise CommandFailed(f"Redis refused the password of the Secret redis: {signed_in}")
        return lines

    def described(self) -> str:
        """Return what somebody who looks for a mistake looks at first."""
        with suppress(CommandFailed):
            pods = self.kubectl("get", "pods", "--output=wide")
            events = self.kubectl("get", "events", "--sort-by=.lastTimestamp").splitlines()
            return "\n".join([pods, *events[-20:]])
        return "Neither pods nor events could be read."


@contextmanager
def own_namespace() -> Iterator[Namespace]:
    """Make a namespace, and delete it with all that is in it, unless CLUSTER_TEST_KEEP is set."""
    namespace = Namespace(f"dapr-tasks-test-{secrets.token_hex(3)}")
    namespace.create()
    try:
        yield namespace
    finally:
        if not os.environ.get("CLUSTER_TEST_KEEP"):
            namespace.delete()


class Release:
    """The chart, installed in a namespace."""

    NAME = "tasks"

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def upgrade(self, *layers: Json, wait: bool = True) -> None:
        """Install the chart, or upgrade it, with the run's values and those of `layers`.

        Nothing of an earlier upgrade stays: what is not in `layers` is as it was installed.
        """
        given = os.environ.get("CLUSTER_TEST_VALUES")
        values: Json = {}
        for layer in layers:
            values = merged(values, layer)
        self._helm(
            *("upgrade", "--install", self.NAME, str(CHART), "--reset-values"),
            *(("--values", given) if given else ()),
            *("--values", "-"),
            *(("--wait", "--timeout=5m") if wait else ()),
            stdin=json.dumps(values),
        )

    def rollback(self) -> None:
        self._helm("rollback", self.NAME, "--wait", "--timeout=5m")

    def test(self) -> str:
        """Run the tests that the chart brings, and return what is said of them."""
        return self._helm("test", self.NAME, "--timeout=3m")

    def uninstall(self) -> None:
        self._helm("uninstall", self.NAME, "--wait", "--timeout=5m")

    def _helm(self, *arguments: str, stdin: str = "") -> str:
        try:
            return run(
                *("helm", "--namespace", self.namespace.name),
                *arguments,
                stdin=stdin,
                within=360,
            )
        except CommandFailed as error:
            raise CommandFailed(f"{error}\n{self.namespace.described()}") from None


def is_ready(pod: Json) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def kept_running(pod: Json) -> list[Json]:
    """Return what is said of the containers of a pod that are to keep running."""
    starters = pod["spec"].get("initContainers", [])
    kept = {each["name"] for each in starters if each.get("restartPolicy") == "Always"}
    first = pod["status"].get("initContainerStatuses", [])
    return [
        *(each for each in first if each["name"] in kept),
        *pod["status"].get("containerStatuses", []),
    ]


def merged(values: Json, others: Json) -> Json:
    """Return values of a chart with others laid over them."""
    if not isinstance(values, dict) or not isinstance(others, dict):
        return others
    return values | {name: merged(values.get(name), value) for name, value in others.items()}


def of_both(values: Json) -> Json:
    """Return the values of a chart that set the same for both services."""
    return {"taskApi": values, "notificationService": values}


def _as_list(objects: tuple[Json, ...]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})

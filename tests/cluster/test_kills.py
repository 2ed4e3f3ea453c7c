"""Parts that die under load. Requests that are under way then fail; the guarantee has to hold."""

import secrets
from contextlib import suppress

import pytest

from tests.cluster.cluster import (
    SERVICES,
    SIDECAR,
    CommandFailed,
    Json,
    Namespace,
    eventually,
    is_ready,
    kept_running,
)
from tests.cluster.probe import Probe


@pytest.mark.parametrize("app", SERVICES)
def test_a_killed_pod_breaks_nothing(namespace: Namespace, probe: Probe, app: str) -> None:
    with probe.load(f"kill of a pod of {app}") as outcome:
        name = namespace.pods(app)[0]["metadata"]["name"]
        namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    assert outcome.broken == []


@pytest.mark.parametrize("app", SERVICES)
def test_a_crashed_sidecar_breaks_nothing(namespace: Namespace, probe: Probe, app: str) -> None:
    with probe.load(f"crash of a sidecar of {app}") as outcome:
        crash_sidecar(namespace, namespace.pods(app)[0])
    assert outcome.broken == []


def test_a_restart_of_redis_breaks_nothing(namespace: Namespace, probe: Probe) -> None:
    """Redis comes back in its pod, on its append-only file; `make faults` kills it outright."""
    with probe.load("restart of Redis") as outcome:
        (pod,) = namespace.pods("redis")
        restarts = restarts_of(pod, "redis")
        with suppress(CommandFailed):  # Redis ends without an answer
            namespace.redis("SHUTDOWN NOSAVE")
        eventually(lambda: restarts_of(namespace.pods("redis")[0], "redis") > restarts)
        eventually(lambda: is_ready(namespace.pods("redis")[0]))
    assert outcome.broken == []


def crash_sidecar(namespace: Namespace, pod: Json) -> None:
    """Crash the sidecar of a pod, and return once it is there again.

    An ephemeral container joins the processes of the sidecar. There the sidecar is process 1, which
    nobody but the kubelet can kill; but on SIGQUIT every program in Go ends where it stands.
    """
    restarts = restarts_of(pod, SIDECAR)
    name, app = pod["metadata"]["name"], pod["metadata"]["labels"]["app.kubernetes.io/name"]
    (image,) = (each["image"] for each in pod["spec"]["containers"] if each["name"] == app)
    namespace.kubectl(
        *("debug", name, f"--container=crash-{secrets.token_hex(3)}", f"--image={image}"),
        *("--image-pull-policy=IfNotPresent", f"--target={SIDECAR}", "--profile=restricted"),
        *("--", "python3", "-c", "import os, signal; os.kill(1, signal.SIGQUIT)"),
    )
    eventually(lambda: restarts_of(namespace.get("pod", name), SIDECAR) > restarts)


def restarts_of(pod: Json, container: str) -> int:
    (status,) = (each for each in kept_running(pod) if each["name"] == container)
    return int(status["restartCount"])

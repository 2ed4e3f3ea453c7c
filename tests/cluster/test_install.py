"""The chart as it is installed: whole, restricted, and doing what the services are for."""

import json
from typing import Any
from uuid import uuid4

import pytest

from faults.observations import DOCUMENTS
from tests.cluster.cluster import (
    NOTIFICATIONS,
    SERVICES,
    SIDECAR,
    TASK_API,
    CommandFailed,
    Container,
    Namespace,
    Release,
    eventually,
    kept_running,
)
from tests.cluster.probe import Probe

TASKS = f"http://{TASK_API}/tasks"
INFRASTRUCTURE_CLIENTS = (
    *("redis", "kafka", "confluent_kafka", "aiokafka", "pika", "aio_pika", "psycopg", "asyncpg"),
    *("pymongo", "httpx", "requests"),
)


def create(client: Container, **fields: Any) -> Any:
    answer = client.ask("POST", TASKS, {"title": f"Learn Dapr {uuid4()}", **fields})
    assert answer.status == 201, answer
    return answer.json()


def complete(client: Container, task_id: str) -> None:
    assert client.ask("PUT", f"{TASKS}/{task_id}/status?status=completed").status == 200


def notified(client: Container, task_id: str) -> Any:
    return client.ask("GET", f"http://{NOTIFICATIONS}/notifications?task_id={task_id}").json()[
        "items"
    ]


def test_the_tests_of_the_chart_pass(release: Release) -> None:
    assert "Phase:          Succeeded" in release.test()


@pytest.mark.parametrize("app", SERVICES)
def test_a_pod_has_its_sidecar_and_both_are_ready(release: Release, app: str) -> None:
    (first, second) = release.namespace.pods(app)
    for pod in (first, second):
        ready = {each["name"]: each["ready"] for each in kept_running(pod)}
        assert ready == {app: True, SIDECAR: True}
        name = pod["metadata"]["name"]
        log = release.namespace.kubectl("logs", name, f"--container={SIDECAR}")
        assert "dapr initialized" in log


def test_a_task_is_kept_in_the_store_until_it_is_deleted(
    client: Container, namespace: Namespace
) -> None:
    task = create(client)
    url, key = f"{TASKS}/{task['id']}", f"{DOCUMENTS}{task['id']}"
    assert namespace.redis(f"EXISTS {key}") == ["1"]
    read = client.ask("GET", url)
    assert (read.status, read.json()) == (200, task)
    changed = client.ask("PATCH", url, {"priority": 5}, {"If-Match": read.headers["etag"]})
    assert (changed.status, changed.json()["priority"]) == (200, 5)
    late = client.ask("PATCH", url, {"priority": 4}, {"If-Match": read.headers["etag"]})
    assert late.status == 412
    assert client.ask("GET", url).json() == changed.json()
    assert client.ask("DELETE", url).status == 204
    assert client.ask("GET", url).status == 404
    eventually(lambda: namespace.redis(f"EXISTS {key}") == ["0"], within=5)


def test_a_subscriber_receives_what_was_created_and_completed(
    client: Container, probe: Probe
) -> None:
    task = create(client)
    complete(client, task["id"])
    both = ["task.completed", "task.created"]
    eventually(lambda: sorted(set(probe.heard(task["id"]))) == both, within=10)


def test_a_completed_task_is_notified_through_dapr(client: Container) -> None:
    task = create(client, assignee="ann")
    complete(client, task["id"])
    (notification,) = eventually(lambda: notified(client, task["id"]), within=10)
    assert notification["recipient"] == "ann"
    assert notification["status"] == "sent"
    assert task["title"] in notification["message"]


@pytest.mark.parametrize("app", SERVICES)
def test_an_image_has_no_client_of_the_infrastructure(release: Release, app: str) -> None:
    program = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""
    container = release.namespace.container(app)
    assert json.loads(container.python(program, *INFRASTRUCTURE_CLIENTS)) == []


def test_the_namespace_of_the_pods_takes_only_restricted_ones(namespace: Namespace) -> None:
    """That the release runs here, sidecars and all, so says that its pods are restricted."""
    with pytest.raises(CommandFailed, match='violates PodSecurity "restricted'):
        namespace.kubectl("run", "open", "--image=redis:7", "--dry-run=server")


@pytest.mark.parametrize("app", SERVICES)
def test_a_service_can_neither_write_to_its_image_nor_speak_to_kubernetes(
    release: Release, app: str
) -> None:
    program = """
import json, os
print(json.dumps({
    "read-only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "user": os.getuid(),
}))
"""
    seen = json.loads(release.namespace.container(app).python(program))
    assert seen == {"read-only": True, "token": False, "user": 65532}

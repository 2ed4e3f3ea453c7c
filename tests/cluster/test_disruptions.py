"""What operators do to a running system, under load: no request fails and nothing is forgotten.

The load asks for 100 changes a second. It counts each attempt that got no answer or one of 500 and
above, before it sends the request again.
"""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.cluster.cluster import (
    DAPR_NAMESPACE,
    SERVICES,
    CommandFailed,
    Json,
    Namespace,
    Release,
    eventually,
    is_ready,
    kubectl,
    of_both,
    wait_for_control_plane,
)
from tests.cluster.probe import Outcome, Probe
from tests.cluster.report import Report

SIDE_BY_SIDE_SECONDS = 10


def a_revision() -> Json:
    """Return values that give both services new pods."""
    return of_both({"podAnnotations": {"revision": secrets.token_hex(4)}})


def assert_nobody_noticed(outcome: Outcome) -> None:
    assert outcome.broken == []
    assert outcome.failed == []
    assert outcome.figures
    assert outcome.figures.requests > 0


def test_a_rolling_update_fails_no_request(release: Release, probe: Probe) -> None:
    with probe.load("rolling update") as outcome:
        release.upgrade(a_revision())
    assert_nobody_noticed(outcome)


def test_a_rollback_fails_no_request(release: Release, probe: Probe) -> None:
    release.upgrade(a_revision())
    with probe.load("rollback") as outcome:
        release.rollback()
    assert_nobody_noticed(outcome)


def test_a_drained_node_fails_no_request(namespace: Namespace, probe: Probe) -> None:
    """Evict every pod of the services as `kubectl drain` does: within their disruption budgets.

    The node of a pod is cordoned while the pod is evicted. A real drain would leave it so; here it
    is opened again at once, since a cluster of one node has no place for the replacement before.
    That a drain waits for the replacement is the budget's doing: a second eviction is refused.
    """
    with probe.load("node drain") as outcome:
        for app in SERVICES:
            for pod in namespace.pods(app):
                with cordoned(pod["spec"]["nodeName"]):
                    eventually(partial(evicts, namespace, pod))
                    others = [each for each in namespace.pods(app) if is_ready(each)]
                    assert not any(evicts(namespace, other) for other in others)
                namespace.wait_until_whole()
    assert_nobody_noticed(outcome)


def test_a_restart_of_the_control_plane_fails_no_request(probe: Probe) -> None:
    """All of it at once: a scheduler without a disk cannot come back one by one."""
    with probe.load("restart of the control plane") as outcome:
        Namespace(DAPR_NAMESPACE).kubectl("delete", "pods", "--all")
        wait_for_control_plane()
    assert_nobody_noticed(outcome)


def test_two_versions_serve_side_by_side(release: Release, probe: Probe, report: Report) -> None:
    """Stop an update half-way, so that pods of before and after it share the load for a while.

    PREVIOUS_TAG names the images of the version before; without it both are of the same.
    """
    previous = os.environ.get("PREVIOUS_TAG")
    if not previous:
        report.note("Side by side were two revisions of the same version: no PREVIOUS_TAG.")
    namespace = release.namespace
    release.upgrade({"image": {"tag": previous}} if previous else a_revision())
    with probe.load("two versions side by side") as outcome:
        old = {app: templates(namespace.pods(app)) for app in SERVICES}
        with paused_half_way(namespace):
            release.upgrade(wait=False)
            for app in SERVICES:
                eventually(partial(has_others, namespace, app, old[app]))
                namespace.kubectl("rollout", "pause", f"deployment/{app}")
            for app in SERVICES:
                eventually(partial(has_both_ready, namespace, app, old[app]))
            time.sleep(SIDE_BY_SIDE_SECONDS)
            assert all(has_both_ready(namespace, app, old[app]) for app in SERVICES)
    assert_nobody_noticed(outcome)


@contextmanager
def cordoned(node: str) -> Iterator[None]:
    kubectl("cordon", node)
    try:
        yield
    finally:
        kubectl("uncordon", node)


def evicts(namespace: Namespace, pod: Json) -> bool:
    """Ask for the eviction of a pod; return False where its disruption budget forbids it."""
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{namespace.name}/pods/{name}/eviction"
    try:
        kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    except CommandFailed as error:
        if "disruption budget" in str(error):
            return False
        raise
    return True


def templates(pods: list[Json]) -> set[str]:
    """Return what tells the pods of one template of a Deployment from those of another."""
    return {pod["metadata"]["labels"]["pod-template-hash"] for pod in pods}


def has_others(namespace: Namespace, app: str, old: set[str]) -> bool:
    return not templates(namespace.pods(app)) <= old


def has_both_ready(namespace: Namespace, app: str, old: set[str]) -> bool:
    """Return whether pods of the old template and of another serve at once."""
    return templates([pod for pod in namespace.pods(app) if is_ready(pod)]) > old


@contextmanager
def paused_half_way(namespace: Namespace) -> Iterator[None]:
    """Let rollouts that are paused in here go on afterwards."""
    try:
        yield
    finally:
        for app in SERVICES:
            deployment = namespace.get("deployment", app)
            if deployment["spec"].get("paused"):
                namespace.kubectl("rollout", "resume", f"deployment/{app}")

"""More pods under load, fewer after it, and no request that fails either way."""

import pytest

from tests.cluster.cluster import TASK_API, CommandFailed, Namespace, Release, eventually
from tests.cluster.probe import Probe

ON = {
    "taskApi": {
        "autoscaling": {
            "enabled": True,
            "minReplicas": 2,
            "maxReplicas": 4,
            "targetCPUUtilizationPercentage": 30,
        }
    }
}
MUCH, LITTLE = 150, 5
"""Changes a second: above the target on two pods, and far below it."""
SCALES_UP_WITHIN_SECONDS = 300
SCALES_DOWN_WITHIN_SECONDS = 900
"""Kubernetes waits for five minutes before it believes that a load is over."""


@pytest.fixture
def metrics(namespace: Namespace, release: Release) -> None:
    """The CPU that pods take, without which nobody can scale by it."""
    pods = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace.name}/pods"
    try:
        namespace.kubectl("get", "--raw", pods)
    except CommandFailed as error:
        pytest.skip(f"nothing here measures the CPU of pods (metrics.k8s.io): {error}")


@pytest.mark.usefixtures("metrics")
def test_task_api_scales_up_and_down_and_fails_no_request(
    namespace: Namespace, release: Release, probe: Probe
) -> None:
    release.upgrade(ON)
    try:
        with probe.load("scaling up", MUCH) as up:
            eventually(lambda: len(namespace.pods(TASK_API)) >= 3, SCALES_UP_WITHIN_SECONDS)
        with probe.load("scaling down", LITTLE) as down:
            eventually(lambda: len(namespace.pods(TASK_API)) == 2, SCALES_DOWN_WITHIN_SECONDS)
    finally:
        release.upgrade()
    for outcome in (up, down):
        assert outcome.broken == []
        assert outcome.failed == []

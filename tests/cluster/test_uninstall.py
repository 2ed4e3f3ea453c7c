"""What is left when a release is gone. It has a namespace of its own, beside the other release."""

from tests.cluster.cluster import Namespace, Release, eventually, kubectl, of_both, own_namespace

NOT_KEPT = {"events", "events.events.k8s.io", "pods.metrics.k8s.io"}
"""Kinds that tell of what was, and go by themselves."""
SMALL = {"requests": {"cpu": "10m"}}
"""A small cluster has to hold both releases."""


def objects_in(namespace: Namespace) -> set[str]:
    """Return all objects of a namespace, of every kind that the cluster knows."""
    listed = kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    kinds = ",".join(sorted(set(listed) - NOT_KEPT))
    return set(namespace.kubectl("get", kinds, "--output=name", "--ignore-not-found").split())


def test_uninstalling_leaves_nothing_behind() -> None:
    with own_namespace() as namespace:
        before = objects_in(namespace)
        release = Release(namespace)
        small = {"replicas": 1, "resources": SMALL, "sidecar": {"resources": SMALL}}
        release.upgrade(of_both(small) | {"redis": {"resources": SMALL}})
        release.test()
        assert objects_in(namespace) > before
        release.uninstall()
        eventually(lambda: objects_in(namespace) <= before, within=120)

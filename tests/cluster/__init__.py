"""Tests of the chart on a real cluster: `make cluster-test`, or pytest with this folder.

KUBECONFIG names the cluster, which has Dapr 1.18 and whose nodes get the images of both services
and of Redis. The tests make namespaces of their own. Beyond those they cordon nodes for a moment,
and restart Dapr's control plane. Besides, the environment may say:

- CLUSTER_TEST_VALUES: a file with values for the chart, such as `image.registry`;
- PREVIOUS_TAG: the tag of the images of the version before, to run both side by side;
- DAPR_NAMESPACE: where the control plane is, if not in dapr-system;
- REPORT: set, writes the figures of a run without failures into docs/kubernetes.md;
- CLUSTER_TEST_KEEP: set, leaves the namespaces there, to look into them.
"""

"""What nobody may do, tried from inside the cluster: each edge that is denied, and its error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import inside
from tests.cluster.cluster import (
    NOTIFICATIONS,
    SERVICES,
    TASK_API,
    Container,
    Json,
    Namespace,
    Release,
    eventually,
)

INTERNAL_GRPC_PORT = 50002
INVOKE_NOTIFY = f"/v1.0/invoke/{NOTIFICATIONS}/method/notify"
SIDECAR_GRPC = "127.0.0.1:$DAPR_GRPC_PORT"
ACCESS_DENIED = "access control policy has denied access"
NOT_ALLOWED = ("UNIMPLEMENTED", "Not Implemented")
"""What a sidecar answers to a gRPC call that is not on its allow-list."""
OF_PROBE = {"matchLabels": {"app.kubernetes.io/name": "probe"}}

# Prints the code and the details of what the sidecar answers to the SDK.
_SDK = """
import json, sys
from dapr.clients import DaprClient
from grpc import RpcError
name, arguments = sys.argv[1], json.loads(sys.argv[2])
with DaprClient() as client:
    try:
        getattr(client, name)(**arguments)
        print(json.dumps(["OK", ""]))
    except RpcError as error:
        print(json.dumps([error.code().name, error.details()]))
"""

# Prints the same of a call with an empty message and the app's own token.
_GRPC = """
import grpc, json, os, sys
address, method = os.path.expandvars(sys.argv[1]), sys.argv[2]
token = [("dapr-api-token", os.environ["DAPR_API_TOKEN"])]
try:
    grpc.insecure_channel(address).unary_unary(method)(b"", timeout=10, metadata=token)
    print(json.dumps(["OK", ""]))
except grpc.RpcError as error:
    print(json.dumps([error.code().name, error.details()]))
"""

# Opens TLS without a certificate of its own, and prints what comes of it.
_TLS = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as raw:
        with context.wrap_socket(raw) as channel:
            print("taken" if channel.recv(9) else "closed")  # a server of gRPC speaks first
except OSError as error:
    print(f"refused: {error}")
"""

_CONNECTS = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("yes")
except OSError:
    print("no")
"""


def by_sdk(container: Container, name: str, **arguments: str) -> tuple[str, str]:
    code, details = json.loads(container.python(_SDK, name, json.dumps(arguments)))
    return code, details


def by_grpc(container: Container, address: str, method: str) -> tuple[str, str]:
    code, details = json.loads(container.python(_GRPC, address, method))
    return code, details


def connects(container: Container, host: str, port: int) -> bool:
    return container.python(_CONNECTS, host, str(port)).strip() == "yes"


@pytest.fixture
def task_api(release: Release) -> Container:
    return release.namespace.container(TASK_API)


@pytest.fixture
def notification_service(release: Release) -> Container:
    return release.namespace.container(NOTIFICATIONS)


def test_what_is_not_denied_works(task_api: Container, client: Container) -> None:
    """Else what follows would say nothing: it fails for other reasons, too."""
    answer = task_api.ask_sidecar("POST", INVOKE_NOTIFY, {})
    assert (answer.status, "task_id" in answer.body) == (422, True), answer
    for store, key in (("statestore", "none"), ("secretstore", "app-api-token")):
        call = "get_state" if store == "statestore" else "get_secret"
        assert by_sdk(task_api, call, store_name=store, key=key) == ("OK", "")
    assert client.ask_sidecar("GET", "/v1.0/metadata").status == 200


def test_a_third_app_may_not_invoke_notify(client: Container) -> None:
    body = {"type": "t", "task_id": "a", "message": "m"}
    answer = client.ask_sidecar("POST", INVOKE_NOTIFY, body)
    assert answer.status == 403
    assert ACCESS_DENIED in answer.body


@pytest.mark.parametrize(("app", "method"), [(TASK_API, "tasks"), (NOTIFICATIONS, "notifications")])
def test_a_third_app_may_not_invoke_another_method(
    client: Container, app: str, method: str
) -> None:
    answer = client.ask_sidecar("GET", f"/v1.0/invoke/{app}/method/{method}")
    assert answer.status == 403
    assert ACCESS_DENIED in answer.body


def test_notification_service_may_invoke_redeliver_of_task_api_and_nothing_else(
    notification_service: Container,
) -> None:
    invoke = f"/v1.0/invoke/{TASK_API}/method"
    answer = notification_service.ask_sidecar("GET", f"{invoke}/tasks")
    assert answer.status == 403
    assert ACCESS_DENIED in answer.body
    answer = notification_service.ask_sidecar("POST", f"{invoke}/redeliver", {})
    assert answer.status == 422
    method = "/dapr.proto.runtime.v1.Dapr/InvokeService"
    assert by_grpc(notification_service, SIDECAR_GRPC, method) == NOT_ALLOWED


def test_a_sidecar_takes_no_call_without_its_token(task_api: Container) -> None:
    answer = task_api.ask_sidecar("POST", INVOKE_NOTIFY, {}, with_token=False)
    assert answer.status == 401


@pytest.mark.parametrize("app", SERVICES)
def test_a_service_takes_no_callback_without_its_token(client: Container, app: str) -> None:
    answer = client.ask("POST", f"http://{app}/events/task-events", {"entries": []})
    assert answer.status == 403
    assert "Only the Dapr sidecar may call this" in answer.body


def test_notify_takes_no_call_that_did_not_come_through_dapr(client: Container) -> None:
    answer = client.ask(
        "POST",
        f"http://{NOTIFICATIONS}/notify",
        {"type": "t", "task_id": "a", "message": "m"},
        {"dapr-caller-app-id": TASK_API},
    )
    assert answer.status == 403


def test_notification_service_may_not_publish_changes(notification_service: Container) -> None:
    code, details = by_sdk(
        notification_service,
        "publish_event",
        pubsub_name="changelog",
        topic_name="task-changes",
        data="{}",
    )
    assert "changelog is not found" in details
    assert code != "OK"


@pytest.mark.parametrize("app", SERVICES)
def test_changes_may_not_be_published_among_the_events(release: Release, app: str) -> None:
    code, details = by_sdk(
        release.namespace.container(app),
        "publish_event",
        pubsub_name="pubsub",
        topic_name="task-changes",
        data="{}",
    )
    assert code == "PERMISSION_DENIED"
    assert f"topic task-changes is not allowed for app id {app}" in details


@pytest.mark.parametrize("app", SERVICES)
def test_a_service_may_not_read_another_secret(release: Release, app: str) -> None:
    code, details = by_sdk(
        release.namespace.container(app), "get_secret", store_name="secretstore", key="redis"
    )
    assert code == "PERMISSION_DENIED"
    assert "access denied by policy" in details


@pytest.mark.parametrize("app", SERVICES)
def test_a_service_may_not_read_secrets_past_its_store(release: Release, app: str) -> None:
    code, details = by_sdk(
        release.namespace.container(app), "get_secret", store_name="kubernetes", key="redis"
    )
    assert code != "OK"
    assert "failed finding secret store" in details


def test_a_third_app_may_not_use_the_components(client: Container) -> None:
    state = client.ask_sidecar("GET", "/v1.0/state/statestore/health-probe")
    assert state.status >= 400
    assert "STATE_STORE" in state.body
    for pubsub in ("pubsub", "changelog"):
        event = client.ask_sidecar("POST", f"/v1.0/publish/{pubsub}/task-events", {})
        assert event.status >= 400
        assert f"{pubsub} is not found" in event.body
    secret = client.ask_sidecar("GET", "/v1.0/secrets/secretstore/app-api-token")
    assert secret.status >= 400
    assert "SECRET_STORE" in secret.body


@pytest.mark.parametrize("app", SERVICES)
def test_a_sidecar_takes_nothing_without_a_certificate(
    client: Container, namespace: Namespace, app: str
) -> None:
    host = namespace.pods(app)[0]["status"]["podIP"]
    assert connects(client, host, INTERNAL_GRPC_PORT)
    plain = by_grpc(
        client,
        f"{host}:{INTERNAL_GRPC_PORT}",
        "/dapr.proto.internals.v1.ServiceInvocation/CallLocal",
    )
    assert plain[0] == "UNAVAILABLE", plain
    without = client.python(_TLS, host, str(INTERNAL_GRPC_PORT))
    assert "certificate" in without, without


@pytest.mark.parametrize("app", SERVICES)
def test_a_sidecar_refuses_what_its_service_has_no_use_for(release: Release, app: str) -> None:
    container = release.namespace.container(app)
    for method, path in (
        ("POST", "/v1.0/shutdown"),
        ("PUT", "/v1.0/metadata/name"),
        ("POST", "/v1.0/actors/type/id/method/name"),
        ("GET", "/v1.0/state/statestore/health-probe"),
    ):
        answer = container.ask_sidecar(method, path, {} if method != "GET" else None)
        assert answer.status == 404, (path, answer)
    for call in ("Shutdown", "SetMetadata", "InvokeActor"):
        answer_to_grpc = by_grpc(container, SIDECAR_GRPC, f"/dapr.proto.runtime.v1.Dapr/{call}")
        assert answer_to_grpc == NOT_ALLOWED, call


def test_network_policies_close_what_is_not_needed(
    task_api: Container, client: Container, namespace: Namespace
) -> None:
    """task-api may not call just anybody, and nobody but the services may call Redis."""
    (pod,) = namespace.pods("probe")
    reached = connects(task_api, pod["status"]["podIP"], inside.PORT)
    # Nobody else is asked whether policies count, and the probe gets its network back.
    cut_off = {"podSelector": OF_PROBE, "policyTypes": ["Egress"]}
    with policy(namespace, "probe-is-cut-off", cut_off):
        if not closes(client, TASK_API, 80):
            pytest.skip("not enforced here: the network plug-in ignores network policies")
    assert not reached
    allowed = namespace.get("networkpolicy", "probe")["spec"]
    namespace.kubectl("delete", "networkpolicy", "probe")
    try:
        assert closes(client, "redis", 6379)
    finally:
        namespace.apply(network_policy("probe", allowed))
    eventually(lambda: connects(client, "redis", 6379))


def closes(container: Container, host: str, port: int) -> bool:
    """Return whether a port cannot be reached any more, soon after a policy changed."""
    try:
        eventually(lambda: not connects(container, host, port), within=15)
    except AssertionError:
        return False
    return True


def network_policy(name: str, spec: Json) -> Json:
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


@contextmanager
def policy(namespace: Namespace, name: str, spec: Json) -> Iterator[None]:
    namespace.apply(network_policy(name, spec))
    try:
        yield
    finally:
        namespace.kubectl("delete", "networkpolicy", name)

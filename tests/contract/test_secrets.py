"""What a secret store answers through a real sidecar."""

from service_kit.dapr_adapters import DaprSecrets, DaprSidecar
from tools.local_system import LocalSystem


async def test_a_secret_that_is_not_there_is_none(
    system: LocalSystem, sidecar: DaprSidecar
) -> None:
    secrets = DaprSecrets(sidecar, "secretstore")
    assert await secrets.get("app-api-token") == system.tokens["app-api-token"]
    assert await secrets.get("no-such-secret") is None

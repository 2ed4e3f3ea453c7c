"""What a secret store answers through a real sidecar."""

from datetime import timedelta

import dapr.conf

from service_kit.dapr_adapters import DaprSecrets, DaprSidecar
from tools.local_system import LocalSystem


async def test_a_secret_that_is_not_there_is_none(system: LocalSystem) -> None:
    ports = system.ports.apps["task-api"]
    dapr.conf.settings.DAPR_API_TOKEN = system.tokens["dapr-api-token"]
    async with DaprSidecar(
        ports["daprHTTPPort"], ports["daprGRPCPort"], timedelta(seconds=5)
    ) as sidecar:
        await sidecar.ready()
        secrets = DaprSecrets(sidecar, "secretstore")
        assert await secrets.get("app-api-token") == system.tokens["app-api-token"]
        assert await secrets.get("no-such-secret") is None

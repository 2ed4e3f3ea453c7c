"""What dapr.yaml says, for those who run it without the CLI.

`dapr run -f` hides which of its processes ended and why, gives every sidecar a placement service
that is not there, and stops reading from a service that writes a line of 64 KB. So `make up` starts
the programs of the same file itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.ports import HERE
from tools.processes import Recipe

# By its name in the file: the argument of daprd that it becomes.
ARGUMENTS = {
    "appID": "app-id",
    "appPort": "app-port",
    "appProtocol": "app-protocol",
    "appChannelAddress": "app-channel-address",
    "appMaxConcurrency": "app-max-concurrency",
    "daprHTTPPort": "dapr-http-port",
    "daprGRPCPort": "dapr-grpc-port",
    "daprInternalGRPCPort": "dapr-internal-grpc-port",
    "metricsPort": "metrics-port",
    "profilePort": "profile-port",
    "enableProfiling": "enable-profiling",
    "apiListenAddresses": "dapr-listen-addresses",
    "unixDomainSocket": "unix-domain-socket",
    "configFilePath": "config",
    "resourcesPaths": "resources-path",
    "placementHostAddress": "placement-host-address",
    "logLevel": "log-level",
    "enableApiLogging": "enable-api-logging",
    "maxBodySize": "max-body-size",
    "readBufferSize": "read-buffer-size",
    "enableAppHealthCheck": "enable-app-health-check",
    "appHealthCheckPath": "app-health-check-path",
    "appHealthProbeInterval": "app-health-probe-interval",
    "appHealthProbeTimeout": "app-health-probe-timeout",
    "appHealthThreshold": "app-health-threshold",
}
# The file has no name for these; without them a sidecar listens to the whole network.
LISTEN_HERE = (
    *("--dapr-internal-grpc-listen-address", HERE),
    *("--metrics-listen-address", HERE),
)
PATHS = ("configFilePath", "resourcesPaths")
# What the CLI tells a service, by the name in the file.
VARIABLES = {
    "appID": "APP_ID",
    "appPort": "APP_PORT",
    "daprHTTPPort": "DAPR_HTTP_PORT",
    "daprGRPCPort": "DAPR_GRPC_PORT",
    "metricsPort": "DAPR_METRICS_PORT",
}


def apps(run_file: Path) -> Iterator[dict[str, Any]]:
    """Yield what a run file says of each app, with what it says of all of them."""
    content = yaml.safe_load(run_file.read_text())
    common = content.get("common") or {}
    for app in content["apps"]:
        environment = {**(common.get("env") or {}), **(app.get("env") or {})}
        yield {**common, **app, "env": environment}


def recipes(
    app: Mapping[str, Any], run_file: Path, daprd: Path, environment: Mapping[str, str], logs: Path
) -> Iterator[Recipe]:
    """Yield how to start the sidecar of an app, and the app itself.

    Args:
        app: one of `apps`.
        environment: of both, beside what the file says for the app.
        logs: folder for what they write.
    """
    app_id = app["appID"]
    folder = (run_file.parent / app.get("appDirPath", ".")).resolve()
    sidecar = f"{app_id}-sidecar"
    arguments = [*_arguments(app, run_file.parent), *LISTEN_HERE]
    yield Recipe(sidecar, [str(daprd), *arguments], environment, folder, logs / f"{sidecar}.log")
    told = {name: str(app[field]) for field, name in VARIABLES.items() if field in app}
    told |= {name: str(value) for name, value in app["env"].items()}
    if command := [str(part) for part in app.get("command", ())]:
        yield Recipe(app_id, command, {**environment, **told}, folder, logs / f"{app_id}.log")


def _arguments(app: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for field, argument in ARGUMENTS.items():
        given = app.get(field)
        for value in given if isinstance(given, list) else [given]:
            if value is True:
                yield f"--{argument}"
            elif value not in (None, False, ""):
                yield f"--{argument}"
                yield str((folder / value).resolve() if field in PATHS else value)

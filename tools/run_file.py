"""What dapr.yaml says, for those who run it without the CLI.

`dapr run -f` hides which of its processes ended and why, gives every sidecar a placement service
that is not there, and stops reading from a service that writes a line of 64 KB. So `make up` starts
the programs of the same file itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from tools.ports import APP_PORTS, HERE
from tools.processes import Recipe
from tools.resources import yaml_files
from tools.resources.kinds import explained
from tools.resources.yaml_files import Mistake

# By its name in the file: its type, and the argument of daprd that it becomes.
ARGUMENTS: dict[str, tuple[Any, str]] = {
    "appID": (str, "app-id"),
    "appPort": (int, "app-port"),
    "appProtocol": (str, "app-protocol"),
    "appChannelAddress": (str, "app-channel-address"),
    "appMaxConcurrency": (int, "app-max-concurrency"),
    "daprHTTPPort": (int, "dapr-http-port"),
    "daprGRPCPort": (int, "dapr-grpc-port"),
    "daprInternalGRPCPort": (int, "dapr-internal-grpc-port"),
    "metricsPort": (int, "metrics-port"),
    "profilePort": (int, "profile-port"),
    "enableProfiling": (bool, "enable-profiling"),
    "apiListenAddresses": (str, "dapr-listen-addresses"),
    "unixDomainSocket": (str, "unix-domain-socket"),
    "configFilePath": (str, "config"),
    "resourcesPaths": (list[str], "resources-path"),
    "placementHostAddress": (str, "placement-host-address"),
    "schedulerHostAddress": (str, "scheduler-host-address"),
    "logLevel": (str, "log-level"),
    "enableApiLogging": (bool, "enable-api-logging"),
    "maxBodySize": (str, "max-body-size"),
    "readBufferSize": (str, "read-buffer-size"),
    "enableAppHealthCheck": (bool, "enable-app-health-check"),
    "appHealthCheckPath": (str, "app-health-check-path"),
    "appHealthProbeInterval": (int, "app-health-probe-interval"),
    "appHealthProbeTimeout": (int, "app-health-probe-timeout"),
    "appHealthThreshold": (int, "app-health-threshold"),
}
PATHS = ("configFilePath", "resourcesPaths")
# The file has no name for these; without them a sidecar listens to the whole network.
LISTEN_HERE = (
    *("--dapr-internal-grpc-listen-address", HERE),
    *("--metrics-listen-address", HERE),
)
# What the CLI tells a service, by the name in the file.
VARIABLES = {
    "appID": "APP_ID",
    "appPort": "APP_PORT",
    "daprHTTPPort": "DAPR_HTTP_PORT",
    "daprGRPCPort": "DAPR_GRPC_PORT",
    "metricsPort": "DAPR_METRICS_PORT",
}

_STRICT = ConfigDict(strict=True, extra="forbid")
_SHARED: dict[str, Any] = {
    **{name: (kind, None) for name, (kind, _) in ARGUMENTS.items()},
    "env": (dict[str, str | int | float | bool], {}),
    # Of the CLI alone: here every process has a log file.
    **dict.fromkeys(("daprdLogDestination", "appLogDestination", "runtimePath"), (str, "")),
}
_Common = create_model("_Common", __config__=_STRICT, **_SHARED)
_App = create_model(
    "_App",
    __config__=_STRICT,
    **{
        **_SHARED,
        "appID": (str, ...),
        **dict.fromkeys(APP_PORTS, (int, ...)),
        "appDirPath": (str, "."),
        "command": (list[str], []),
    },
)


class _Content(BaseModel):
    model_config = _STRICT
    version: int
    name: str = ""
    common: _Common | None = None
    apps: list[_App]


class RunFile:
    """A run file that was read.

    Raises:
        Mistake: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.parent
        self.document = next(yaml_files.read(path), None)
        if self.document is None:
            raise Mistake(str(path), "it says nothing")
        try:
            _Content.model_validate(self.document.content)
        except ValidationError as error:
            raise explained(error, self.document, _Content) from error
        self._refuse_shared_ports()

    @property
    def content(self) -> dict[str, Any]:
        assert self.document
        content: dict[str, Any] = self.document.content
        return content

    def apps(self) -> Iterator[dict[str, Any]]:
        """Yield what the file says of each app, with what it says of all of them."""
        common = self.content.get("common") or {}
        for app in self.content["apps"]:
            yield {**common, **app, "env": {**common.get("env", {}), **app.get("env", {})}}

    def resource_folders(self, app: Mapping[str, Any]) -> Sequence[Path]:
        return [self.folder / each for each in app.get("resourcesPaths", ())]

    def working_folder(self, app: Mapping[str, Any]) -> Path:
        """Return the folder that an app and its sidecar run in."""
        return (self.folder / str(app.get("appDirPath", "."))).resolve()

    def recipes(
        self, app: Mapping[str, Any], daprd: Path, environment: Mapping[str, str], logs: Path
    ) -> Iterator[Recipe]:
        """Yield how to start the sidecar of an app, and the app itself.

        Args:
            app: one of `apps`.
            environment: of both, beside what the file says for the app.
            logs: folder for what they write.
        """
        app_id, folder = app["appID"], self.working_folder(app)
        sidecar = f"{app_id}-sidecar"
        arguments = [str(daprd), *self._arguments(app), *LISTEN_HERE]
        yield Recipe(sidecar, arguments, environment, folder, logs / f"{sidecar}.log")
        if command := app.get("command"):
            both = {**environment, **variables(app)}
            yield Recipe(app_id, command, both, folder, logs / f"{app_id}.log")

    def _arguments(self, app: Mapping[str, Any]) -> Iterator[str]:
        for field, (_, argument) in ARGUMENTS.items():
            given = app.get(field)
            for value in given if isinstance(given, list) else [given]:
                if value is True:
                    yield f"--{argument}"
                elif value not in (None, False, ""):
                    path = (self.folder / value).resolve() if field in PATHS else None
                    yield from (f"--{argument}", str(path or value))

    def _refuse_shared_ports(self) -> None:
        seen: dict[int, str] = {}
        assert self.document
        for position, app in enumerate(self.content["apps"]):
            for name in APP_PORTS:
                user = f"{name} of {app['appID']}"
                if other := seen.get(app[name]):
                    raise Mistake(
                        self.document.place("apps", position, name),
                        f"port {app[name]} is for {other} already: give {user} another one",
                    )
                seen[app[name]] = user


def variables(app: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables that an app gets from the run file."""
    told = {name: str(app[field]) for field, name in VARIABLES.items() if field in app}
    for name, value in app["env"].items():
        told[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return told

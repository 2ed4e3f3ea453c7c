"""What the Tiltfile asks of Tilt. Its language is a part of Python, which runs it here."""

import json
import runpy
from types import SimpleNamespace
from typing import Any

import yaml

from tools.chart_checks import render
from tools.local_system import ROOT

SERVICES = ["task-api", "notification-service"]
VERSION = json.dumps({"serverVersion": {"gitVersion": "v1.34.4"}})
# Functions of Tilt that are only remembered.
REMEMBERED = (
    *("allow_k8s_contexts", "default_registry", "docker_build", "encode_yaml", "fall_back_on"),
    *("k8s_resource", "k8s_yaml", "link", "local_resource", "sync"),
)


class Tilt:
    """Runs the Tiltfile with options, and remembers what it asked for."""

    def __init__(self, options: dict[str, str]) -> None:
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        self.declared: list[str] = []
        self._options = options
        self.objects: list[dict[str, Any]] = []
        runpy.run_path(str(ROOT / "Tiltfile"), self._functions())

    def asked(self, name: str) -> list[tuple[Any, ...]]:
        return self.calls.get(name, [])

    def _functions(self) -> dict[str, Any]:
        return {
            **{name: self._remembered(name) for name in REMEMBERED},
            "config": SimpleNamespace(
                define_string=lambda name, usage: self.declared.append(name),
                parse=lambda: self._options,
            ),
            "v1alpha1": SimpleNamespace(
                ui_button=self._remembered("ui_button"), cmd=self._remembered("cmd")
            ),
            "local": lambda command, **_: "" if " get secret " in command else VERSION,
            "helm": lambda *_, **__: render(),
            "decode_json": json.loads,
            "decode_yaml_stream": lambda text: [each for each in yaml.safe_load_all(text) if each],
            "encode_yaml_stream": self.objects.extend,
        }

    def _remembered(self, name: str) -> Any:
        return lambda *arguments, **_: self.calls.setdefault(name, []).append(arguments)


def test_images_go_to_the_registry_that_is_named() -> None:
    tilt = Tilt({"default-registry": "registry.example.com/team"})
    assert tilt.asked("default_registry") == [("registry.example.com/team",)]
    assert "default-registry" in tilt.declared


def test_images_go_where_tilt_finds_a_place_by_itself() -> None:
    tilt = Tilt({})
    assert tilt.asked("default_registry") == []
    assert [image for image, *_ in tilt.asked("docker_build")] == SERVICES


def test_the_images_are_those_of_the_chart() -> None:
    """Tilt puts its own images in the place of those that have the same name."""
    containers = [
        container
        for each in Tilt({}).objects
        if each["kind"] == "Deployment"
        for container in each["spec"]["template"]["spec"]["containers"]
    ]
    assert {each["image"].partition(":")[0] for each in containers} == {*SERVICES, "redis"}

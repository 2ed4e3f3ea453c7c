"""Finds mistakes in a run file and in what it names, before anything is started.

A sidecar passes over much of what is wrong without a word, and then a task is completed and nobody
is told. What only a sidecar can know, such as whether it has a type, is left to it.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from service_kit.settings import WrongSetting
from tools.resources import components, deliveries, resiliency, yaml_files
from tools.resources.files import ResourceFiles
from tools.resources.services import known_app
from tools.resources.yaml_files import Mistake
from tools.run_file import RunFile, variables

_OF_COMPONENT = re.compile(r"initialization error occurred for (?P<name>\S+) \([^)]*\): ")


def mistakes_of(path: Path) -> list[str]:
    """Return the mistakes in a run file and in the resources that it names, one line each."""
    try:
        run_file = RunFile(path)
    except Mistake as mistake:
        return [str(mistake)]
    found = [line for app in run_file.apps() for line in _of_app(app, run_file)]
    return list(dict.fromkeys(found))  # most files are read for each app


def with_place(words: str, path: Path) -> str:
    """Return what a sidecar said of a component, short, and with the file that it stands in."""
    said = list(_OF_COMPONENT.finditer(words))
    if not said:
        return words
    name = said[-1]["name"]
    what = words[said[-1].end() :]
    for app in RunFile(path).apps():
        for found, _ in ResourceFiles(RunFile(path).resource_folders(app)).components():
            if found.name == name:
                return f"{found.place('metadata', 'name')}: {what}"
    return words


def silent_addresses(path: Path) -> list[str]:
    """Return the addresses of Redis on this machine that nobody listens on, one line each."""
    run_file = RunFile(path)
    return list(
        dict.fromkeys(
            line
            for app in run_file.apps()
            for line in components.silent_addresses(
                ResourceFiles(run_file.resource_folders(app)), app["appID"]
            )
        )
    )


def _of_app(app: Mapping[str, Any], run_file: RunFile) -> Iterator[str]:
    files = ResourceFiles(run_file.resource_folders(app))
    folder = run_file.working_folder(app)
    yield from map(str, files.mistakes)
    yield from _of_configuration(app, run_file)
    yield from components.mistakes(files, app["appID"], folder)
    if files.mistakes:
        return  # what is named may stand in a file that could not be read
    try:
        if known := known_app(app["appID"], variables(app)):
            yield from deliveries.mistakes(known, files, folder)
    except WrongSetting as wrong:
        yield f"{app['appID']} does not take the environment variable {wrong}"
    yield from resiliency.mistakes(files, [each["appID"] for each in run_file.apps()])


def _of_configuration(app: Mapping[str, Any], run_file: RunFile) -> Iterator[str]:
    if name := app.get("configFilePath"):
        try:
            for document in yaml_files.read(run_file.folder / name):
                kind = document.content.get("kind")
                if kind != "Configuration":
                    yield f"{document.place('kind')}: a Configuration is read here, no {kind}"
        except Mistake as mistake:
            yield str(mistake)

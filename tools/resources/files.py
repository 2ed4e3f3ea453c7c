"""The resources that sidecars load, as they stand in files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from service_kit import needs
from tools.processes import shown
from tools.resources import yaml_files
from tools.resources.kinds import Component, Other, Resiliency, Resource, Subscription, parse
from tools.resources.yaml_files import Document, Mistake


class Found(NamedTuple):
    """A resource and where it stands."""

    resource: Resource | Other
    document: Document

    @property
    def name(self) -> str:
        return self.resource.metadata.name

    def is_for(self, app_id: str) -> bool:
        return not self.resource.scopes or app_id in self.resource.scopes

    def place(self, *way: str | int) -> str:
        return self.document.place(*way)

    def metadata_place(self, name: str) -> str:
        """Return where a component says its metadata of this name, or where all of them are."""
        items = self.resource.spec.metadata if isinstance(self.resource, Component) else []
        positions = [i for i, item in enumerate(items) if item.name == name]
        return self.place("spec", "metadata", *positions[:1], "value")


class ResourceFiles:
    """All resources of some folders; `mistakes` says what of them cannot be read."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.found: list[Found] = []
        self.mistakes: list[Mistake] = []
        for folder in folders:
            if folder.is_dir():
                self._read(folder)
            else:
                self.mistakes.append(
                    Mistake(shown(folder), "there is no such folder; see resourcesPaths")
                )

    def _read(self, folder: Path) -> None:
        # As daprd does: no folders in it, and no files of another name.
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix in (".yaml", ".yml"):
                try:
                    for document in yaml_files.read(path):
                        self.found.append(Found(parse(document), document))
                except Mistake as mistake:
                    self.mistakes.append(mistake)

    def components(self) -> Iterator[tuple[Found, Component]]:
        for each in self.found:
            if isinstance(each.resource, Component):
                yield each, each.resource

    def subscriptions(self) -> Iterator[tuple[Found, Subscription]]:
        for each in self.found:
            if isinstance(each.resource, Subscription):
                yield each, each.resource

    def resiliencies(self) -> Iterator[tuple[Found, Resiliency]]:
        for each in self.found:
            if isinstance(each.resource, Resiliency):
                yield each, each.resource

    def offer(self, app_id: str) -> needs.Offer:
        """Return what the sidecar of an app has."""
        return needs.Offer(
            [_component(*each) for each in self.components() if each[0].is_for(app_id)],
            [_subscription(*each) for each in self.subscriptions() if each[0].is_for(app_id)],
            [
                _component(*each)._replace(place=each[0].place("scopes"))
                for each in self.components()
                if not each[0].is_for(app_id)
            ],
        )


def _component(found: Found, component: Component) -> needs.Component:
    return needs.Component(found.name, component.spec.type, found.place("metadata", "name"))


def _subscription(found: Found, subscription: Subscription) -> needs.Subscription:
    spec = subscription.spec
    paths = [spec.routes.default, *(rule.path for rule in spec.routes.rules)]
    return needs.Subscription(
        component=spec.pubsubname,
        topic=spec.topic,
        paths=[path for path in paths if path],
        is_raw=needs.is_raw(spec.metadata),
        is_bulk=spec.bulk_subscribe.enabled,
        places={
            "component": found.place("spec", "pubsubname"),
            "topic": found.place("spec", "topic"),
            "paths": found.place("spec", "routes", "default"),
            "is_bulk": found.place("spec", "bulkSubscribe"),
            "is_raw": found.place("spec", "metadata"),
        },
    )

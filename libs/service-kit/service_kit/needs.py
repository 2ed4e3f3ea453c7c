"""What a service needs of its sidecar, and what of that a sidecar has not."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple, Protocol

RAW_PAYLOAD = "rawPayload"

# What Dapr takes for true in the metadata of a subscription.
_TRUE = ("y", "yes", "true", "t", "on", "1")

STATE, PUBSUB, SECRETS = "state", "pubsub", "secretstores"
"""The kinds of components: the part of their type before the first point."""


class Delivery(Protocol):
    """A topic that the sidecar has to deliver to a path, in bulks of raw payloads."""

    @property
    def component(self) -> str: ...

    @property
    def topic(self) -> str: ...

    @property
    def path(self) -> str: ...


class Names(Protocol):
    """The settings that name components."""

    @property
    def app_id(self) -> str: ...

    @property
    def state_store(self) -> str: ...

    @property
    def pubsub(self) -> str: ...

    @property
    def secret_store(self) -> str: ...


@dataclass(frozen=True)
class Needs:
    """What a service does not work without."""

    app_id: str
    components: Mapping[str, str]
    """The kind of each, by its name."""
    deliveries: Sequence[Delivery]

    @classmethod
    def of(cls, names: Names, deliveries: Sequence[Delivery]) -> "Needs":
        """Return the needs of a service that is delivered to."""
        components = {names.state_store: STATE, names.pubsub: PUBSUB, names.secret_store: SECRETS}
        components |= {each.component: PUBSUB for each in deliveries}
        return cls(names.app_id, components, deliveries)


class Component(NamedTuple):
    """A component that a sidecar has."""

    name: str
    type: str
    place: str = ""
    """Where it is written, if that is known."""


class Subscription(NamedTuple):
    """A subscription that a sidecar has."""

    component: str
    topic: str
    paths: Collection[str]
    is_raw: bool
    is_bulk: bool = True
    """Also where it is not known: the metadata of a sidecar do not tell it."""
    places: Mapping[str, str] = {}
    """Where each of these is written, by its name, as far as that is known."""


@dataclass(frozen=True)
class Offer:
    """What a sidecar has for its service."""

    components: Sequence[Component]
    subscriptions: Sequence[Subscription]
    not_in_scope: Sequence[Component] = field(default_factory=tuple)
    """Components that other sidecars have, as far as they are known."""


def is_raw(metadata: Mapping[str, str]) -> bool:
    """Return whether a subscription with these metadata delivers payloads as they came."""
    return metadata.get(RAW_PAYLOAD, "").lower() in _TRUE


def missing(needs: Needs, offer: Offer) -> list[str]:
    """Return what is not there, or not as it is needed, one sentence each."""
    components = [
        _component(needs, name, kind, offer) for name, kind in sorted(needs.components.items())
    ]
    deliveries = [_delivery(needs, each, offer) for each in needs.deliveries]
    return [sentence for sentence in (*components, *deliveries) if sentence]


def _component(needs: Needs, name: str, kind: str, offer: Offer) -> str | None:
    found = next((each for each in offer.components if each.name == name), None)
    if found and _kind(found) == kind:
        return None
    if found:
        return (
            f"{needs.app_id} needs {name} to be of a type that begins with {kind}.; it is"
            f" {found.type}{_at(found.place)}"
        )
    need = f"{needs.app_id} needs the component {name}"
    for other in offer.not_in_scope:
        if other.name == name:
            return f"{need}; its scopes do not name {needs.app_id}{_at(other.place)}"
    others = {
        each.name: each
        for each in offer.components
        if each.name not in needs.components and _kind(each) == kind
    }
    if close := get_close_matches(name, others, 1, cutoff=0):
        return f"{need}; there is {close[0]}{_at(others[close[0]].place)}"
    there = ", ".join(sorted(each.name for each in offer.components)) or "none"
    return f"{need}; its sidecar has {there}"


def _kind(component: Component) -> str:
    return component.type.partition(".")[0]


def _delivery(needs: Needs, needed: Delivery, offer: Offer) -> str | None:
    others = [each for each in needs.deliveries if each is not needed]
    left: list[tuple[list[str], Subscription | None]] = [
        (_differences(needed, there), there)
        for there in offer.subscriptions
        if not any(_is_for(other, there) for other in others)
    ]
    nothing: tuple[list[str], Subscription | None] = (["there is none"], None)
    differences, nearest = min(left, key=lambda each: len(each[0]), default=nothing)
    if not differences:
        return None
    # One that differs in two things is rather another subscription than a mistake in this one.
    is_it = nearest and (len(differences) == 1 or _is_for(needed, nearest))
    return (
        f"{needs.app_id} needs a subscription to {needed.topic} of {needed.component} that delivers"
        f" to {needed.path}; {' and '.join(differences) if is_it else 'there is none'}"
    )


def _differences(needed: Delivery, there: Subscription) -> list[str]:
    paths = " and ".join(sorted(there.paths)) or "no path"
    of_another = f"one is to {there.topic} of {there.component}"
    checks = {
        "component": (there.component == needed.component, of_another),
        "topic": (there.topic == needed.topic, f"one is to {there.topic}"),
        "paths": (needed.path in there.paths, f"one delivers to {paths}"),
        "is_bulk": (there.is_bulk, "it does not say bulkSubscribe: {enabled: true}"),
        "is_raw": (there.is_raw, f'it does not say metadata: {{{RAW_PAYLOAD}: "true"}}'),
    }
    return [
        f"{otherwise}{_at(there.places.get(name, ''))}"
        for name, (holds, otherwise) in checks.items()
        if not holds
    ]


def _is_for(needed: Delivery, there: Subscription) -> bool:
    same_topic = (there.component, there.topic) == (needed.component, needed.topic)
    return same_topic and needed.path in there.paths


def _at(place: str) -> str:
    return f" ({place})" if place else ""

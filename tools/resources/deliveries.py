"""What our services need and do not have: components, subscriptions, topics, retries, secrets."""

from collections.abc import Iterator
from pathlib import Path

from service_kit.needs import missing
from tools.resources import topic_scopes
from tools.resources.components import secrets_of
from tools.resources.files import Found, ResourceFiles
from tools.resources.kinds import Component, Subscription
from tools.resources.services import Known


def mistakes(known: Known, files: ResourceFiles, folder: Path) -> Iterator[str]:
    """Yield what is wrong with what an app is delivered, and may publish.

    Args:
        folder: that the sidecar runs in.
    """
    lacking = missing(known.needs, files.offer(known.needs.app_id))
    yield from lacking
    if not lacking:  # else one that is not as it is needed is said twice
        yield from _without_route(known, files)
    yield from _refused_topics(known, files)
    yield from _without_dead_letters(known, files)
    yield from _without_retry(known, files)
    yield from _without_token(known, files, folder)


def _delivered(known: Known, files: ResourceFiles) -> Iterator[tuple[Found, Subscription]]:
    """Yield the subscriptions by which an app is delivered what it needs."""
    needed = {(each.component, each.topic) for each in known.needs.deliveries}
    for found, subscription in files.subscriptions():
        topic = (subscription.spec.pubsubname, subscription.spec.topic)
        if found.is_for(known.needs.app_id) and topic in needed:
            yield found, subscription


def _without_route(known: Known, files: ResourceFiles) -> Iterator[str]:
    app_id = known.needs.app_id
    routes = {each.path for each in known.needs.deliveries}
    for found, subscription in files.subscriptions():
        path = subscription.spec.routes.default
        if found.is_for(app_id) and path not in routes:
            place = found.place("spec", "routes", "default")
            yield (
                f"{place}: {app_id} has no route {path or '(none)'}"
                f" and is delivered {subscription.spec.topic}: name other apps in the scopes, or"
                f" mend the route; there is {' and '.join(sorted(routes))}"
            )


def _refused_topics(known: Known, files: ResourceFiles) -> Iterator[str]:
    app_id = known.needs.app_id
    brokers = {
        found.name: (found, each) for found, each in files.components() if found.is_for(app_id)
    }
    wanted = [(each.component, each.topic, topic_scopes.PUBLISH) for each in known.publications]
    for _, subscription in _delivered(known, files):
        spec = subscription.spec
        wanted.append((spec.pubsubname, spec.topic, topic_scopes.SUBSCRIBE))
        if spec.dead_letter_topic:  # by the sidecar, which is held to the scopes of its app
            wanted.append((spec.pubsubname, spec.dead_letter_topic, topic_scopes.PUBLISH))
    for name, topic, scopes in dict.fromkeys(wanted):
        if name in brokers:
            yield from _refused(app_id, topic, scopes, *brokers[name])


def _refused(
    app_id: str, topic: str, scopes: str, found: Found, broker: Component
) -> Iterator[str]:
    if field := topic_scopes.refusing_field(broker, scopes, app_id, topic):
        verb = "publish" if scopes == topic_scopes.PUBLISH else "subscribe"
        yield (
            f"{found.metadata_place(field)}: {app_id} may not {verb} to {topic} of {found.name}:"
            f" name it in {field}"
        )


def _without_dead_letters(known: Known, files: ResourceFiles) -> Iterator[str]:
    wanted = known.dead_letter_topic
    for found, subscription in _delivered(known, files):
        spec = subscription.spec
        if spec.topic != wanted and spec.dead_letter_topic != wanted:
            there = spec.dead_letter_topic or "missing"
            yield (
                f"{found.place('spec', 'deadLetterTopic')}: the deadLetterTopic of {spec.topic} is"
                f" {there}: what the sidecar gives up on is lost; say {wanted}"
            )


def _without_retry(known: Known, files: ResourceFiles) -> Iterator[str]:
    app_id = known.needs.app_id
    retried = {
        name
        for found, each in files.resiliencies()
        if found.is_for(app_id)
        for name, both in each.spec.targets.components.items()
        if both.inbound.retry
    }
    for found, component in files.components():
        is_delivering = any(each.component == found.name for each in known.needs.deliveries)
        # Others hand out again what was not acknowledged; Redis acknowledges what failed.
        if is_delivering and component.spec.type == "pubsub.redis" and found.name not in retried:
            yield (
                f"{found.place('metadata', 'name')}: a message of {found.name} that {app_id} asks"
                " for again is lost: give it a retry in the resiliency, at targets: components:"
                f" {found.name}: inbound"
            )


def _without_token(known: Known, files: ResourceFiles, folder: Path) -> Iterator[str]:
    settings = known.settings
    for found, component in files.components():
        if found.name == settings.secret_store and found.is_for(settings.app_id):
            secrets = secrets_of(component, folder)
            if secrets is not None and settings.app_api_token_secret not in secrets:
                yield (
                    f"{found.metadata_place('secretsFile')}: the secret"
                    f" {settings.app_api_token_secret} is not in that file, so {settings.app_id}"
                    " would refuse its own sidecar"
                )

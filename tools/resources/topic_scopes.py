"""Which apps may use which topics of a pub/sub component, as Dapr decides it.

Source: `IsOperationAllowed` of pkg/runtime/pubsub/adapter.go, and pkg/scopes, of Dapr 1.18.
"""

from tools.resources.kinds import Component

PUBLISH, SUBSCRIBE = "publishingScopes", "subscriptionScopes"


def refusing_field(component: Component, scopes: str, app_id: str, topic: str) -> str | None:
    """Return the metadata that keeps an app from a topic, or None where it is let in.

    Args:
        scopes: `PUBLISH` or `SUBSCRIBE`.
    """
    metadata = {item.name.lower(): str(item.value or "") for item in component.spec.metadata}
    allowed = _topics(metadata.get("allowedtopics", ""))
    if allowed and topic not in allowed:
        return "allowedTopics"
    of_app = _of_app(metadata.get(scopes.lower(), ""), app_id)
    is_protected = topic in _topics(metadata.get("protectedtopics", ""))
    if topic in of_app or not (of_app or is_protected):
        return None
    return scopes


def _topics(value: str) -> set[str]:
    return set(filter(None, value.replace(" ", "").split(",")))


def _of_app(value: str, app_id: str) -> set[str]:
    found = set()
    for scope in value.replace(" ", "").split(";"):
        app, is_scope, topics = scope.partition("=")
        if is_scope and app == app_id:
            found |= set(topics.split("=")[0].split(","))
    return found

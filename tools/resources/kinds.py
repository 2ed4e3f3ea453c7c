"""The fields of Dapr's resources. A sidecar skips a resource of another shape with a warning.

Source: pkg/apis of Dapr 1.18.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from tools.resources.yaml_files import Document, Mistake


class _Fields(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", alias_generator=to_camel, populate_by_name=False
    )


class ObjectMeta(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    namespace: str = ""


class SecretKeyRef(_Fields):
    name: str
    key: str = ""


class Item(_Fields):
    name: str
    value: Any = None
    secret_key_ref: SecretKeyRef | None = None
    env_ref: str = ""


class ComponentSpec(_Fields):
    type: str
    version: str
    ignore_errors: bool = False
    init_timeout: str = ""
    metadata: list[Item] = []


class Auth(_Fields):
    secret_store: str


class Resource(_Fields):
    """What every kind has."""

    api_version: str
    kind: str
    metadata: ObjectMeta
    scopes: list[str] = []


class Component(Resource):
    spec: ComponentSpec
    auth: Auth | None = None


class BulkSubscribe(_Fields):
    enabled: bool = False
    max_messages_count: int = 0
    max_await_duration_ms: int = 0


class Rule(_Fields):
    match: str = ""
    path: str


class Routes(_Fields):
    rules: list[Rule] = []
    default: str = ""


class SubscriptionSpec(_Fields):
    pubsubname: str
    topic: str
    metadata: dict[str, str] = {}
    routes: Routes
    dead_letter_topic: str = ""
    bulk_subscribe: BulkSubscribe = BulkSubscribe()


class Subscription(Resource):
    spec: SubscriptionSpec


class Matching(_Fields):
    http_status_codes: str = Field("", alias="httpStatusCodes")
    grpc_status_codes: str = Field("", alias="gRPCStatusCodes")


class Retry(_Fields):
    policy: str = ""
    duration: str = ""
    max_interval: str = ""
    max_retries: int | None = None
    matching: Matching | None = None


class CircuitBreaker(_Fields):
    max_requests: int = 0
    interval: str = ""
    timeout: str = ""
    trip: str = ""


class Policies(_Fields):
    timeouts: dict[str, str] = {}
    retries: dict[str, Retry] = {}
    circuit_breakers: dict[str, CircuitBreaker] = {}


class PolicyNames(_Fields):
    timeout: str = ""
    retry: str = ""
    circuit_breaker: str = ""
    circuit_breaker_scope: str = ""
    circuit_breaker_cache_size: int = 0


class BothWays(_Fields):
    inbound: PolicyNames = PolicyNames()
    outbound: PolicyNames = PolicyNames()


class Targets(_Fields):
    apps: dict[str, PolicyNames] = {}
    actors: dict[str, PolicyNames] = {}
    components: dict[str, BothWays] = {}


class ResiliencySpec(_Fields):
    policies: Policies
    targets: Targets


class Resiliency(Resource):
    spec: ResiliencySpec


class Other(BaseModel):
    """A kind whose fields are not looked at."""

    model_config = ConfigDict(extra="allow")
    kind: str
    metadata: ObjectMeta
    scopes: list[str] = []


# By what a sidecar tells them apart by; what is of no such pair it passes over without a word.
KINDS: dict[tuple[str, str], type[Resource] | type[Other]] = {
    ("dapr.io/v1alpha1", "Component"): Component,
    ("dapr.io/v2alpha1", "Subscription"): Subscription,
    ("dapr.io/v1alpha1", "Resiliency"): Resiliency,
    ("dapr.io/v1alpha1", "Subscription"): Other,
    ("dapr.io/v1alpha1", "Configuration"): Other,
    ("dapr.io/v1alpha1", "HTTPEndpoint"): Other,
    ("dapr.io/v1alpha1", "MCPServer"): Other,
    ("dapr.io/v1alpha1", "WorkflowAccessPolicy"): Other,
}


def parse(document: Document) -> Resource | Other:
    """Return what a document says.

    Raises:
        Mistake: a sidecar would not read it, or not all of it.
    """
    content = document.content
    if not isinstance(content, dict):
        raise Mistake(document.place(), "no resource of Dapr: it has no fields")
    pair = (str(content.get("apiVersion")), str(content.get("kind")))
    if pair not in KINDS:
        there = "; ".join(sorted(f"{kind} {version}" for version, kind in KINDS))
        raise Mistake(
            document.place("kind"),
            f"a sidecar reads no {pair[1]} {pair[0]}, but {there}",
        )
    try:
        return KINDS[pair].model_validate(content)
    except ValidationError as error:
        raise explained(error, document, KINDS[pair]) from error


def explained(error: ValidationError, document: Document, model: type[BaseModel]) -> Mistake:
    """Return the first complaint of Pydantic as a mistake in a file."""
    # What is misspelt is missing as well.
    errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    first = errors[0]
    way = tuple(first["loc"])
    name = ".".join(str(part) for part in way)
    if first["type"] == "extra_forbidden":
        close = get_close_matches(str(way[-1]), _names_beside(way, model), 1)
        mend = f"; is it {close[0]}?" if close else ""
        return Mistake(document.place(*way), f"{name} is no field that is read{mend}")
    if first["type"] == "missing":
        return Mistake(document.place(*way), f"{name} is missing")
    given = first["input"]
    if first["type"] == "string_type" and isinstance(given, bool | int | float):
        return Mistake(document.place(*way), f'{name} has to be a text: "{str(given).lower()}"')
    what = first["msg"].replace("Input should be", "has to be")
    return Mistake(document.place(*way), f"{name} {what}; it is {given!r}")


def _names_beside(way: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    """Return the fields that are at the place of a field that is not."""
    for part in way[:-1]:
        for name, field in model.model_fields.items():
            if (field.alias or name) == part:
                model = _model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field, also of one that holds many, or may be left out."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)

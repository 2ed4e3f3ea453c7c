"""What a service lacks is said in words that lead to the mistake."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import notification_service.main
import task_api.main
from service_kit.needs import Component, Needs, Offer, Subscription, missing
from tools.resources.services import Delivery, known_app


class Names(NamedTuple):
    app_id: str = "task-api"
    state_store: str = "statestore"
    pubsub: str = "pubsub"
    secret_store: str = "secretstore"


CHANGES, EVENTS = Delivery("changelog", "task-changes"), Delivery("pubsub", "task-events")
NEEDS = Needs.of(Names(), [CHANGES, EVENTS])
COMPONENTS = [
    Component("changelog", "pubsub.kafka"),
    Component("pubsub", "pubsub.kafka"),
    Component("secretstore", "secretstores.kubernetes"),
    Component("statestore", "state.postgresql"),
]
SUBSCRIPTIONS = [
    Subscription(each.component, each.topic, [each.path], is_raw=True) for each in (CHANGES, EVENTS)
]


def test_a_sidecar_that_has_everything_lacks_nothing() -> None:
    more = Component("cache", "state.in-memory")
    rules = Subscription("pubsub", "other", ["/a", "/b"], is_raw=False)
    assert missing(NEEDS, Offer([*COMPONENTS, more], [rules, *SUBSCRIPTIONS])) == []


@pytest.mark.parametrize("gone", range(len(COMPONENTS)))
def test_each_component_that_is_gone_is_named(gone: int) -> None:
    there = [each for each in COMPONENTS if each is not COMPONENTS[gone]]
    (sentence,) = missing(NEEDS, Offer(there, SUBSCRIPTIONS))
    assert sentence.startswith(f"task-api needs the component {COMPONENTS[gone].name}; its sidecar")


def test_a_component_of_another_name_is_shown() -> None:
    there = [*COMPONENTS[:-1], Component("statestor", "state.redis", "components/statestore.yaml")]
    assert missing(NEEDS, Offer(there, SUBSCRIPTIONS)) == [
        "task-api needs the component statestore; there is statestor (components/statestore.yaml)"
    ]


def test_a_component_of_another_kind_is_not_taken() -> None:
    there = [*COMPONENTS[:-1], Component("statestore", "bindings.redis")]
    (sentence,) = missing(NEEDS, Offer(there, SUBSCRIPTIONS))
    assert "of a type that begins with state.; it is bindings.redis" in sentence


def test_no_subscription_at_all_is_said_of_each() -> None:
    assert [each.split("; ")[1] for each in missing(NEEDS, Offer(COMPONENTS, []))] == [
        "there is none",
        "there is none",
    ]


@given(
    st.sampled_from(["component", "topic", "paths", "is_raw", "is_bulk"]),
    st.text("abc-", min_size=1),
)
def test_a_subscription_that_differs_is_shown_with_the_difference(field: str, other: str) -> None:
    values: dict[str, Any] = {"component": other, "topic": other, "paths": [f"/{other}"]}
    wrong = SUBSCRIPTIONS[0]._replace(
        **{field: values.get(field, False)}, places={field: "its file:7"}
    )
    (sentence,) = missing(NEEDS, Offer(COMPONENTS, [wrong, SUBSCRIPTIONS[1]]))
    assert sentence.startswith("task-api needs a subscription to task-changes of changelog")
    assert sentence.endswith("(its file:7)")
    assert field not in values or other in sentence


@pytest.mark.parametrize("app_id", ["task-api", "notification-service"])
def test_make_up_knows_what_the_services_are_delivered(app_id: str) -> None:
    app = {"task-api": task_api.main, "notification-service": notification_service.main}[app_id]
    known = known_app(app_id, {})
    assert known
    assert {(each.component, each.topic, each.path) for each in known.needs.deliveries} == {
        (each.component, each.topic, each.path) for each in app.create_app().state.subscriptions
    }

import asyncio
from uuid import uuid4

from redis import Redis

from service_kit.in_memory_adapters import InMemoryPublisher
from shared_models import CloudEvent
from tests.contract.conftest import Ports
from tests.published import published

TOPIC = "task-events-dead"


def _on_topic(ports: Ports, redis: Redis) -> list[dict[str, object]]:
    if isinstance(ports.publisher, InMemoryPublisher):
        return [event.model_dump(mode="json") for event in ports.publisher.of(TOPIC)]
    return published(redis, TOPIC)


async def test_a_published_event_is_on_the_topic_as_it_was_made(ports: Ports, redis: Redis) -> None:
    event = CloudEvent(
        id=str(uuid4()),
        source="contract",
        type="contract.test",
        subject="thing",
        data={"é": [1, None, {"deep": True}]},
    )
    await ports.publisher.publish(TOPIC, event)
    (found,) = [each for each in _on_topic(ports, redis) if each["id"] == event.id]
    assert {name: found[name] for name in ("source", "type", "subject", "data")} == {
        "source": "contract",
        "type": "contract.test",
        "subject": "thing",
        "data": {"é": [1, None, {"deep": True}]},
    }


async def test_of_many_events_at_once_each_is_on_the_topic_once(ports: Ports, redis: Redis) -> None:
    ids = [str(uuid4()) for _ in range(150)]
    await asyncio.gather(
        *(
            ports.publisher.publish(TOPIC, CloudEvent(id=id, source="contract", type="contract"))
            for id in ids
        )
    )
    found = [each["id"] for each in _on_topic(ports, redis)]
    assert sorted(id for id in found if id in set(ids)) == sorted(ids)

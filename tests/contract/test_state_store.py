import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from service_kit.ports import MOST_BYTES, Conflict, Stored, TooLarge
from tests.contract.conftest import Ports


@pytest.fixture
def key() -> str:
    return f"contract-{uuid4()}"


async def saved(ports: Ports, key: str, value: bytes) -> Stored:
    """Create `key` and return what is stored."""
    await ports.store.save(key, value, None)
    stored = await ports.store.get(key)
    assert stored
    return stored


async def test_a_key_that_was_never_saved_has_nothing(ports: Ports, key: str) -> None:
    assert await ports.store.get(key) is None


@pytest.mark.parametrize("value", [b'{"a": 1}', b"[]", b"text", b'"\xc3\xa9"', b"{" * 100_000])
async def test_a_saved_value_is_got_back_byte_by_byte(ports: Ports, key: str, value: bytes) -> None:
    assert (await saved(ports, key, value)).value == value


async def test_a_value_that_no_sidecar_takes_is_refused_for_good(ports: Ports, key: str) -> None:
    largest, too_large = b"x" * MOST_BYTES, b"x" * (MOST_BYTES + 1)
    with pytest.raises(TooLarge):
        await ports.store.save(key, too_large, None)
    assert (await saved(ports, key, largest)).value == largest


async def test_keys_that_differ_in_case_alone_are_two_keys(ports: Ports, key: str) -> None:
    await saved(ports, f"{key}-ada", b"small")
    assert await ports.store.get(f"{key}-Ada") is None
    await saved(ports, f"{key}-Ada", b"large")
    stored = await ports.store.get_many([f"{key}-ada", f"{key}-Ada"])
    assert [each.value for each in stored if each] == [b"small", b"large"]


async def test_a_save_with_the_present_etag_replaces_the_value_and_the_etag(
    ports: Ports, key: str
) -> None:
    first = await saved(ports, key, b"1")
    await ports.store.save(key, b"2", first.etag)
    second = await ports.store.get(key)
    assert second
    assert second.value == b"2"
    assert second.etag != first.etag


async def test_a_save_of_the_same_value_changes_the_etag(ports: Ports, key: str) -> None:
    first = await saved(ports, key, b"1")
    await ports.store.save(key, b"1", first.etag)
    second = await ports.store.get(key)
    assert second
    assert second.etag != first.etag


async def test_a_save_with_a_stale_etag_conflicts_and_changes_nothing(
    ports: Ports, key: str
) -> None:
    first = await saved(ports, key, b"1")
    await ports.store.save(key, b"2", first.etag)
    with pytest.raises(Conflict):
        await ports.store.save(key, b"3", first.etag)
    assert (await ports.store.get(key) or first).value == b"2"


async def test_a_creation_conflicts_with_what_is_there(ports: Ports, key: str) -> None:
    first = await saved(ports, key, b"1")
    with pytest.raises(Conflict):
        await ports.store.save(key, b"2", None)
    await ports.store.save(key, b"3", first.etag)
    with pytest.raises(Conflict):
        await ports.store.save(key, b"4", None)


async def test_of_many_writers_with_one_etag_one_wins(ports: Ports, key: str) -> None:
    first = await saved(ports, key, b"0")
    outcomes = await asyncio.gather(
        *(ports.store.save(key, str(n).encode(), first.etag) for n in range(1, 30)),
        return_exceptions=True,
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 28
    winner = outcomes.index(None) + 1
    assert (await ports.store.get(key) or first).value == str(winner).encode()


async def test_a_conflict_in_a_batch_is_that_of_its_own_key_alone(ports: Ports, key: str) -> None:
    await ports.store.save(f"{key}-taken", b"1", None)
    names = [f"{key}-{n}" for n in range(20)]
    outcomes = await asyncio.gather(
        *(ports.store.save(name, b"2", None) for name in [*names, f"{key}-taken"]),
        return_exceptions=True,
    )
    assert outcomes[:-1] == [None] * 20
    assert isinstance(outcomes[-1], Conflict)
    assert all(await ports.store.get_many(names))


async def test_many_keys_are_got_in_their_order(ports: Ports, key: str) -> None:
    names = [f"{key}-{n}" for n in range(30)]
    for name in names[::2]:
        await ports.store.save(name, name.encode(), None)
    stored = await ports.store.get_many(names)
    assert [each.value.decode() if each else None for each in stored] == [
        name if number % 2 == 0 else None for number, name in enumerate(names)
    ]


async def test_values_that_together_are_too_large_for_one_answer_are_got(
    ports: Ports, key: str
) -> None:
    names = [f"{key}-{n}" for n in range(12)]
    for name in names:
        await ports.store.save(name, b"x" * 900_000, None)
    assert all(await ports.store.get_many(names))


async def test_a_deleted_key_is_gone_and_may_be_deleted_again(ports: Ports, key: str) -> None:
    stored = await saved(ports, key, b"1")
    await ports.store.delete(key, stored.etag)
    assert await ports.store.get(key) is None
    await ports.store.delete(key, stored.etag)


async def test_a_deletion_with_a_stale_etag_conflicts(ports: Ports, key: str) -> None:
    stored = await saved(ports, key, b"1")
    await ports.store.save(key, b"2", stored.etag)
    with pytest.raises(Conflict):
        await ports.store.delete(key, stored.etag)
    assert await ports.store.get(key)


async def test_a_value_with_a_ttl_can_be_read_and_replaced(ports: Ports, key: str) -> None:
    await ports.store.save(key, b"1", None, timedelta(minutes=1))
    stored = await ports.store.get(key)
    assert stored
    await ports.store.save(key, b"2", stored.etag, timedelta(minutes=1))

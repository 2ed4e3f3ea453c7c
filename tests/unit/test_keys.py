"""Two names never share a record."""

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_service.preferences import Preferences
from service_kit.in_memory_adapters import InMemoryStateStore
from service_kit.keys import digest, key_part
from service_kit.ports import Stored
from service_kit.records import Records
from shared_models import Notification
from shared_models.moments import now

odd_names = st.sampled_from(["a b", "ann@example.com", "x" * 101, "é", "~", "", "a/b", "ann"])
short_forms = st.sampled_from([digest, key_part, lambda name: key_part(name)[1:]])
names = st.text(min_size=1) | odd_names


@st.composite
def related_names(draw: st.DrawFn) -> list[str]:
    """Names, the forms in which keys have them, the forms of those, and so on."""
    found = [draw(names)]
    for _ in range(draw(st.integers(1, 3))):
        found.append(draw(short_forms)(found[-1]))
    return found


@given(related_names())
def test_two_names_have_two_keys(names: list[str]) -> None:
    distinct = set(names)
    assert len({key_part(name) for name in distinct}) == len(distinct)


@given(st.from_regex(r"\A[A-Za-z0-9._:-]{1,100}\Z"))
def test_a_name_that_every_store_takes_is_its_own_key(name: str) -> None:
    assert key_part(name) == name


@given(st.text())
def test_a_key_has_what_every_store_takes(name: str) -> None:
    assert len(key_part(name)) <= 100
    assert re.fullmatch(r"[A-Za-z0-9._:~-]+", key_part(name))


@given(related_names())
async def test_two_people_have_settings_of_their_own(names: list[str]) -> None:
    preferences = Preferences(InMemoryStateStore())
    for name in names:
        await preferences.put(name, {"name": name})
    for name in names:
        assert await preferences.get(name) == {"name": name}


@given(related_names())
async def test_nobody_gets_settings_of_somebody_else(names: list[str]) -> None:
    preferences = Preferences(InMemoryStateStore())
    for name in dict.fromkeys(names):
        assert await preferences.get(name) is None
        await preferences.put(name, {"name": name})


@pytest.mark.parametrize("user", ["ada", "Ada-5", "ann@example.com", "a b", "x" * 101])
async def test_settings_stored_before_are_found(user: str) -> None:
    store = InMemoryStateStore()
    safe = user in ("ada", "Ada-5")
    before = user if safe else hashlib.sha256(user.encode()).hexdigest()[:32]
    store.values[f"preferences-{before}"] = Stored(json.dumps({"a": 1}).encode(), "1")
    preferences = Preferences(store)
    assert await preferences.get(user) == {"a": 1}
    await preferences.put(user, {"a": 2})
    assert await preferences.get(user) == {"a": 2}


async def test_a_name_like_a_digest_does_not_find_what_was_stored_under_one() -> None:
    store, long_name = InMemoryStateStore(), "a b"
    digest = hashlib.sha256(long_name.encode()).hexdigest()[:32]
    store.values[f"preferences-{digest}"] = Stored(b"{}", "1")
    assert await Preferences(store).get(digest) is None


async def test_a_group_named_like_the_page_of_another_is_a_group_of_its_own() -> None:
    records = Records(InMemoryStateStore(), "notification", Notification)
    groups = ["task-a", "task-a-0", "task-a-1", "task-a-0-0"]
    for number in range(300):  # more than a page
        for group in groups:
            id = f"{group}:{number}"
            await records.add(id, _notification(id), group=group)
    for group in groups:
        cursor, found = None, list[str]()
        while True:
            page = await records.newest_first(100, cursor, group=group)
            found += [each.id for each in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == [f"{group}:{number}" for number in reversed(range(300))]


def _notification(id: str) -> Notification:
    return Notification(id=id, type="t", task_id="a", message="m", created_at=now())

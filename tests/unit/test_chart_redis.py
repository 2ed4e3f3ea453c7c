"""The chart's Redis, run here as its container runs it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from tests.eventually import eventually
from tools import parts
from tools.chart_checks import CHART, render
from tools.ports import free_ports

NO_RETRIES = Retry(NoBackoff(), 0)
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def rendered(kind: str, name: str, *values: str) -> Any:
    return next(
        each
        for each in yaml.safe_load_all(render(None, *values))
        if each and (each["kind"], each["metadata"]["name"]) == (kind, name)
    )


def redis_script(*values: str) -> str:
    """Return what the container of Redis has its shell run."""
    deployment = rendered("Deployment", "redis", *values)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c"]
    (script,) = container["args"]
    return str(script)


@contextmanager
def running(folder: Path, password: str) -> Iterator[Redis]:
    """Run the script, but for its folders and where it listens, with `password` in its file."""
    port = next(free_ports())
    folder.mkdir(exist_ok=True)
    (folder / "password").write_text(password)
    script = (
        redis_script()
        .replace("/etc/redis/password", str(folder / "password"))
        .replace("dir /data\n", f"dir {folder}\nport {port}\nbind 127.0.0.1\n")
    )
    path = f"{parts.redis_server().parent}:{os.environ['PATH']}"
    process = psutil.Popen(
        ["sh", "-c", script], env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL
    )
    try:
        with Redis(port=port, password=password, retry=NO_RETRIES) as client:
            eventually(lambda: answers(client))
            assert process.name() == "redis-server"  # not a shell, which would get its signals
            yield client
    finally:
        process.terminate()
        process.wait(10)


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except AuthenticationError:
        raise
    except RedisError:
        return False


@pytest.mark.parametrize("password", ["plain", "two words", "'\"$(id)`\\#", "pässwörd", "line\n"])
def test_its_password_may_have_any_characters(tmp_path: Path, password: str) -> None:
    with running(tmp_path, password) as redis:
        port = redis.connection_pool.connection_kwargs["port"]
        stranger = Redis(port=port, retry=NO_RETRIES)
        with stranger, pytest.raises(AuthenticationError):
            stranger.ping()


def test_what_does_not_fit_is_refused_and_what_is_there_stays(tmp_path: Path) -> None:
    with running(tmp_path, "password") as redis:
        assert redis.config_get("maxmemory")["maxmemory"] == str(256 * 2**20)
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        redis.set("before", "kept")
        redis.config_set("maxmemory", 1)
        with pytest.raises(RedisError, match="maxmemory"):
            redis.set("after", "refused")
    with running(tmp_path, "password") as redis:
        assert redis.get("before") == b"kept"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    number=st.one_of(
        st.integers(1, 10**6).map(str),
        st.decimals("0.01", "1000", places=2).map(str),
    ),
    unit=st.sampled_from(sorted(UNITS)),
)
@example(number="512", unit="Mi")
@example(number="1.5", unit="Gi")
@example(number="1e9", unit="")
def test_its_data_get_half_of_any_limit(number: str, unit: str) -> None:
    limit = Fraction(number) * UNITS[unit]
    script = redis_script("--set-string", f"redis.resources.limits.memory={number}{unit}")
    (maxmemory,) = [line for line in script.splitlines() if line.startswith("maxmemory ")]
    assert abs(int(maxmemory.split()[1]) - limit / 2) <= 1


def test_the_same_secrets_render_the_same_chart() -> None:
    """Argo CD compares what it rendered with what it rendered before."""
    values = CHART / "ci" / "openshift.yaml"
    assert render(values) == render(values)
    assert render() != render(), "without Secrets of its own, a chart is to have random tokens"

"""What each layer of a save takes by itself, one call after the other.

The SDK and a bare gRPC stub call the same sidecar, whose store is Redis or none, and Redis is also
asked without a sidecar. The differences are the layers.
"""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import grpc
from dapr.aio.clients import DaprClient
from dapr.conf import settings as dapr_settings
from dapr.proto import api_service_v1, api_v1, common_v1

from benchmarks import wrk
from benchmarks.client import TASK
from benchmarks.measurements import Layer
from benchmarks.systems import DIRECT, EMPTY, NAIVE, OURS, Comparators, ours
from benchmarks.throughput import POST, REQUESTS, SAVE_ALONE
from tools.local_system import LocalSystem

# About as long as a new task's document.
DOCUMENT = json.dumps({**TASK, "history": ["x" * 600]}).encode()
KEY = "layers-probe"

REDIS_SAVE = "Redis alone: HSET of a document"
REDIS_PUBLISH = "Redis alone: XADD of an event"
SIDECAR_SAVE = "gRPC and sidecar: save to a store that costs nothing"
STORE_SAVE = "gRPC and sidecar: save to Redis"
SIDECAR_PUBLISH = "gRPC and sidecar: publish to Redis"
SDK_SAVE = "the SDK's client: save to Redis"
HTTP_EMPTY = "HTTP: POST /tasks of empty"
HTTP_DIRECT = "HTTP: POST /tasks of direct"
HTTP_NAIVE_SAVE = "HTTP: naive, the save alone"
HTTP_OURS = "HTTP: POST /tasks of ours"


class Call(NamedTuple):
    p50_ms: float
    caller_cpu_ms: float | None = None

    @classmethod
    def of(cls, latencies: Sequence[float], cpu_seconds: float) -> "Call":
        return cls(1000 * median(latencies), 1000 * cpu_seconds / len(latencies))


def measure(
    folder: Path, *, calls: int, rounds: int, progress: Callable[[str], None]
) -> list[Layer]:
    """Return what each layer took, in every round."""
    found: dict[str, Layer] = {}
    with (
        Comparators(folder / "comparators") as comparators,
        LocalSystem.for_test(folder / "ours") as system,
    ):
        targets = {OURS: ours(system)}
        for name in (NAIVE, DIRECT, EMPTY):
            targets[name] = comparators.start(name)
        overall = {
            HTTP_EMPTY: (targets[EMPTY], POST),
            HTTP_DIRECT: (targets[DIRECT], POST),
            HTTP_NAIVE_SAVE: (targets[NAIVE], SAVE_ALONE),
            HTTP_OURS: (targets[OURS], POST),
        }
        for round in range(rounds + 1):
            measured = {
                REDIS_SAVE: _redis(comparators, calls, "HSET", KEY, "data", DOCUMENT),
                REDIS_PUBLISH: _redis(
                    comparators, calls, "XADD", "layers-events", "*", "data", DOCUMENT
                ),
                **asyncio.run(_sidecar(comparators, calls)),
            }
            for name, (target, work) in overall.items():
                burst = wrk.run(target.url, REQUESTS[work], 1, 1)
                burst.refuse_errors(REQUESTS[work], target.url)
                measured[name] = Call(burst.p50_ms)
            if round > 0:  # the first is to get warm
                for name, call in measured.items():
                    layer = found.setdefault(name, Layer(name=name, p50_ms=[]))
                    layer.p50_ms.append(call.p50_ms)
                    if call.caller_cpu_ms is not None:
                        layer.caller_cpu_ms.append(call.caller_cpu_ms)
    progress("layers measured")
    return list(found.values())


def _redis(comparators: Comparators, calls: int, *words: str | bytes) -> Call:
    """Return what a command takes over a plain socket: a Redis client takes time itself."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    command = b"*%d\r\n" % len(parts)
    command += b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    latencies, cpu = [], time.process_time()
    with socket.create_connection(("127.0.0.1", comparators.ports.redis)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(calls):
            began = time.perf_counter()
            peer.sendall(command)
            answer = peer.recv(4096)
            latencies.append(time.perf_counter() - began)
            if answer.startswith(b"-"):
                raise RuntimeError(f"Redis refused {words[0]!r}: {answer!r}")
    return Call.of(latencies, time.process_time() - cpu)


async def _sidecar(comparators: Comparators, calls: int) -> dict[str, Call]:
    address = comparators.sidecar_address(NAIVE)
    dapr_settings.DAPR_HTTP_PORT = comparators.ports.apps[NAIVE]["daprHTTPPort"]

    async with grpc.aio.insecure_channel(address) as channel, DaprClient(address) as client:
        stub = api_service_v1.DaprStub(channel)

        def save(store: str) -> Callable[[], Awaitable[object]]:
            states = [common_v1.StateItem(key=KEY, value=DOCUMENT)]
            return lambda: stub.SaveState(api_v1.SaveStateRequest(store_name=store, states=states))

        return {
            SIDECAR_SAVE: await _repeated(calls, save("no-store")),
            STORE_SAVE: await _repeated(calls, save("statestore")),
            SIDECAR_PUBLISH: await _repeated(
                calls,
                lambda: stub.PublishEvent(
                    api_v1.PublishEventRequest(
                        pubsub_name="pubsub",
                        topic="layers-events",
                        data=DOCUMENT,
                        data_content_type="application/json",
                    )
                ),
            ),
            SDK_SAVE: await _repeated(
                calls, lambda: client.save_state("statestore", KEY, DOCUMENT)
            ),
        }


async def _repeated(calls: int, call: Callable[[], Awaitable[object]]) -> Call:
    latencies, cpu = [], time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        latencies.append(time.perf_counter() - began)
    return Call.of(latencies, time.process_time() - cpu)

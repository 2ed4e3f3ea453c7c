"""The HTTP server of a service, and how it stops."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import uvicorn


class DrainingServer(uvicorn.Server):
    """Goes on answering for a while after SIGTERM, and sends its clients elsewhere.

    Who balances the load, such as a Kubernetes Service, learns at about the same moment as this
    process that it is to stop, and needs a while to follow; and a connection that is kept alive
    stays with the process that it was made to. So answers say `Connection: close` meanwhile.

    Args:
        drain_for: time from SIGTERM until no request is taken any more; with 0 there is none.
            A second SIGTERM, and Ctrl-C, end it.
    """

    def __init__(self, config: uvicorn.Config, drain_for: timedelta) -> None:
        super().__init__(config)
        self._drain_seconds = drain_for.total_seconds()
        self._drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or not self._drain_seconds or self._drained_at is not None:
            super().handle_exit(sig, frame)
            return
        self._drained_at = time.monotonic() + self._drain_seconds
        self.config.encoded_headers.append((b"connection", b"close"))  # sent from the next tick on

    async def on_tick(self, counter: int) -> bool:
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)


@contextmanager
def called_at_stop(endings: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Call each of `endings` as soon as the process is told to stop, and in any case at the end.

    The server ends the application only after its last response, and one that lasts until the
    client goes would never be the last.
    """

    def end() -> None:
        for each in endings:
            each()

    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        end()
        return
    loop = asyncio.get_running_loop()
    servers_own = {sig: signal.getsignal(sig) for sig in (signal.SIGTERM, signal.SIGINT)}

    def stop(sig: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        own = servers_own[signal.Signals(sig)]
        if callable(own):
            own(sig, frame)

    for sig in servers_own:
        signal.signal(sig, stop)
    try:
        yield
    finally:
        for sig, own in servers_own.items():
            signal.signal(sig, own)
        end()

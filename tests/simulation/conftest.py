"""Processes that explore, so that all processors do and nothing of it shows elsewhere."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.exploration import prepare_worker

REPORT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def workers() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(
        os.cpu_count(), multiprocessing.get_context("spawn"), prepare_worker
    ) as workers:
        yield workers
        workers.shutdown(cancel_futures=True)


@pytest.fixture
def report(pytestconfig: pytest.Config) -> list[str]:
    """Lines to be shown when all tests are done."""
    return pytestconfig.stash.setdefault(REPORT, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(REPORT, []):
        terminalreporter.write_line(line)

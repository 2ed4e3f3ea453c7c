"""The logs of an app's pods, kept when the pods are gone."""

import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from tests.cluster.cluster import CommandFailed, Namespace

LOOKS_EVERY_SECONDS = 3


class FollowedLogs:
    """Follows every container of an app into a file of its own, while its context is entered.

    Each container is followed once and never again, so no line is there twice; the last lines of
    one whose log went away together with its pod may be missing.
    """

    def __init__(self, namespace: Namespace, app: str, folder: Path) -> None:
        self._namespace = namespace
        self._app = app
        self._folder = folder
        self._followers: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_following)

    def __enter__(self) -> "FollowedLogs":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for follower in self._followers.values():
            follower.kill()
            follower.wait()

    def _keep_following(self) -> None:
        while not self._ended.is_set():
            with suppress(CommandFailed):  # the next look may have more luck
                self._follow_new_ones()
            self._ended.wait(LOOKS_EVERY_SECONDS)

    def _follow_new_ones(self) -> None:
        selector = f"--selector=app.kubernetes.io/name={self._app}"
        for pod in self._namespace.get("pods", selector)["items"]:
            for status in pod["status"].get("containerStatuses", []):
                id = status.get("containerID", "").rpartition("/")[2]
                runs = status["name"] == self._app and "running" in status["state"]
                if runs and id not in self._followers:
                    self._followers[id] = self._follow(pod["metadata"]["name"], id)

    def _follow(self, pod: str, id: str) -> subprocess.Popen[bytes]:
        command = ["kubectl", "--namespace", self._namespace.name, "logs", "--follow"]
        with (self._folder / f"{id}.log").open("wb") as file:
            return subprocess.Popen(
                [*command, pod, f"--container={self._app}"],
                stdout=file,
                stderr=subprocess.DEVNULL,
            )

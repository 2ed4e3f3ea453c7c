"""From a task to its notification, in a running release: `helm test`.

Runs on the standard library, in the image of task-api.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

TASKS = "http://task-api/tasks"
NOTIFICATIONS = "http://notification-service/notifications"
PATIENCE_SECONDS = 30


def main() -> None:
    task = call("POST", TASKS, {"title": "Test of the release"})
    print(f"created task {task['id']}", flush=True)
    try:
        call("PUT", f"{TASKS}/{task['id']}/status?status=completed")
        print("completed it", flush=True)
        seconds = wait_for_notification(task["id"])
        print(f"notification-service lists its notification, {seconds:.1f} s later", flush=True)
    finally:
        call("DELETE", f"{TASKS}/{task['id']}")
        print("deleted it", flush=True)


def wait_for_notification(task_id: str) -> float:
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_SECONDS:
        if call("GET", f"{NOTIFICATIONS}?task_id={task_id}")["items"]:
            return time.monotonic() - began
        time.sleep(0.2)
    sys.exit(
        f"There is no notification of task {task_id} after {PATIENCE_SECONDS} s: see the logs of"
        " deployment/task-api and deployment/notification-service, containers daprd too."
    )


def call(method: str, url: str, body: object = None) -> Any:
    """Return what the service answers; it is asked again while it cannot be reached or is busy."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            problem = f"answered {error.code}: {error.read().decode(errors='replace')}"
            if error.code != 503 or time.monotonic() > deadline:
                sys.exit(f"{method} {url} {problem}")
        except OSError as error:
            problem = f"did not answer: {error}"
            if time.monotonic() > deadline:
                sys.exit(f"{method} {url} {problem}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()

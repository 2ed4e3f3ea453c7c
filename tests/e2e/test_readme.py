"""The README's curl lines print what it says."""

import re
import subprocess
import time

from tools.local_system import ROOT, LocalSystem

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VARIES = [(UUID, "<id>"), (r"[0-9a-f]{32}", "<id>"), (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>")]


def _examples() -> list[tuple[str, str]]:
    """Return the commands of the README's console, each with its output."""
    console = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert console
    parts = [part.partition("\n") for part in console[1].split("$ ")[1:]]
    return [(command, output) for command, _, output in parts]


def _without_what_varies(text: str) -> str:
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return text


def test_the_curl_lines_of_the_readme_print_what_it_says(system: LocalSystem) -> None:
    (example_id,) = set(re.findall(UUID, "".join(command for command, _ in _examples())))
    task_id = example_id
    for command, expected in _examples():
        if "/notifications" in command:
            time.sleep(1)  # the time in which the README's reader finds it listed
        command = command.replace(example_id, task_id)
        for port, app_id in (("8000", "task-api"), ("8001", "notification-service")):
            command = command.replace(f"http://localhost:{port}", system.url(app_id))
        answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert _without_what_varies(answer.stdout.strip()) == _without_what_varies(expected.strip())
        if "POST" in command:
            found = re.search(UUID, answer.stdout)
            assert found
            task_id = found[0]

"""Copies of dapr.yaml and what it names, with other ports and folders: each test has its own."""

from pathlib import Path

import yaml

from tools.ports import HERE, REDIS_PORT, Ports


def copied(run_file: Path, state: Path, ports: Ports, redis_port: int) -> Path:
    """Write a run file and its resources with other ports and paths to `state`.

    Args:
        redis_port: where the components find Redis.

    Returns:
        The run file that was written.
    """
    content = yaml.safe_load(run_file.read_text())
    common = content["common"]
    resources = state / "components"
    resources.mkdir(parents=True, exist_ok=True)
    for source in (run_file.parent / common["resourcesPaths"][0]).glob("*.yaml"):
        text = source.read_text()
        text = text.replace(f"{HERE}:{REDIS_PORT}", f"{HERE}:{redis_port}")
        (resources / source.name).write_text(text.replace(".local/", f"{state}/"))
    config = run_file.parent / common["configFilePath"]
    (state / config.name).write_text(config.read_text().replace(".local/", f"{state}/"))
    common["resourcesPaths"] = [str(resources)]
    common["configFilePath"] = str(state / config.name)
    for app in content["apps"]:
        app.update(ports.apps[app["appID"]])
        app["command"] = [str(run_file.parent / app["command"][0]), *app["command"][1:]]
    target = state / run_file.name
    target.write_text(yaml.safe_dump(content))
    return target

"""What `make up` says when it cannot do its work: the thing, the place and the mend."""

import os
import socket
import sys
from pathlib import Path

import pytest

from tools import parts
from tools.local_system import CannotStart, LocalSystem
from tools.tokens import SECRETS, tokens_in


def _program(folder: Path, name: str, version: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {name} version {version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "serves"), [("1.17.9", False), ("1.18.0", True), ("1.18.5", True), ("2.0", True)]
)
def test_an_installed_program_is_taken_when_its_version_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, serves: bool
) -> None:
    program = _program(tmp_path, "daprd", version)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parts._installed("daprd", parts.OLDEST_DAPR) == (program if serves else None)


def test_a_program_in_the_dapr_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".dapr" / "bin"
    folder.mkdir(parents=True)
    program = _program(folder, "daprd", "1.18.4")
    (folder / "scheduler").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert parts.daprd() == program
    assert parts.scheduler() == folder / "scheduler"


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("dial tcp: lookup proxy.invalid: no such host", "no network"),
        ("write /x: no space left on device", "disk is full"),
        ("undefined: x", ""),
    ],
)
def test_a_failed_build_says_why_and_what_to_do(tmp_path: Path, output: str, cause: str) -> None:
    with pytest.raises(parts.PartMissing) as failure:
        parts._run_showing_time(
            "Building daprd",
            [sys.executable, "-c", f"print({output!r}); raise SystemExit(1)"],
            cwd=tmp_path,
            environment=dict(os.environ),
            mend="Or install daprd yourself.",
        )
    message = str(failure.value)
    assert output in message
    assert cause in message
    assert "install daprd yourself" in message


def test_a_cache_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(parts, "CACHE", tmp_path / "file" / "cache")
    with pytest.raises(parts.PartMissing, match="XDG_CACHE_HOME"):
        parts.cached("part", lambda target: target.touch())


def test_a_part_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CACHE", tmp_path)
    made: list[Path] = []

    def make(target: Path) -> None:
        made.append(target)
        target.touch()

    assert parts.cached("part", make) == parts.cached("part", make) == tmp_path / "part"
    assert len(made) == 1


def test_a_program_that_may_not_be_run_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "daprd"
    program.touch(mode=0o600)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(parts.PartMissing, match=r"daprd cannot be run: .* another user: remove it"):
        parts.runnable(program)


def test_a_program_from_a_wheel_is_made_one(tmp_path: Path) -> None:
    program = _program(tmp_path, "redis-server", "6.2")
    program.chmod(0o644)
    assert os.access(parts.runnable(program), os.X_OK)


def test_a_taken_port_is_named_with_its_user_and_its_holder(tmp_path: Path) -> None:
    system = LocalSystem.for_test(tmp_path)
    with (
        socket.create_server(("127.0.0.1", system.ports.redis)),
        pytest.raises(CannotStart) as failure,
    ):
        system._refuse_taken_ports()
    message = str(failure.value)
    assert f"Port {system.ports.redis}, for Redis, is taken by" in message
    assert f"process {os.getpid()}" in message
    assert "make down" in message


def test_tokens_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    first = tokens_in(tmp_path)
    assert first == tokens_in(tmp_path)
    assert set(first) == {"app-api-token", "dapr-api-token"}
    assert (tmp_path / SECRETS).stat().st_mode & 0o077 == 0


def test_a_secret_of_ones_own_is_kept(tmp_path: Path) -> None:
    (tmp_path / SECRETS).write_text('{"smtp-password": "x", "app-api-token": "mine"}')
    assert tokens_in(tmp_path)["app-api-token"] == "mine"
    assert "smtp-password" in (tmp_path / SECRETS).read_text()


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_broken_secrets_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / SECRETS).write_text(text)
    with pytest.raises(ValueError, match=r"secrets\.json.*remove it"):
        tokens_in(tmp_path)

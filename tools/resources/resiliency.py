"""Mistakes in resiliency: names of what is not there. Dapr passes over them without a word."""

from collections.abc import Collection, Iterator

from tools.resources.files import Found, ResourceFiles
from tools.resources.kinds import Policies, PolicyNames, Resiliency
from tools.resources.yaml_files import Way

# pkg/resiliency/resiliency.go of Dapr 1.18: policies of these names need not be written.
_BUILT_IN = "Default"


def mistakes(files: ResourceFiles, app_ids: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the resiliency.

    Args:
        app_ids: the apps that there are.
    """
    components = {found.name for found, _ in files.components()}
    for found, resiliency in files.resiliencies():
        targets = resiliency.spec.targets
        yield from _unknown(found, "component", ("components",), targets.components, components)
        yield from _unknown(found, "app", ("apps",), targets.apps, app_ids)
        for way, names in _named(resiliency):
            yield from _policies(found, way, names, resiliency.spec.policies)


def _named(resiliency: Resiliency) -> Iterator[tuple[Way, PolicyNames]]:
    targets = resiliency.spec.targets
    for name, names in targets.apps.items():
        yield ("apps", name), names
    for name, both in targets.components.items():
        yield ("components", name, "inbound"), both.inbound
        yield ("components", name, "outbound"), both.outbound


def _policies(found: Found, way: Way, names: PolicyNames, policies: Policies) -> Iterator[str]:
    yield from _unknown(found, "timeout", way, [names.timeout], policies.timeouts)
    yield from _unknown(found, "retry", way, [names.retry], policies.retries)
    breakers = policies.circuit_breakers
    yield from _unknown(found, "circuitBreaker", way, [names.circuit_breaker], breakers)


def _unknown(
    found: Found, what: str, way: Way, named: Collection[str], there: Collection[str]
) -> Iterator[str]:
    for name in named:
        if name and name not in there and not name.startswith(_BUILT_IN):
            last = what if what not in ("component", "app") else name
            instead = ", ".join(sorted(there)) or "none"
            place = found.place("spec", "targets", *way, last)
            yield f"{place}: there is no {what} {name}; there is {instead}"

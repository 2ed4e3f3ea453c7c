"""YAML with the line of everything in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.processes import shown

Way = tuple[str | int, ...]
"""The keys and positions that lead to a value."""


class Mistake(Exception):
    """Something in a file that has to be mended: the place, what is wrong, and often the mend."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")


@dataclass(frozen=True)
class Document:
    """A YAML document."""

    path: Path
    content: Any
    lines: dict[Way, int]

    def place(self, *way: str | int) -> str:
        """Return the file and line of a value, or of the nearest one around it."""
        while way and way not in self.lines:
            way = way[:-1]
        return f"{shown(self.path)}:{self.lines[way]}"


def read(path: Path) -> Iterator[Document]:
    """Yield the documents of a file that say something.

    Raises:
        Mistake: the file cannot be read, is no YAML, or has a key twice.
    """
    try:
        for node in list(yaml.compose_all(path.read_text(), yaml.SafeLoader)):
            if node is not None:
                lines: dict[Way, int] = {}
                content = _value(node, (), lines, path)
                yield Document(path, content, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise Mistake(f"{shown(path)}{where}", f"no YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Mistake(shown(path), f"cannot be read: {error}") from error


def _value(node: yaml.Node, way: Way, lines: dict[Way, int], path: Path) -> Any:
    lines.setdefault(way, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*way, i), lines, path) for i, each in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        content = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in content:
                raise Mistake(f"{shown(path)}:{line}", f"{key} is there twice: remove one")
            lines[*way, key] = line
            content[key] = _value(value_node, (*way, key), lines, path)
        return content
    # What the resolver of YAML makes of a scalar: a number, a boolean, a text, nothing.
    return yaml.SafeLoader("").construct_object(node, deep=True)

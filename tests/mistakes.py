"""The table of docs/mistakes.md: mistakes that people make, and what `make up` says."""

import re

from tools.local_system import ROOT

_PARTS = (ROOT / "docs" / "mistakes.md").read_text().split("\n## ")


def _table(title: str) -> dict[str, str]:
    (part,) = (each for each in _PARTS if each.startswith(title))
    return dict(re.findall(r"^\| (.+?) \| `` (.+?) `` \|$", part, re.MULTILINE))


TOLD_AT_ONCE = _table("Before anything is started")
TOLD_BY_WHAT_ENDS = _table("By what does not start")

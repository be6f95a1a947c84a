"""What a page of `docs/verify` says: the files to write, and how each request is answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.tree import ROOT

FOLDER = ROOT / "docs/verify"
FILE = re.compile(r"^<!-- file: (\S+) -->\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"^\| ([^|]+) \| (\d{3}(?: or \d{3})?) \|", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page, by its name without `.md`."""

    name: str
    text: str

    @classmethod
    def named(cls, name: str, folder: Path = FOLDER) -> "Page":
        """Read a page."""
        return cls(name, (folder / f"{name}.md").read_text())

    @property
    def files(self) -> Mapping[str, str]:
        """The files it tells people to write, by name."""
        return dict(FILE.findall(self.text))

    @property
    def answers(self) -> Mapping[str, set[int]]:
        """The status of the answer to each kind of request of its table; some depend on when."""
        found = ANSWER.findall(self.text)
        return {request: {int(one) for one in status.split(" or ")} for request, status in found}

    def write(self, folder: Path, changes: Mapping[str, str]) -> None:
        """Write its files, each of `changes` (what stands there: what is to) made wherever it occurs."""
        for old in changes:
            assert any(old in text for text in self.files.values()), f"{self.name}: no {old}"
        for name, text in self.files.items():
            written = text
            for old, new in changes.items():
                written = written.replace(old, new)
            (folder / name).write_text(written)

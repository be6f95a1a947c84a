"""SQL is source: named queries, one `.sql` file for each noun, each with a sentence of purpose.

-- name: rotate
-- Move a session to its child, if the presented token is still the current one.
update sessions set ...
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

_HEAD = re.compile(r"^-- name: ([a-z_0-9]+)\n-- (.+\.)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One statement; identity is its equality, so it can key a table of prepared statements."""

    name: str
    purpose: str
    sql: str
    operation: str = ""
    """What the metrics know it by: its file and its name."""


def load_queries(package: str, filename: str) -> Mapping[str, Query]:
    """Read the named queries of `filename` inside `package`.

    Raises `ValueError` for a file with text before the first name, or a name used twice.
    """
    text = resources.files(package).joinpath(filename).read_text(encoding="utf-8")
    heads = list(_HEAD.finditer(text))
    if not heads or text[: heads[0].start()].strip():
        raise ValueError(f"{package}/{filename}: every query starts with its name and purpose")
    noun = filename.removesuffix(".sql")
    ends = [head.start() for head in heads[1:]] + [len(text)]
    queries = [
        Query(head[1], head[2], text[head.end() : end].strip().rstrip(";"), f"{noun}.{head[1]}")
        for head, end in zip(heads, ends, strict=True)
    ]
    named = {query.name: query for query in queries}
    if len(named) < len(queries):
        raise ValueError(f"{package}/{filename}: a query name is used twice")
    return MappingProxyType(named)

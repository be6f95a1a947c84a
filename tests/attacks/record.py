"""Record what the mutated requests met, for README.

    KEYTURN_ATTACK_JSON=/tmp/attacks.json .venv/bin/pytest -m long tests/attacks/test_mutated_requests.py
    .venv/bin/python tests/attacks/record.py /tmp/attacks.json "what was run"

The parts of one campaign become one row of docs/figures/attacks.json.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Row = Mapping[str, Any]


def merged(parts: Sequence[Row]) -> dict[str, Any]:
    """Return the sum of the parts."""
    statuses: Counter[str] = Counter()
    for part in parts:
        for door in part["doors"]:
            statuses.update(door["statuses"])
    return {
        "suite": "mutated requests",
        "requests": sum(part["requests"] for part in parts),
        "server errors": sum(count for status, count in statuses.items() if status >= "500"),
        "findings": sum(part["findings"] for part in parts),
        "statuses": dict(sorted(statuses.items())),
        "doors": len({door["door"] for part in parts for door in part["doors"]}),
    }


def main() -> None:
    """Merge, and write."""
    sys.path.append(str(ROOT / "load-tests"))
    from machine import record

    if len(sys.argv) != 3:
        sys.exit("usage: record.py FILE COMMAND")
    named, command = Path(sys.argv[1]), sys.argv[2]
    found = sorted(named.parent.glob(f"{named.stem}.*.json"))
    if not found:
        sys.exit(f"no part of {named}: set KEYTURN_ATTACK_JSON for the campaign")
    parts = [json.loads(one.read_text(encoding="utf-8")) for one in found]
    record(ROOT / "docs/figures/attacks.json", command, [merged(parts)])


if __name__ == "__main__":
    main()

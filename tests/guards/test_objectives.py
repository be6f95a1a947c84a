"""The objectives that load tests hold a server to are the ones that are written down."""

import json
import re

from support.tree import ROOT

ROW = re.compile(r"^\| `(\w+)` \| (.+) \| ([\d.]+) % \|$", re.MULTILINE)
WITHIN = re.compile(r"within (\d+) ms")


def told(page):
    """Return the objectives of a table, as the load tests' file has them."""
    found = {}
    for name, good, share in ROW.findall(page):
        found[name] = {"target": round(float(share) / 100, 6)}
        if within := WITHIN.search(good):
            found[name]["milliseconds"] = int(within[1])
    return found


def test_the_load_tests_hold_to_the_objectives_their_page_tells():
    kept = json.loads((ROOT / "load-tests" / "k6" / "slo.json").read_text())
    assert told((ROOT / "load-tests" / "README.md").read_text()) == kept


def test_an_objective_is_read_from_its_row():
    row = "| `a_latency` | within 250 ms | 99.9 % |\n"
    assert told(row) == {"a_latency": {"target": 0.999, "milliseconds": 250}}

"""The objectives that load tests hold a server to are the ones that are written down."""

import json
import re

from support.tree import ROOT, spans, table, text

ROW = re.compile(r"^\| `(\w+)` \| (.+) \| ([\d.]+) % \|$", re.MULTILINE)
NAMES = {
    "token": "token_availability",
    "login": "login_availability",
    "documents": "jwks_availability",
}
"""What the load tests call those objectives of docs/slo.md."""
WITHIN = re.compile(r"within (\d+) ms")
BEYOND = re.compile(r"an answer after more than (\d+) ms")


def told(page):
    """Return the objectives of a table, as the load tests' file has them."""
    found = {}
    for name, good, share in ROW.findall(page):
        found[name] = {"target": round(float(share) / 100, 6)}
        if within := WITHIN.search(good):
            found[name]["milliseconds"] = int(within[1])
    return found


def promised(page):
    """Return the objectives of docs/slo.md, as the load tests' file has them."""
    found = {}
    for _, name, share, _, wrong in table(page, "## The six"):
        called = NAMES.get(spans(name)[0], spans(name)[0])
        found[called] = {"target": round(float(share.removesuffix(" %")) / 100, 6)}
        if beyond := BEYOND.search(wrong):
            found[called]["milliseconds"] = int(beyond[1])
    return found


def test_the_load_tests_hold_to_what_is_promised_to_all():
    kept = json.loads((ROOT / "load-tests" / "k6" / "slo.json").read_text())
    page = promised(text("docs/slo.md"))
    del page["revocation"]  # k6 sees no copy in Redis
    assert page == kept


def test_the_load_tests_hold_to_the_objectives_their_page_tells():
    kept = json.loads((ROOT / "load-tests" / "k6" / "slo.json").read_text())
    assert told((ROOT / "load-tests" / "README.md").read_text()) == kept


def test_an_objective_is_read_from_its_row():
    row = "| `a_latency` | within 250 ms | 99.9 % |\n"
    assert told(row) == {"a_latency": {"target": 0.999, "milliseconds": 250}}

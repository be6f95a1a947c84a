"""The dashboards as data: Grafana itself is in no registry this project uses, so nobody drew them.

What it would refuse or draw wrongly is looked for here; that queries return something is shown by
test_live_scrape.py.
"""

import json
from itertools import combinations

import pytest
import yaml

from support import promql
from support.dashboards import PLACES, queries
from support.tree import text

pytestmark = pytest.mark.operations

BOARDS = {one.stem: json.loads(one.read_text()) for one in PLACES}
GROUPS = yaml.safe_load(text("config/prometheus/rules.yaml"))["groups"]
UNITS = {"none", "s", "percentunit", "reqps", "ops"}


def overlap(one, other):
    a, b = one["gridPos"], other["gridPos"]
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )  # fmt: skip


def test_each_query_is_promql_and_asks_for_what_there_is():
    known = promql.catalogue() | promql.recorded(GROUPS)
    asked = [query for board in BOARDS.values() for query in queries(board)]
    print(f"{len(BOARDS)} dashboards, {sum(len(b['panels']) for b in BOARDS.values())} panels,")
    print(f"{len(asked)} queries")
    assert [one for query in asked for one in promql.complaints(query, known)] == []


def test_every_metric_of_the_server_is_on_a_dashboard_or_in_a_rule():
    """What nobody looks at need not be counted."""
    told = {rule["expr"] for group in GROUPS for rule in group["rules"]}
    told |= {query for board in BOARDS.values() for query in queries(board)}
    seen = " ".join(told)
    unseen = {
        name
        for name in promql.catalogue()
        if not name.endswith(("_sum", "_count", "_bucket"))
        if name not in seen and not name.startswith(("python_", "process_"))
    }
    assert unseen == set()


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_whole(name):
    board = BOARDS[name]
    assert board["uid"] == f"keyturn-{name}"
    assert [one["name"] for one in board["templating"]["list"]] == [
        "datasource", "namespace", "job",
    ]  # fmt: skip
    panels = board["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    assert [(a["title"], b["title"]) for a, b in combinations(panels, 2) if overlap(a, b)] == []
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        letters = [one["refId"] for one in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["legendFormat"]
            assert 'namespace=~"$namespace", job=~"$job"' in target["expr"]


def test_dashboards_have_addresses_of_their_own():
    assert len({one["uid"] for one in BOARDS.values()}) == len(BOARDS) == 5
    assert len({one["title"] for one in BOARDS.values()}) == len(BOARDS)

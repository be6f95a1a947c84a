"""The plan of every hot statement stands in docs/query-plans.md, and none reads a large table whole."""

import ast
import re

from support.tree import SOURCE, differences, text

PAGE = "docs/query-plans.md"
LIST = "load-tests/growing/hot.py"
SMALL = {"signing_keys", "pg_database", "session_status", "audit_events_default", "registrations"}
"""A handful of rows, a sequence, a partition that is empty while months are made ahead; and clients
that registered themselves, whom people have not in millions: one job reads those."""

WHOLE = re.compile(r"Seq Scan on (\w+)")


def named():
    """Return every named query of the product, as `file.name`."""
    return {
        f"{file.stem}.{name}"
        for file in SOURCE.rglob("*.sql")
        if file.parent.name != "migrations"
        for name in re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE)
    }


def listed(source):
    """Return what the list calls hot, and what it calls cold."""
    values = {
        target.id: node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    rooms = ("SESSIONS", "REVOCATIONS", "AUTHORIZATIONS", "LOGINS", "USERS")
    hot = {f"{one.lower()}.{key}" for one in rooms for key in ast.literal_eval(values[one])}
    cold = ast.literal_eval(values["COLD"])
    return hot | set(ast.literal_eval(values["AROUND"])), {
        f"{file}.{name}" for file, names in cold.items() for name in names.split()
    }


def explained(page):
    """Return the plans of the page by name."""
    return dict(re.findall(r"^## (\w+\.\w+)\n.+?^```\n(.+?)^```$", page, re.DOTALL | re.MULTILINE))


def read_whole(plans):
    """Return which plans read which large tables from end to end."""
    return [
        f"{name}: {table}"
        for name, plan in plans.items()
        for table in WHOLE.findall(plan)
        if table not in SMALL
    ]


def sessions_of(page):
    """Return how many sessions there were."""
    found = re.search(r"([\d,]+) sessions", page)
    return int(found[1].replace(",", "")) if found else 0


def test_every_named_query_is_hot_or_said_not_to_be():
    hot, cold = listed(text(LIST))
    assert hot & cold == set()
    assert differences(hot | cold, named()) == []


def test_every_hot_query_stands_in_the_page_at_ten_million_sessions():
    page = text(PAGE)
    assert differences(set(explained(page)), listed(text(LIST))[0]) == []
    assert sessions_of(page) >= 10_000_000
    assert all("actual time=" in plan for plan in explained(page).values())


def test_no_hot_query_reads_a_large_table_from_end_to_end():
    assert read_whole(explained(text(PAGE))) == []


def test_a_missing_plan_and_a_scan_are_found():
    page = "on 20 sessions\n## a.b\n\nFor this.\n\n```\n ->  Seq Scan on sessions  (cost\n```\n"
    assert differences(set(explained(page)), {"a.b", "a.c"}) != []
    assert read_whole(explained(page)) == ["a.b: sessions"]
    assert read_whole({"keys.list": "Seq Scan on signing_keys key"}) == []
    assert sessions_of(page) == 20

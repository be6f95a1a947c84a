"""Every audit event is made by somebody, seen by a test, and told on the page that operators read."""

import ast
import re

import pytest

from keyturn.audit.trail import SHOWN
from keyturn.telemetry.event_types import EventType
from keyturn.telemetry.logs import redact
from support.tree import ROOT, differences, nodes, parsed, sources, spans, table, text

TYPES = EventType.__args__
DECLARED = "telemetry/event_types.py"


def words(source):
    """Return the literals of a module that may name an event, pieces of a longer text included."""
    return {
        word
        for node in nodes(source)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in re.findall(r"[a-z_]+", node.value)
    }


def made(tree):
    """Return what stands as a whole literal anywhere but where the types are declared."""
    return {
        node.value
        for name, source in tree.items()
        if name != DECLARED
        for node in nodes(source)
        if isinstance(node, ast.Constant) and node.value in TYPES
    }


def seen(tree):
    return {word for source in tree.values() for word in words(source)} & set(TYPES)


def suite():
    folder = ROOT / "tests"
    files = {one.relative_to(folder): one for one in folder.rglob("*.py")}
    return {
        str(name): one.read_text(encoding="utf-8")
        for name, one in files.items()
        if name.parts[0] not in {"guards", "support"}
    }


def facts(tree):
    """Return the names of what the details of events say."""
    assigned = {
        node.value: [one.id for one in node.targets if isinstance(one, ast.Name)]
        for source in tree.values()
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Assign)
    }
    passed = [
        node.value
        for source in tree.values()
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.keyword) and node.arg == "detail"
    ]
    told_so = [value for value, names in assigned.items() if "detail" in names]
    return {
        key.value
        for value in (*passed, *told_so)
        for node in ast.walk(value)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }


def told(page, heading="## Events"):
    return [one for row in table(page, heading) for one in spans(row[0])]


def test_every_event_is_documented_and_every_documented_one_exists():
    assert differences(told(text("docs/audit.md")), TYPES) == []


def test_every_event_is_made_by_the_product():
    assert differences(made(sources()), TYPES) == []


def test_every_event_is_seen_by_a_test():
    assert differences(seen(suite()), TYPES) == []


def test_every_member_of_an_event_is_documented():
    assert differences(told(text("docs/audit.md"), "## An event"), SHOWN) == []


def test_no_fact_of_an_event_has_a_name_under_which_logs_show_nothing():
    names = facts(sources())
    assert {"reason", "scope", "invitation"} <= names
    assert redact(dict.fromkeys(names, "told")) == dict.fromkeys(names, "told")


# -- what the guards find when it is planted ------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "complaints"),
    [
        ("| `sign_in` | |", ["sign_out: told nowhere"]),
        ("| `sign_in` | |\n| `sign_out` | |", []),
        ("| `sign_in`, `sign_out` | |\n| `sing` | |", ["sing: there is no such thing"]),
    ],
)
def test_a_page_that_leaves_out_or_invents_an_event_is_found(page, complaints):
    page = f"## Events\n\n| event | when |\n| --- | --- |\n{page}\n"
    assert differences(told(page), ["sign_in", "sign_out"]) == complaints


def test_an_event_that_nobody_makes_or_sees_is_found():
    product = {DECLARED: 'X = Literal["sign_in"]', "a.py": 'record(AuditEvent("logout_all"))'}
    assert made(product) == {"logout_all"}
    assert seen({"a.py": 'assert audited == ["sign_in"]', "b.py": "user_added()"}) == {"sign_in"}

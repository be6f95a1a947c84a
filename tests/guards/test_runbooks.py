"""Whoever is called finds a page that says what to do, and what it names is there."""

import re
import subprocess
import sys
from functools import cache

import pytest
import yaml

from keyturn.doctor.examination import CHECKS
from keyturn.telemetry import labels
from support.tree import ROOT, differences, prose, sources, spans, table, text

PAGE = "docs/runbooks.md"
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard_url"}
ADDRESS = "https://github.com/keyturn/keyturn/blob/main/docs/runbooks.md#"
BOARDS = {one.stem for one in (ROOT / "config" / "grafana").glob("*.json")}
OTHERS = {
    "dashboard_url",
    "wait_event",
    "url_file",
    "pg_stat_activity",
    "pg_stat_user_tables",
    "jwks_uri",
    "secret_id",
    "max_connections",
}
"""Words of PostgreSQL, of standards, of a log line, and of the alerts themselves."""
GENERATORS = ("config/prometheus/rules.py", "config/grafana/dashboards.py")


@cache
def rules():
    groups = yaml.safe_load(text("config/prometheus/rules.yaml"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def sections(page):
    """Return the sections of a page by their headings."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def incomplete(named):
    """Return the alerts that do not say where to look."""
    return [
        name
        for name, rule in named.items()
        if set(rule["annotations"]) != ANNOTATIONS
        or rule["annotations"]["runbook_url"] != ADDRESS + name.lower()
        or rule["annotations"]["dashboard_url"].partition("?")[0] not in board_addresses()
        or rule["labels"]["severity"] not in {"page", "ticket"}
    ]


def board_addresses():
    return {f"/d/keyturn-{name}" for name in BOARDS}


def told(named):
    """Return the sections that do not say what they should."""
    return [
        name
        for name, section in named.items()
        if not all(f"**{part}:**" in section for part in ("People notice", "Look", "Do"))
    ]


def known_words():
    """Return the words with underscores that a runbook may set in code."""
    source = "\n".join(sources().values())
    events = set(re.findall(r'log\.\w+\(\s*"([a-z_]+)"', source))
    values = {
        one
        for name, value in vars(labels).items()
        if name.isupper() and isinstance(value, tuple)
        for one in value
        if isinstance(one, str)
    }
    metrics = {one for row in table(text("docs/metrics.md"), "## Metrics") for one in spans(row[0])}
    tables = set(
        re.findall(r"create table (?:if not exists )?(\w+)", text("src/keyturn/db/schema.sql"))
    )
    objectives = {spans(row[1])[0] for row in table(text("docs/slo.md"), "## The six")}
    return events | values | metrics | tables | objectives | OTHERS


def unknown_words(page, known):
    """Return the words of a page in code that nothing has."""
    named = {
        word for span in spans(prose(page)) for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", span)
    }
    asked = {
        re.sub(r"_(bucket|count|sum)$", "", word) if word not in known else word for word in named
    }
    query = {"http_route", "http_response_status_code", "histogram_quantile", "max_over_time"}
    settings = set(re.findall(r"\b([a-z_]+):", text("config/keyturn.yaml")))
    return sorted(asked - known - query - settings)


def unknown_settings(page):
    """Return the settings of a page that there are not, nor checks: `section.name` in code."""
    known = yaml.safe_load(
        re.sub(r"^(  )# ([a-z_]+:)", r"\1\2", text("config/keyturn.yaml"), flags=re.MULTILINE)
    )
    found = []
    for section, name in re.findall(r"`([a-z_]+)\.([a-z_]+)`", page):
        if f"{section}.{name}" in CHECKED:
            continue
        if name.removesuffix("_file") not in (known.get(section) or {}) | ALIASES.get(section, {}):
            found.append(f"{section}.{name}")
    return [one for one in found if not one.endswith((".md", ".yaml", ".py"))]


CHECKED = {one.id for one in CHECKS}
ALIASES = {"postgres": {"url": None}, "redis": {"url": None}}


def unknown_commands(page):
    """Return the commands of a page that docs/commands.md does not have."""
    rows = table(text("docs/commands.md"), "# Commands")
    known = {re.sub(r" [\[A-Z].*", "", span) for row in rows for span in spans(row[0])}
    found = set()
    for span in spans(prose(page)):
        if match := re.match(r"keyturn ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", span):
            words = match[1].split()
            if not {f"keyturn {' '.join(words[:size])}" for size in (1, 2)} & known:
                found.add(match[1])
    return sorted(found)


def test_each_alert_has_a_runbook_and_each_runbook_an_alert():
    assert differences(sections(text(PAGE)), alerts()) == []
    assert told(sections(text(PAGE))) == []


def test_each_alert_says_where_to_look():
    assert incomplete(alerts()) == []


def test_each_alert_has_a_case_that_fires_and_one_that_does_not():
    cases = {}
    for name in ("rules_test", "rules_burn_test", "rules_week_test"):
        for group in yaml.safe_load(text(f"config/prometheus/{name}.yaml"))["tests"]:
            fed = {
                job
                for one in group["input_series"]
                for job in re.findall(r'job="([^"]+)"', one["series"])
            }
            for test in group["promql_expr_test"]:
                alert = re.search(r'alertname="(\w+)"', test["expr"])[1]
                cases.setdefault(alert, set()).add(bool(test["exp_samples"]))
                job = re.search(r'job="([^"]+)"', test["expr"])
                assert job is None or job[1] in fed, f"{job}: nothing is counted"
    assert differences(cases, alerts()) == []
    assert [alert for alert, kinds in cases.items() if kinds != {True, False}] == []


def test_runbooks_and_objectives_name_what_there_is():
    for page in (PAGE, "docs/slo.md"):
        assert unknown_words(text(page), known_words()) == []
        assert unknown_commands(text(page)) == []
        assert unknown_settings(text(page)) == []


def test_links_within_the_runbooks_lead_to_a_section():
    anchors = {name.lower() for name in sections(text(PAGE))}
    assert set(re.findall(r"\]\(#([^)]+)\)", text(PAGE))) <= anchors


def test_the_objectives_are_those_of_the_rules():
    page = table(text("docs/slo.md"), "## The six")
    promised = {spans(row[1])[0]: float(row[2].removesuffix(" %")) for row in page}
    spent = {
        match[1]: round(100 * (1 - float(match[2])), 4)
        for rule in rules()
        if (match := re.search(r"^1 - job:keyturn_(\w+):\S+ / ([0-9.]+)$", rule["expr"]))
    }
    assert promised == spent


@pytest.mark.parametrize("generator", GENERATORS)
def test_what_is_committed_is_what_its_program_writes_and_the_chart_has_the_same(generator):
    program = (
        "import json, runpy, sys; made = runpy.run_path(sys.argv[1])['rendered']();"
        "print(json.dumps(made if isinstance(made, dict) else {'rules.yaml': made}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, generator],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = generator.rpartition("/")[0]
    chart = "helm/keyturn/files" + ("/dashboards" if "grafana" in folder else "")
    for name, content in yaml.safe_load(said.stdout).items():
        assert text(f"{folder}/{name}") == content, f"run python {generator}"
        assert text(f"{chart}/{name}") == content, f"run python {generator}"
    committed = {one.name for one in (ROOT / folder).glob("*.json")}
    assert {one.name for one in (ROOT / chart).glob("*.json")} == committed


# -- what the guards find when it is planted ------------------------------------------------------


def test_an_alert_that_leads_nowhere_is_found():
    name, rule = next(iter(alerts().items()))
    for part in ANNOTATIONS:
        broken = {**rule, "annotations": {**rule["annotations"], part: ""}}
        if part.endswith("_url"):
            assert incomplete({name: broken}) == [name]
        del broken["annotations"][part]
        assert incomplete({name: broken}) == [name]
    assert incomplete({name: {**rule, "labels": {"severity": "loud"}}}) == [name]


def test_a_runbook_that_names_what_there_is_not_is_found():
    known = known_words()
    assert unknown_words("`keyturn_redy` and `job_failing`", known) == ["keyturn_redy"]
    assert unknown_words("`http_server_request_duration_seconds_bucket`", known) == []
    assert unknown_commands("`keyturn users add EMAIL`, `keyturn mend`") == ["mend"]
    assert unknown_settings("`postgres.pool_max`, `postgres.pool_min`") == ["postgres.pool_min"]
    assert told({"A": "**Look:** x **Do:** y"}) == ["A"]

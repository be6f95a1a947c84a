"""The rules as Prometheus reads them, and each alert with and without a reason to fire."""

import re
import subprocess

import pytest
import yaml

from support import promql
from support.tree import ROOT, prose, spans, text

pytestmark = pytest.mark.operations

FOLDER = ROOT / "config" / "prometheus"
UNIT_TESTS = ("rules_test.yaml", "rules_burn_test.yaml", "rules_week_test.yaml")
GROUPS = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]


@pytest.fixture(scope="session")
def promtool(program):
    tool = program("promtool", "prometheus")

    def run(*arguments, folder=FOLDER):
        return subprocess.run(
            [tool, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )

    return run


def test_prometheus_takes_the_rules_and_the_scrape_configuration(promtool):
    for arguments in (("rules", "rules.yaml"), ("config", "prometheus.yaml")):
        said = promtool("check", *arguments)
        print(said.stdout)
        assert said.returncode == 0, said.stdout + said.stderr
        assert f"{len(RULES)} rules found" in said.stdout


def test_each_alert_fires_when_it_should_and_is_silent_when_it_should(promtool):
    said = promtool("test", "rules", *UNIT_TESTS)
    print(said.stdout)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("SUCCESS") == len(UNIT_TESTS)


def test_an_alert_that_never_fires_and_one_that_always_does_are_found(promtool, tmp_path):
    """Of a test file that is satisfied by anything, nobody would notice."""
    planted = {
        "KeyturnNoReadyReplica": "vector(1) > 2",
        "KeyturnClockSkew": "keyturn_clock_skew_seconds",
    }
    broken = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    for rule in (rule for group in broken["groups"] for rule in group["rules"]):
        rule["expr"] = planted.get(rule.get("alert"), rule["expr"])
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(broken))
    (tmp_path / "rules_test.yaml").write_text((FOLDER / "rules_test.yaml").read_text())
    said = promtool("test", "rules", "rules_test.yaml", folder=tmp_path)
    assert said.returncode != 0
    found = said.stdout + said.stderr
    assert 'job=\\"KeyturnNoReadyReplica fires\\"' in found
    assert 'job=\\"KeyturnClockSkew silent\\"' in found
    assert "NoNextKey" not in found


def test_rules_ask_for_what_there_is():
    known = promql.catalogue() | promql.recorded(GROUPS)
    assert [one for rule in RULES for one in promql.complaints(rule["expr"], known)] == []


def test_the_queries_of_runbooks_ask_for_what_there_is():
    known = promql.catalogue() | promql.recorded(GROUPS)
    asked = [
        one
        for one in spans(prose(text("docs/runbooks.md")))
        if re.search(r"\w\(.*\[\d+[mhd]\]", one)
    ]
    print(f"{len(asked)} queries")
    assert len(asked) > 10
    assert [one for query in asked for one in promql.complaints(query, known)] == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("sum(keyturn_redy)", "keyturn_redy: there is no such metric"),
        ("sum(", "sum("),
        ('keyturn_throttled_total{rul="address"}', "keyturn_throttled_total: has no label rul"),
        ('keyturn_throttled_total{rule="adress"}', "keyturn_throttled_total: rule is never adress"),
        ("sum by (rul) (keyturn_throttled_total)", "rul: nothing below has this label"),
        (
            'keyturn_revocation_propagation_seconds_bucket{le="3.0"}',
            "keyturn_revocation_propagation_seconds_bucket: le is never 3.0",
        ),
        (
            'http_server_request_duration_seconds_count{http_route=~"/oauth2/token|/auth/refesh"}',
            "http_server_request_duration_seconds_count: http_route is never /oauth2/token|/auth/refesh",
        ),
    ],
)
def test_a_query_for_what_there_is_not_is_found(query, complaint):
    (found,) = promql.complaints(query, promql.catalogue())
    assert found.startswith(complaint)

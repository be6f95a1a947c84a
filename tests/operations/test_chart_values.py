"""Values that cannot work are refused before anything is installed, and the refusal says where."""

import re

import helm_python as helm
import pytest

from support import chart
from support.chart import given, put

pytestmark = pytest.mark.operations


def refusal(values):
    """Return why values are refused, or nothing."""
    try:
        chart.rendered(values)
    except helm.HelmError as error:
        return str(error)
    return ""


def changed(name="minimal", **paths):
    values = given(name)
    for path, value in paths.items():
        values = put(values, tuple(path.split("__")), value)
    return values


@pytest.mark.parametrize("path", [path for path, _ in chart.closed_maps()], ids="/".join)
def test_a_typo_is_refused_with_its_path(path):
    said = refusal(put(given("minimal"), (*path, "tpyo"), 1))
    where = "".join(f"/{part}" for part in path)
    assert f"at '{where}': additional properties 'tpyo' not allowed" in said


def test_there_are_maps_to_look_at():
    assert len(list(chart.closed_maps())) > 40


@pytest.mark.parametrize(
    ("missing", "where"),
    [
        ("issuer", "/issuer"),
        ("postgres", "/postgres/existingSecret"),
        ("secrets", "/secrets/existingSecret"),
    ],
)
def test_what_is_required_is_asked_for(missing, where):
    values = given("minimal")
    del values[missing]
    assert f"at '{where}'" in refusal(values)


@pytest.mark.parametrize(
    ("paths", "where"),
    [
        ({"issuer": "https://id.example.com/"}, "/issuer"),
        ({"issuer": "http://id.example.com"}, "/issuer"),
        ({"issuer": "https://ID.example.com"}, "/issuer"),
        ({"replicaCount": "2"}, "/replicaCount"),
        ({"replicaCount": 0}, "/replicaCount"),
        ({"image__digest": "sha256:12"}, "/image/digest"),
        ({"redis__enabled": True}, "/redis/existingSecret"),
        ({"postgres__pooler": "transaction"}, "/postgres/directUrlKey"),
        ({"httpRoute__enabled": True}, "/httpRoute/parentRefs"),
        ({"migrations__mode": "hook"}, "/migrations/mode"),
        (
            {"migrations__job__ttlSecondsAfterFinished": 0},
            "/migrations/job/ttlSecondsAfterFinished",
        ),
        ({"pdb__maxUnavailable": 0}, "/pdb/maxUnavailable"),
        ({"config__issuer": "https://other.example.com"}, "/config/issuer"),
        ({"config__postgres__url": "postgresql://a:b@c/d"}, "/config/postgres/url"),
        ({"config__redis__url": "redis://a"}, "/config/redis/url"),
        ({"config__secrets": "1: x"}, "/config/secrets"),
        ({"config__server__management_port": 80}, "/config/server/management_port"),
        ({"config__server__workers": 2}, "/config/server/workers"),
        ({"extraEnv": [{"name": "KEYTURN_SECRETS", "value": "1: x"}]}, "/extraEnv/0/name"),
        ({"extraEnv": [{"name": "KEYTURN_REDIS__URL", "value": "x"}]}, "/extraEnv/0/name"),
        ({"extraEnv": "KEYTURN_LOG__LEVEL=debug"}, "/extraEnv"),
        ({"clients__inline": [{"id": "a", "secret": "x"}]}, "/clients/inline/0/secret"),
        (
            {"clients__inline": [{"id": "a"}], "clients__existingSecret": "b"},
            "/clients/existingSecret",
        ),
        ({"podLabels": {"app.kubernetes.io/name": "other"}}, "/podLabels/app.kubernetes.io~1name"),
        ({"networkPolicy__metricsFrom": [{"podSelektor": {}}]}, "/networkPolicy/metricsFrom/0"),
        ({"networkPolicy__metricsFrom": [{}]}, "/networkPolicy/metricsFrom/0"),
        ({"fullnameOverride": "a" * 48}, "/fullnameOverride"),
    ],
    ids=str,
)
def test_what_a_value_cannot_be_is_refused_with_its_path(paths, where):
    assert f"at '{where}'" in refusal(changed(**paths))


MONITOR = {"networkPolicy__metricsFrom": [{"podSelector": {}}]}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ({"shutdown__graceSeconds": 33}, r"terminationGracePeriodSeconds: 45 is less than .* = 46"),
        (
            {"postgres__connectionBudget": 65},
            r"3 processes .* = 22 connections each are 66, more than 65",
        ),
        (
            {"postgres__connectionBudget": 153, "autoscaling__enabled": True},
            r"7 processes .* are 154, more than 153",
        ),
        ({"autoscaling__enabled": True, "autoscaling__minReplicas": 7}, r"minReplicas: 7 .* 6"),
        (
            {"autoscaling__enabled": True, "autoscaling__targetCPUUtilizationPercentage": 0},
            r"autoscaling.metrics: give one",
        ),
        ({"metrics__podMonitor__enabled": True}, r"networkPolicy.metricsFrom: name Prometheus"),
        (
            {
                "metrics__podMonitor__enabled": True,
                "metrics__serviceMonitor__enabled": True,
                **MONITOR,
            },
            r"every series would be there twice",
        ),
    ],
    ids=str,
)
def test_what_is_impossible_together_is_refused(paths, said):
    assert re.search(said, refusal(changed(**paths)))


@pytest.mark.parametrize(
    "paths",
    [
        {"shutdown__graceSeconds": 32},
        {"postgres__connectionBudget": 66},
        {"postgres__connectionBudget": 154, "autoscaling__enabled": True},
        {"metrics__podMonitor__enabled": True, **MONITOR},
        {"metrics__podMonitor__enabled": True, "networkPolicy__enabled": False},
        {"issuer": "http://localhost:8080"},
        {"global": {"storageClass": "fast"}},
    ],
    ids=str,
)
def test_what_is_just_possible_is_not_refused(paths):
    assert refusal(changed(**paths)) == ""


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ({}, "no Redis"),
        ({"replicaCount": 1}, "one pod only"),
        ({"pdb__enabled": False}, "no PodDisruptionBudget"),
        ({"issuer": "http://localhost:8080"}, "plain http"),
        ({}, "trusted_proxies is empty"),
        ({"networkPolicy__enabled": False}, "no NetworkPolicy"),
        ({}, "no Ingress and no HTTPRoute"),
        ({"migrations__mode": "none"}, "Migrations are yours"),
        ({}, "may not call out"),
    ],
    ids=str,
)
def test_the_notes_warn(paths, said):
    assert said in chart.rendered(changed(**paths))["NOTES.txt"]


def test_the_notes_of_a_sound_installation_warn_of_nothing():
    assert "WARNING" not in chart.rendered(given("production"))["NOTES.txt"]

"""Every object the chart renders is one that Kubernetes, Prometheus' operator and gateways know."""

import json
import subprocess
from copy import deepcopy

import kubernetes_validate
import pytest
import yaml

from support import chart, npm
from support.chart import CHART, SETS, documents_of, of_kind

pytestmark = pytest.mark.operations

VERSIONS = ["1.27", "1.30", kubernetes_validate.latest_version()]
CUSTOM = {"gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1"}
PATIENCE = 60


def native(objects):
    return [one for one in objects if one["apiVersion"] not in CUSTOM]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_object(version):
    # Many of them are the same in every set, and a validation takes its time.
    distinct = {
        json.dumps(one, sort_keys=True) for name in SETS for one in native(documents_of(name))
    }
    kinds = set()
    for text in distinct:
        one = json.loads(text)
        kubernetes_validate.validate(one, version, strict=True)
        kinds.add(one["kind"])
    print(f"Kubernetes {version}: {len(distinct)} objects of {len(kinds)} kinds accepted")
    assert kinds == {
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy",
        "Pod", "PodDisruptionBudget", "Service", "ServiceAccount",
    }  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_what_kubernetes_does_not_know_is_found(version):
    deployment = deepcopy(of_kind(documents_of("minimal"), "Deployment")[0])
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(deployment, version, strict=True)


@pytest.fixture(scope="module")
def judged():
    """Return what the published schemas complain about, for each of some custom resources."""
    npm.packages(npm.OPERATIONS)

    def ask(resources):
        said = subprocess.run(
            ["node", "resources.mjs"],
            cwd=npm.OPERATIONS,
            input=json.dumps(resources),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return json.loads(said.stdout)

    return ask


def test_operators_and_gateways_know_every_object(judged):
    custom = [one for name in SETS for one in documents_of(name) if one["apiVersion"] in CUSTOM]
    assert {one["kind"] for one in custom} == {
        "HTTPRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor",
    }  # fmt: skip
    assert judged(custom) == [[] for _ in custom]
    print(f"{len(custom)} custom resources accepted")


BROKEN = [
    ("full", "ServiceMonitor", ("endpoints", 0, "interval"), "30 seconds", "must match pattern"),
    ("full", "ServiceMonitor", ("endpoints", 0, "intervall"), "30s", "is unknown"),
    ("monitoring-all", "PodMonitor", ("selector",), "all", "must be object"),
    ("monitoring-all", "PrometheusRule", ("groups", 0, "rules", 0, "expr"), [1], "must be"),
    ("gateway", "HTTPRoute", ("hostnames", 0), "id example", "must match pattern"),
    ("gateway", "HTTPRoute", ("rules", 0, "backendRefs", 0, "port"), "http", "must be integer"),
    ("gateway", "HTTPRoute", ("rules", 0, "timeout"), {"request": "1s"}, "is unknown"),
]


def test_what_they_do_not_know_is_found(judged):
    resources = []
    for name, kind, path, value, _ in BROKEN:
        one = deepcopy(of_kind(documents_of(name), kind)[0])
        node = one["spec"]
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
        resources.append(one)
    for said, (*_, expected) in zip(judged(resources), BROKEN, strict=True):
        assert expected in " ".join(said)


def test_the_rules_are_those_of_the_file():
    rule = of_kind(documents_of("monitoring-all"), "PrometheusRule")[0]
    assert rule["spec"] == yaml.safe_load((CHART / "files/rules.yaml").read_text())


def test_the_dashboards_are_those_of_the_files():
    found = [
        one
        for one in of_kind(documents_of("monitoring-all"), "ConfigMap")
        if "dashboards" in one["metadata"]["name"]
    ]
    files = {one.name: one.read_text() for one in (CHART / "files/dashboards").glob("*.json")}
    assert [one["data"] for one in found] == [files]
    assert sum(map(len, files.values())) < 2**20, "a ConfigMap holds no more than 1 MiB"


def test_monitors_give_the_series_the_job_that_rules_ask_for():
    for name, kind in (("full", "ServiceMonitor"), ("monitoring-all", "PodMonitor")):
        monitor = of_kind(documents_of(name), kind)[0]["spec"]
        assert monitor["jobLabel"] == "app.kubernetes.io/name"
        assert monitor["selector"]["matchLabels"]["app.kubernetes.io/name"] == "keyturn"


def test_monitors_find_what_they_are_for():
    objects = documents_of("full")
    wanted = of_kind(objects, "ServiceMonitor")[0]["spec"]["selector"]["matchLabels"].items()
    found = [
        one for one in of_kind(objects, "Service") if wanted <= one["metadata"]["labels"].items()
    ]
    assert [one["spec"]["ports"][0]["name"] for one in found] == ["management"]
    objects = documents_of("monitoring-all")
    wanted = of_kind(objects, "PodMonitor")[0]["spec"]["selector"]["matchLabels"].items()
    pod = of_kind(objects, "Deployment")[0]["spec"]["template"]
    assert wanted <= pod["metadata"]["labels"].items()


def test_no_object_has_a_member_twice():
    with pytest.raises(yaml.YAMLError, match="twice"):
        yaml.load("a: 1\na: 2\n", Loader=chart._Strict)

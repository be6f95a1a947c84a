"""What holds for everything the chart renders, whatever the values: no cluster is needed to see it.

Each rule is a function over objects that returns what breaks it, so that it can be shown a bad one.
"""

import re
from copy import deepcopy

import pytest

from support import chart
from support.chart import SETS, containers, documents, documents_of, given, of_kind, pods, put

pytestmark = pytest.mark.operations

LABELS = {
    f"app.kubernetes.io/{one}"
    for one in ("name", "instance", "version", "component", "part-of", "managed-by")
}
SELECTED = {f"app.kubernetes.io/{one}" for one in ("name", "instance", "component")}
PLAIN_VARIABLES = {
    "KEYTURN_CONFIG",
    "KEYTURN_ISSUER",
    "KEYTURN_POSTGRES__POOLER",
    "PGSSLMODE",
    "PGSSLROOTCERT",
}
SECRET_FILES = re.compile(r"/run/secrets/keyturn/[a-z-]+(\.crt)?")
CREDENTIAL = re.compile(
    r"://[^/\s:]+:[^/\s@]+@|BEGIN [A-Z ]*PRIVATE KEY|password:|^\s*secret:", re.MULTILINE
)
LONGEST_RELEASE = "r" * 53
HOOKS = "helm.sh/hook"
GIVEN_BY_USERS = {"beside", "wait", "log-shipper"}


def everywhere(rule):
    return pytest.mark.parametrize("name", SETS)(rule)


def unrestricted(objects, *, openshift=False):
    """Return the containers that the restricted Pod Security Standard, or we, would refuse."""
    found = []
    for name, pod in pods(objects):
        context = pod["securityContext"]
        if context["seccompProfile"] != {"type": "RuntimeDefault"} or not context["runAsNonRoot"]:
            found.append(name)
        users = {context.get(one) for one in ("runAsUser", "runAsGroup", "fsGroup")}
        if (users != {None}) if openshift else (None in users or 0 in users):
            found.append(f"{name}: {users}")
        found += [one for one in ("hostNetwork", "hostPID", "hostIPC") if pod.get(one)]
        found += [f"{name}: {one}" for one in pod.get("volumes", []) if "hostPath" in one]
        for one in containers(pod):
            context = one.get("securityContext", {})
            if not (
                context.get("allowPrivilegeEscalation") is False
                and context.get("readOnlyRootFilesystem")
                and context.get("runAsNonRoot")
                and context.get("capabilities") == {"drop": ["ALL"]}
                and context.get("seccompProfile") == {"type": "RuntimeDefault"}
            ):
                found.append(f"{name}: {one['name']}")
            if "memory" not in one.get("resources", {}).get("limits", {}):
                found.append(f"{name}: {one['name']} has no limit of memory")
    return found


@everywhere
def test_every_container_is_restricted(name):
    assert unrestricted(documents_of(name), openshift=name == "openshift") == []


@pytest.mark.parametrize(
    "path",
    [("securityContext", "readOnlyRootFilesystem"), ("podSecurityContext", "runAsNonRoot")],
    ids=str,
)
def test_a_container_that_is_not_is_found(path):
    assert unrestricted(documents(put(given("minimal"), path, False))) != []


def shown(objects):
    """Return where a secret could be read: in a ConfigMap, a variable or an argument."""
    found = [
        f"{one['metadata']['name']}: {match[0]}"
        for one in of_kind(objects, "ConfigMap")
        for text in one["data"].values()
        for match in CREDENTIAL.finditer(text)
    ]
    for name, pod in pods(objects):
        for one in containers(pod):
            if one["name"] in GIVEN_BY_USERS:
                continue
            for variable in one["env"]:
                value = variable.get("value", "")
                if variable["name"].endswith("_FILE"):
                    ok = SECRET_FILES.fullmatch(value)
                else:
                    ok = variable["name"] in PLAIN_VARIABLES or variable["name"] in {
                        "KEYTURN_LOG__LEVEL",
                        "NODE_NAME",
                    }
                found += [] if ok and not CREDENTIAL.search(value) else [f"{name}: {variable}"]
                found += (
                    [f"{name}: {variable}"]
                    if "secretKeyRef" in variable.get("valueFrom", {})
                    else []
                )
            found += [f"{name}: {text}" for text in one["args"] if CREDENTIAL.search(text)]
    return found + [one["kind"] for one in of_kind(objects, "Secret")]


@everywhere
def test_no_secret_is_shown(name):
    assert shown(documents_of(name)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("config", "log"), {"level": "postgresql://a:b@c/d"}),
        (("extraEnv",), [{"name": "KEYTURN_POSTGRES__POOL_MAX", "value": "1"}]),
        (
            ("extraEnv",),
            [{"name": "NODE_NAME", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
        ),
    ],
    ids=str,
)
def test_a_secret_that_is_shown_is_found(path, value):
    assert shown(documents(put(given("minimal"), path, value))) != []


def secrets_of(pod):
    """Return the Secrets a pod mounts, with the mode of their files."""
    for volume in pod.get("volumes", []):
        if "secret" in volume:
            yield volume["secret"]["secretName"], volume["secret"]["defaultMode"]
        for source in volume.get("projected", {}).get("sources", []):
            yield source["secret"]["name"], volume["projected"]["defaultMode"]


def secrets_given(values):
    """Return every name in values that stands where a Secret is named."""
    return {
        value
        for path, value in chart.leaves(values)
        if path[-1] == "existingSecret" or path[-2:] == ("caSecret", "name")
    }


@everywhere
def test_every_secret_exists_before_and_its_files_are_closed(name):
    given_ones = secrets_given(chart.loaded().merge_values(given(name)))
    for _, pod in pods(documents_of(name)):
        mounted = dict(secrets_of(pod))
        assert set(mounted) <= given_ones
        assert set(mounted.values()) == {0o440}


def test_only_what_migrates_sees_the_owner_of_the_schema():
    pod = of_kind(documents_of("init-owner"), "Deployment")[0]["spec"]["template"]["spec"]
    owners = [one["name"] for one in pod["volumes"] if "postgres-owner" in str(one)]
    assert owners == ["migration-secrets"]
    seen = {
        one["name"]
        for one in containers(pod)
        for mount in one["volumeMounts"]
        if mount["name"] in owners
    }
    assert seen == {"migrate"}


def test_the_server_that_may_not_change_the_schema_does_not_see_who_may():
    objects = documents_of("job-migrations")
    assert "postgres-owner" not in str(of_kind(objects, "Deployment"))
    assert "postgres-owner" in str(of_kind(objects, "Job"))


def hooks(objects):
    return {
        one["metadata"]["annotations"][HOOKS]
        for one in objects
        if HOOKS in one["metadata"].get("annotations", {})
    }


@everywhere
def test_nothing_is_a_hook_but_what_must(name):
    values = chart.loaded().merge_values(given(name))
    job = {"pre-install,pre-upgrade"} if values["migrations"]["mode"] == "job" else set()
    test = {"test"} if values["tests"]["enabled"] else set()
    assert hooks(documents_of(name)) == job | test


@everywhere
def test_a_hook_before_the_release_uses_nothing_of_the_release(name):
    objects = documents_of(name)
    made = {
        one["metadata"]["name"] for one in objects if one["kind"] in {"ConfigMap", "ServiceAccount"}
    }
    for job in of_kind(objects, "Job"):
        pod = job["spec"]["template"]["spec"]
        assert [one for one in pod["volumes"] if "configMap" in one] == []
        assert pod["serviceAccountName"] not in made


def unnamed(objects):
    ports = [
        (name, one)
        for name, pod in pods(objects)
        for each in containers(pod)
        for one in each.get("ports", [])
    ] + [
        (one["metadata"]["name"], port)
        for one in of_kind(objects, "Service")
        for port in one["spec"]["ports"]
    ]
    return [each for each in ports if each[1].get("name") not in {"http", "management"}]


@everywhere
def test_every_port_has_a_name(name):
    assert unnamed(documents_of(name)) == []


@everywhere
def test_every_object_has_the_recommended_labels(name):
    for one in documents_of(name):
        if one["metadata"]["name"] in GIVEN_BY_USERS:
            continue
        assert set(one["metadata"]["labels"]) >= LABELS | {"helm.sh/chart"}
        assert one["metadata"]["namespace"] == chart.NAMESPACE
        pod = one["spec"].get("template", {}) if "spec" in one else {}
        if pod:
            assert set(pod["metadata"]["labels"]) >= LABELS
            assert "helm.sh/chart" not in pod["metadata"]["labels"]


@everywhere
def test_selectors_never_change_and_match_the_pods(name):
    objects = documents_of(name)
    deployment = of_kind(objects, "Deployment")[0]["spec"]
    selector = deployment["selector"]["matchLabels"]
    assert selector == {
        "app.kubernetes.io/name": "keyturn",
        "app.kubernetes.io/instance": chart.RELEASE,
        "app.kubernetes.io/component": "server",
    }
    assert selector.items() <= deployment["template"]["metadata"]["labels"].items()
    for one in of_kind(objects, "Service"):
        assert one["spec"]["selector"] == selector
    for one in of_kind(objects, "PodDisruptionBudget"):
        assert one["spec"]["selector"]["matchLabels"] == selector
    for kind in ("Job", "Pod"):
        for one in of_kind(objects, kind):
            labels = one["spec"].get("template", one)["metadata"]["labels"]
            assert not selector.items() <= labels.items()


@everywhere
def test_routes_lead_to_the_public_port_alone(name):
    objects = documents_of(name)
    public = {
        (one["metadata"]["name"], port["port"])
        for one in of_kind(objects, "Service")
        for port in one["spec"]["ports"]
        if port["targetPort"] == "http"
    }
    assert len(public) == 1
    for route in of_kind(objects, "HTTPRoute"):
        backends = [one for rule in route["spec"]["rules"] for one in rule["backendRefs"]]
        assert {(one["name"], one["port"]) for one in backends} == public
    for route in of_kind(objects, "Ingress"):
        backends = [
            path["backend"]["service"]
            for rule in route["spec"]["rules"]
            for path in rule["http"]["paths"]
        ]
        assert {(one["name"], one["port"]["name"]) for one in backends} == {
            (one, "http") for one, _ in public
        }
    exposed = [one for one in of_kind(objects, "Service") if one["spec"]["type"] != "ClusterIP"]
    assert [
        one["spec"]["ports"][0]["targetPort"]
        for one in exposed
        if "management" in str(one["spec"]["ports"])
    ] == []


def admitted(objects, port, number):
    """Return who may reach a port of the server, by what selects it; everybody is None."""
    server = of_kind(objects, "Deployment")[0]["spec"]["template"]["metadata"]["labels"].items()
    selecting = [
        one["spec"]
        for one in of_kind(objects, "NetworkPolicy")
        if one["spec"]["podSelector"]["matchLabels"].items() <= server
        and "Ingress" in one["spec"]["policyTypes"]
    ]
    assert selecting, "nothing selects the server: everybody may reach every port"
    rules = [rule for one in selecting for rule in one["ingress"]]
    return [
        peer
        for rule in rules
        if "ports" not in rule or {port, number} & {one["port"] for one in rule["ports"]}
        for peer in rule.get("from", [None])
    ]


@everywhere
def test_the_management_port_is_for_those_who_are_named(name):
    values = chart.loaded().merge_values(given(name))
    if not values["networkPolicy"]["enabled"]:
        assert of_kind(documents_of(name), "NetworkPolicy") == []
        return
    test = {
        "app.kubernetes.io/name": "keyturn",
        "app.kubernetes.io/instance": chart.RELEASE,
        "app.kubernetes.io/component": "test",
    }
    may = [*values["networkPolicy"]["metricsFrom"]]
    may += [{"podSelector": {"matchLabels": test}}] if values["tests"]["enabled"] else []
    assert admitted(documents_of(name), "management", 8081) == may


def test_a_management_port_for_everybody_is_found():
    objects = deepcopy(documents_of("minimal"))
    of_kind(objects, "NetworkPolicy")[1]["spec"]["ingress"].append({})
    assert None in admitted(objects, "management", 8081)


def egress(name):
    """Return the ports every pod of a set may go to."""
    policy = of_kind(documents_of(name), "NetworkPolicy")[0]["spec"]
    assert "Egress" in policy["policyTypes"]
    return {one["port"] for rule in policy["egress"] for one in rule["ports"]}


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("minimal", {53, 5432}),
        ("openshift", {53, 5353, 5432}),
        ("pooler", {53, 5432, 6432}),
        ("production", {53, 5432, 6379, 443}),
    ],
)
def test_pods_go_only_where_they_must(name, ports):
    assert egress(name) == ports


@pytest.mark.parametrize("name", ["full", "monitoring-all", "job-migrations"])
def test_names_stay_short_at_the_longest_release_name(name):
    values = {**given(name), "fullnameOverride": ""}
    names = [one["metadata"]["name"] for one in documents(values, LONGEST_RELEASE)]
    assert max(map(len, names)) <= 63
    values = put(values, ("fullnameOverride",), "x" * 47)
    assert max(len(one["metadata"]["name"]) for one in documents(values)) <= 63


def names(release):
    values = {**given("full"), "fullnameOverride": "", "serviceAccount": {}, "extraObjects": []}
    return {(one["kind"], one["metadata"]["name"]) for one in documents(values, release)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("a", "a-keyturn"),
        ("keyturn", "keyturn-keyturn"),
        (LONGEST_RELEASE, f"{LONGEST_RELEASE[:-1]}s"),
    ],
)
def test_two_releases_do_not_collide(one, other):
    assert names(one) & names(other) == set()


SWITCHES = {
    "serviceaccount.yaml": {"serviceAccount": {"create": False}},
    "migrate-job.yaml": {"migrations": {"mode": "none"}},
    "pdb.yaml": {"pdb": {"enabled": False}},
    "hpa.yaml": {"autoscaling": {"enabled": False}},
    "networkpolicy.yaml": {"networkPolicy": {"enabled": False}},
    "ingress.yaml": {"ingress": {"enabled": False}},
    "httproute.yaml": {"httpRoute": {"enabled": False}},
    "servicemonitor.yaml": {"metrics": {"serviceMonitor": {"enabled": False}}},
    "podmonitor.yaml": {"metrics": {"podMonitor": {"enabled": False}}},
    "prometheusrule.yaml": {"metrics": {"rules": {"enabled": False}}},
    "dashboards-configmap.yaml": {"metrics": {"dashboards": {"enabled": False}}},
    "extra-objects.yaml": {"extraObjects": []},
    "tests/doctor.yaml": {"tests": {"enabled": False}},
}
ALWAYS = {
    "configmap.yaml",
    "deployment.yaml",
    "service.yaml",
    "service-management.yaml",
    "NOTES.txt",
}


@pytest.mark.parametrize("template", SWITCHES)
def test_what_is_switched_off_renders_to_nothing(template):
    name = "monitoring-all" if template in chart.VERBATIM | {"podmonitor.yaml"} else "full"
    assert template in chart.rendered_of(name)
    values = given(name)
    for path, value in chart.leaves(SWITCHES[template]):
        values = put(values, path, value)
    assert template not in chart.rendered(values)


def test_every_template_has_a_switch():
    templates = {one["name"].removeprefix("templates/") for one in chart.loaded().templates}
    told = set(SWITCHES) | ALWAYS | {"checks.yaml"}
    assert {one for one in templates if not one.startswith("_")} == told


def test_what_the_chart_decides_for_the_pods_is_in_the_deployment():
    deployment = of_kind(documents_of("full"), "Deployment")[0]["spec"]
    pod = deployment["template"]["spec"]
    assert "replicas" not in deployment
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert pod["enableServiceLinks"] is False
    assert pod["terminationGracePeriodSeconds"] == 70
    server = pod["containers"][0]
    asked = {
        one: server[one]["httpGet"] for one in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked == {
        "startupProbe": {"path": "/health/started", "port": "management"},
        "livenessProbe": {"path": "/health/live", "port": "management"},
        "readinessProbe": {"path": "/health/ready", "port": "management"},
    }


def checksums(values):
    return of_kind(documents(values), "Deployment")[0]["spec"]["template"]["metadata"][
        "annotations"
    ]


@pytest.mark.parametrize(
    ("path", "value", "rolls"),
    [
        (("config", "log"), {"level": "debug"}, True),
        (("clients", "inline"), [{"id": "b"}], True),
        (("shutdown", "drainSeconds"), 9, True),
        (("replicaCount",), 7, False),
        (("metrics", "serviceMonitor", "interval"), "7s", False),
    ],
)
def test_pods_are_replaced_by_a_new_configuration_and_by_nothing_else(path, value, rolls):
    assert (checksums(put(given("full"), path, value)) != checksums(given("full"))) == rolls

"""The chart is sound: Helm's strict lint, every set of values, and the texts that go with it."""

import shutil
import tarfile
from functools import cache, reduce

import helm_python as helm
import pytest
import yaml

from keyturn import __version__
from support import chart
from support.chart import CHART, SETS, given
from support.tree import differences

pytestmark = pytest.mark.operations

KUBERNETES = ["v1.27.0", "v1.30.0", "v1.37.0"]
WARNING = 2
NOT_SHOWN = {("httpRoute", "timeouts")}
NOT_SHOWN_MEMBERS = {"global", "claims", "initialDelaySeconds"}
"""What the schema accepts and values.yaml has no default for."""


def complaints(values, version):
    report = helm.lint(CHART, values, strict=True, kube_version=version)
    assert report["total_charts_linted"] == 1
    return report["errors"] + [one for one in report["messages"] if one["severity"] >= WARNING]


@pytest.mark.parametrize("name", SETS)
def test_lint_finds_nothing(name):
    assert complaints(given(name), KUBERNETES[-1]) == []


@pytest.mark.parametrize("version", KUBERNETES)
def test_lint_finds_nothing_for_any_kubernetes(version):
    assert complaints(given("full"), version) == []


def test_lint_finds_what_is_wrong():
    assert complaints({**given("minimal"), "replicaCuont": 3}, "v1.30.0") != []


@pytest.mark.parametrize("name", SETS)
def test_it_renders_to_what_is_kept(name):
    kept = (chart.GOLDEN / f"{name}.yaml").read_text()
    assert chart.golden(name) == kept, "PYTHONPATH=tests python -m support.chart writes it anew"


def test_nothing_else_is_kept():
    assert sorted(one.stem for one in chart.GOLDEN.iterdir()) == SETS


def test_it_renders_the_same_each_time():
    assert chart.rendered(given("full")) == chart.rendered(given("full"))


def test_the_readme_tells_every_value_with_its_default():
    readme = chart.README.read_text()
    assert chart.with_table(readme) == readme


def test_every_value_has_a_sentence_above_it():
    page = (CHART / "values.yaml").read_text()
    sentences = chart.explained(page)
    assert [
        ".".join(path)
        for path, _ in chart.leaves(yaml.safe_load(page))
        if not any(".".join(path[: n + 1]) in sentences for n in range(len(path)))
    ] == []


def test_a_value_without_a_sentence_is_found():
    assert chart.explained("# A.\na:\n  b: 1\n  # C.\n  c: 2\nd: 3\n") == {"a": "A.", "a.c": "C."}


MOST_TELLING = ["full", "production", *SETS]


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory):
    """Render without the schema, which takes longer than all templates and hides their answer."""
    folder = tmp_path_factory.mktemp("unchecked") / "keyturn"
    shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("values.schema.json"))
    templates = helm.Chart.load(folder)
    return lambda values: templates.render(values, name=chart.RELEASE, namespace=chart.NAMESPACE)


def effect(path, default, render):
    """Whether one value changes what some file in `ci` renders to, or makes it impossible."""
    for name in MOST_TELLING:
        current = reduce(lambda node, part: (node or {}).get(part), path, merged(name))
        for other in (default, *others(current)):
            if other != current and changes(render, name, path, other):
                return True
    return False


def changes(render, name, path, value):
    try:
        return render(chart.put(merged(name), path, value)) != render_once(render, name)
    except helm.HelmRenderError:
        return True


@cache
def render_once(render, name):
    return render(merged(name))


@cache
def merged(name):
    return chart.loaded().merge_values(given(name))


def others(value):
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [int(value) + 1, 1]
        case str():
            return [f"{value}x", "7s"]
        case list():
            return [[], [*value, *value]]
        case _:
            return []


def test_every_value_does_something(unchecked):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert [
        ".".join(path) for path, one in chart.leaves(values) if not effect(path, one, unchecked)
    ] == []


def test_a_value_that_does_nothing_is_found(unchecked):
    assert not effect(("replicaCuont",), 3, unchecked)
    assert effect(("replicaCount",), 2, unchecked)


def test_the_schema_and_the_values_name_the_same():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = {path for path, _ in chart.branches(values)}
    known = {path for path, _ in chart.closed_maps()}
    assert known <= told
    for path, names in chart.closed_maps():
        if path not in NOT_SHOWN:
            shown = dict(chart.branches(values))[path]
            assert differences(shown, names - NOT_SHOWN_MEMBERS) == [], path


def test_what_is_packaged_is_what_installs_need(tmp_path):
    archive = helm.package(CHART, destination=tmp_path)
    with tarfile.open(archive) as packed:
        names = {one.removeprefix("keyturn/") for one in packed.getnames()}
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md"} < names
    assert [one for one in names if one.startswith("ci/")] == []


def test_the_chart_installs_this_release():
    assert chart.loaded().metadata["appVersion"] == __version__
    assert chart.loaded().metadata.get("dependencies") is None

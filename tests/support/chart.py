"""The chart as Helm's own engine renders it, and what of that is kept to be compared.

`PYTHONPATH=tests python -m support.chart` writes anew what a change of the chart makes stale: the
renders in `tests/operations/golden`, and the table of values in the chart's README.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import helm_python as helm
import yaml

from support.tree import ROOT

CHART = ROOT / "helm" / "keyturn"
GOLDEN = ROOT / "tests" / "operations" / "golden"
README = CHART / "README.md"
SETS = sorted(one.name.removesuffix("-values.yaml") for one in (CHART / "ci").glob("*-values.yaml"))
"""What the chart is rendered with: the names of the files in `ci`."""

VERBATIM = {"prometheusrule.yaml", "dashboards-configmap.yaml"}
"""Templates that repeat a file of the chart: a test compares them with that file, no golden does."""

RELEASE, NAMESPACE = "prod", "identity"
BEGIN, END = "<!-- values -->\n", "<!-- end of values -->\n"
_LINE = re.compile(r"^( *)([A-Za-z]+):(.*)$")


class _Strict(yaml.SafeLoader):
    """Refuses what an API server refuses: one member twice."""

    def construct_mapping(self, node: yaml.MappingNode, *told: bool, **how: bool) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(names) != len(set(names)):
            raise yaml.constructor.ConstructorError(None, None, f"twice: {names}", node.start_mark)
        return super().construct_mapping(node, *told, **how)


def given(name: str) -> dict[str, Any]:
    """Return the values of one file in `ci`, read as Helm reads them."""
    return helm.values_from_yaml((CHART / "ci" / f"{name}-values.yaml").read_text())


@cache
def loaded() -> helm.Chart:
    """Return the chart; Helm's handle on it can be shared."""
    return helm.Chart.load(CHART)


def rendered(values: dict[str, Any], release: str = RELEASE) -> dict[str, str]:
    """Return what each template renders to, by its name below `templates`, without empty ones.

    Raises `HelmError` when the values are refused.
    """
    texts = loaded().render(values, name=release, namespace=NAMESPACE)
    short = {name.partition("/templates/")[2]: text.strip() for name, text in texts.items()}
    return {name: f"{text}\n" for name, text in sorted(short.items()) if text}


def documents(values: dict[str, Any], release: str = RELEASE) -> list[dict[str, Any]]:
    """Return every object the values render to."""
    return [
        one
        for name, text in rendered(values, release).items()
        if name != "NOTES.txt"
        for one in yaml.load_all(text, Loader=_Strict)
        if one
    ]


@cache
def rendered_of(name: str) -> dict[str, str]:
    """Return what one file in `ci` renders to, by template; nobody changes it."""
    return rendered(given(name))


@cache
def documents_of(name: str) -> list[dict[str, Any]]:
    """Return every object of one file in `ci`; nobody changes them."""
    return documents(given(name))


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the objects of one kind."""
    return [one for one in objects if one["kind"] == kind]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the spec of every pod that the objects make."""
    for one in objects:
        if one["kind"] == "Pod":
            yield f"Pod {one['metadata']['name']}", one["spec"]
        elif one["kind"] in {"Deployment", "Job"}:
            yield f"{one['kind']} {one['metadata']['name']}", one["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a pod, the first ones included."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def golden(name: str) -> str:
    """Return the text that is kept of one file in `ci`: every template but the verbatim ones."""
    texts = rendered(given(name))
    kept = {file: text for file, text in texts.items() if file not in VERBATIM}
    return "".join(f"--- # {file}\n{text}" for file, text in kept.items())


def leaves(
    tree: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of every value that is no map, or an empty one."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def branches(
    tree: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Yield the path of every map, and the names in it."""
    yield path, set(tree)
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from branches(value, (*path, name))


def closed_maps() -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Yield the path of every map of the schema that takes no other names, and those it takes."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def below(one: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        if isinstance(one, dict) and "$ref" in one:
            one = schema["definitions"][one["$ref"].removeprefix("#/definitions/")]
        if isinstance(one, dict) and one.get("additionalProperties") is False:
            yield path, set(one["properties"])
            for name, member in one["properties"].items():
                yield from below(member, (*path, name))

    return below(schema, ())


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy of values in which one is another."""
    copy = deepcopy(tree)
    node = copy
    for name in path[:-1]:
        node = node.setdefault(name, {})
    node[path[-1]] = value
    return copy


def explained(page: str) -> dict[str, str]:
    """Return the sentence above each value of values.yaml, by its dotted path."""
    found: dict[str, str] = {}
    path: list[str] = []
    above: list[str] = []
    for line in page.splitlines():
        if line.lstrip().startswith("# "):
            above.append(line.strip(" #"))
        elif match := _LINE.match(line):
            path[len(match[1]) // 2 :] = [match[2]]
            if above:
                found[".".join(path)] = " ".join(above)
            above = []
        else:
            above = []
    return found


def table() -> str:
    """Return the table of values for the README: path, default and sentence of each."""
    page = (CHART / "values.yaml").read_text()
    defaults, sentences = yaml.safe_load(page), explained(page)
    rows = ["| value | default | |", "| --- | --- | --- |"]
    for path, sentence in sentences.items():
        value = defaults
        for name in path.split("."):
            value = value[name]
        is_group = any(other.startswith(f"{path}.") for other in sentences)
        told = "" if is_group else f"`{json.dumps(value)}`"
        rows.append(f"| `{path}` | {told} | {sentence} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str) -> str:
    """Return the README with the table of today."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}"


def regenerate() -> None:
    """Write the golden renders and the README's table anew."""
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.yaml"):
        if old.stem not in SETS:
            old.unlink()
    for name in SETS:
        (GOLDEN / f"{name}.yaml").write_text(golden(name))
    README.write_text(with_table(README.read_text()))


if __name__ == "__main__":
    regenerate()

"""The listing is the feature list: nothing at the top but what a reader expects there."""

import ast
import re
import subprocess

from support.tree import ROOT, SOURCE, modules

TOP = {
    "pyproject.toml", "README.md", "Dockerfile", "helm", "src", "config", "tests", "load-tests",
    ".ci", "uv.lock", "LICENSE", "CHANGELOG.md", "SECURITY.md", "docs", "examples", "packages",
}  # fmt: skip
VAGUE = {"utils", "helpers", "manager", "common", "misc", "base"}
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")


def _tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]


def test_the_top_level_holds_only_what_a_reader_expects():
    top = {name.split("/")[0] for name in _tracked()}
    assert {name for name in top - TOP if not name.startswith(".")} == set()


def test_no_file_has_a_name_that_says_nothing():
    named = [module for module in modules() if module.stem in VAGUE]
    assert [str(one.relative_to(SOURCE)) for one in named] == ["oauth/grants/base.py"]


def test_every_room_opens_with_a_page():
    for room in SOURCE.rglob("__init__.py"):
        page = ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))) or ""
        assert page.count("\n") >= 3, room


def test_nothing_is_left_for_later():
    found = [
        f"{module.relative_to(SOURCE)}: {line.strip()}"
        for module in modules()
        for line in module.read_text(encoding="utf-8").splitlines()
        if LEFTOVERS.search(line)
    ]
    assert found == []


def test_no_exception_is_swallowed_whole():
    silent = [
        f"{module.relative_to(SOURCE)}:{node.lineno}"
        for module in modules()
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and _does_nothing(node)
    ]
    assert silent == []


def _is_broad(handler):
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}
    )


def _does_nothing(handler):
    return all(isinstance(one, ast.Pass | ast.Continue) for one in handler.body)

"""The listing is the feature list: nothing at the top but what a reader expects there."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from support.tree import ROOT, nodes, parsed, sources

TOP = {
    "pyproject.toml", "README.md", "Dockerfile", "helm", "src", "config", "tests", "load-tests",
    ".ci", "uv.lock", "LICENSE", "CHANGELOG.md", "SECURITY.md", "docs", "examples", "packages",
}  # fmt: skip
VAGUE = {"utils", "helpers", "manager", "common", "misc", "base"}
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
BROAD = {"Exception", "BaseException"}


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]


def unexpected(names):
    """Return what stands at the top of the repository and should not."""
    top = {name.split("/")[0] for name in names} - TOP
    return sorted(name for name in top if not name.startswith("."))


def vague(tree):
    return [name for name in tree if Path(name).stem in VAGUE]


def pageless(tree):
    """Return the rooms that do not open with a page."""
    rooms = {name: source for name, source in tree.items() if name.endswith("__init__.py")}
    return [
        name
        for name, source in rooms.items()
        if (ast.get_docstring(parsed(source)) or "").count("\n") < 3
    ]


def unmentioned(tree):
    """Return the modules that the page of their room does not name."""
    return [
        name
        for name in tree
        if "/" in name
        and not name.endswith("__init__.py")
        and not re.search(rf"\b{Path(name).stem}\b", page_of_room(tree, name))
    ]


def page_of_room(tree, name):
    return ast.get_docstring(parsed(tree[str(Path(name).with_name("__init__.py"))])) or ""


def leftovers(tree):
    return [
        f"{name}: {line.strip()}"
        for name, source in tree.items()
        for line in source.splitlines()
        if LEFTOVERS.search(line)
    ]


def unresolved(pages):
    """Return the files in which two versions of the same lines stand beside each other."""
    return [name for name, content in pages.items() if CONFLICT.search(content)]


def swallowed(tree):
    """Return where every exception vanishes without a word."""
    return [
        f"{name}:{node.lineno}"
        for name, source in tree.items()
        for node in nodes(source)
        if _is_silent(node)
    ]


def _is_silent(node):
    if isinstance(node, ast.ExceptHandler):
        return (node.type is None or _is_broad(node.type)) and _does_nothing(node.body)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}:
        return any(_is_broad(one) for one in node.args)
    return False


def _is_broad(caught):
    return not BROAD.isdisjoint(
        one.id for one in ast.walk(caught) if isinstance(one, ast.Name)
    )  # a tuple of them, too


def _does_nothing(body):
    return all(
        isinstance(one, ast.Pass | ast.Continue)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in body
    )


def test_the_top_level_holds_only_what_a_reader_expects():
    assert unexpected(tracked()) == []


def test_no_merge_is_left_half_done():
    pages = {name: (ROOT / name).read_text(errors="replace") for name in tracked()}
    assert unresolved(pages) == []
    assert unresolved({"README.md": f"a\n{'<' * 7} HEAD\nb\n"}) == ["README.md"]


def test_no_file_has_a_name_that_says_nothing():
    assert vague(sources()) == ["oauth/grants/base.py"]


def test_every_room_opens_with_a_page():
    assert pageless(sources()) == []
    assert unmentioned(sources()) == []


def test_nothing_is_left_for_later():
    assert leftovers(sources()) == []


def test_no_exception_is_swallowed_whole():
    assert swallowed(sources()) == []


@pytest.mark.parametrize(
    "handler",
    [
        "except:",
        "except Exception:",
        "except BaseException as error:",
        "except (OSError, Exception):",
    ],
)
@pytest.mark.parametrize("body", ["pass", "...", "continue"])
def test_a_swallowed_exception_is_found(handler, body):
    bad = f"for one in ():\n    try:\n        one()\n    {handler}\n        {body}\n"
    assert swallowed({"a.py": bad}) == ["a.py:4"]
    assert swallowed({"a.py": bad.replace(body, "raise")}) == []


@pytest.mark.parametrize("call", ["suppress(Exception)", "contextlib.suppress(OSError, Exception)"])
def test_a_suppressed_exception_is_found(call):
    assert swallowed({"a.py": f"with {call}:\n    act()\n"}) == ["a.py:1"]


@pytest.mark.parametrize("mark", ["# TODO later", "# FIXME", "raise NotImplementedError"])
def test_a_leftover_is_found(mark):
    assert leftovers({"a.py": f"x = 1\n{mark}\n"}) == [f"a.py: {mark}"]


def test_what_says_nothing_or_stands_in_the_wrong_place_is_found():
    assert unexpected(["notes.txt", "scripts/a.sh", "docs/a.md", ".gitignore"]) == [
        "notes.txt",
        "scripts",
    ]
    assert vague({"users/helpers.py": ""}) == ["users/helpers.py"]
    assert pageless({"users/__init__.py": '"""Users."""\n'}) == ["users/__init__.py"]
    room = {"users/__init__.py": '"""`emails`"""', "users/email.py": "", "users/emails.py": ""}
    assert unmentioned(room) == ["users/email.py"]

"""The package's page: its code runs, and it names every option, reason and limit there is."""

import ast
import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest
from documents import Documents
from issuing import token

import keyturn_verifier
from keyturn_verifier import (
    Reason,
    StatusPolicy,
    UrllibFetch,
    Verifier,
    compact,
    fetch,
    jwks,
    verifier,
)

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "packages/verifier/src/keyturn_verifier"
GUIDE = (ROOT / "docs/protecting-an-api.md").read_text().partition("\n## ")[0]
PAGE = (Path(__file__).parents[1] / "README.md").read_text()


def unnamed(names, page=PAGE):
    return [name for name in names if f"`{name}`" not in page and f"{name}=" not in page]


def test_every_option_and_reason_is_named():
    options = [name for name in inspect.signature(Verifier).parameters if name != "self"]
    fetching = [field.name for field in dataclasses.fields(UrllibFetch) if field.name != "threads"]
    policies = [field.name for field in dataclasses.fields(StatusPolicy)]
    others = {"scope", "step_up"}  # of what stands on top of `verify`
    reasons = [reason.value for reason in Reason if reason.value not in others]
    assert unnamed([*options, *fetching, *policies, *reasons]) == []
    assert unnamed(["no_such_option"]) == ["no_such_option"]


@pytest.mark.parametrize(
    "said",
    [
        f"{compact.MOST_CHARACTERS:,} characters",
        f"at most {compact.MOST_HEADER_CHARACTERS:,},",
        ", ".join(verifier.USUAL_ALGORITHMS),
        f"({jwks.MAX_AGE:.0f} s without one",
        f"good for {jwks.STALE / 3600:.0f} hours",
        f"{jwks.PATIENCE:.0f} s at most; then none for {jwks.COOL_DOWN:.0f} s",
        f"no other for {jwks.MISSING_FOR:.0f} s",
        f"honoured, up to {fetch.LONGEST_RETRY_AFTER:.0f} s",
        f"`wait`, seconds the first token of a list waits ({StatusPolicy().wait:.0f})",
        f"`unused`, seconds after which a list is forgotten ({StatusPolicy().unused:.0f})",
        f"UrllibFetch(timeout={UrllibFetch.timeout}, most_bytes={UrllibFetch.most_bytes:_}",
    ],
)
def test_every_number_is_the_codes(said):
    assert said in PAGE


def test_the_packages_page_names_every_module_and_no_other():
    modules = {one.stem for one in SOURCE.glob("*.py")} - {"__init__"}
    rooms = keyturn_verifier.__doc__.partition("The rooms:")[2]
    assert set(re.findall(r"`(\w+)`", rooms)) == modules


def test_what_stands_around_it_is_there():
    section = PAGE.partition("## Around it")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)
    for module, text in rows:
        names = re.findall(r"`([A-Z]\w+|require\w*)[`(]", text)
        room = importlib.import_module(f"keyturn_verifier.{module}")
        assert [name for name in names if not hasattr(room, name)] == []
    told = set(
        re.findall(
            r"`(?:python -m keyturn_verifier\.)?(\w+)(?:\.\w+)?`", GUIDE.partition("| --- |")[2]
        )
    )
    assert {module for module, _ in rows} == told


async def test_the_five_lines_run(monkeypatch):
    """As they stand, with an issuer of ours handed in."""
    documents = Documents()
    usual = Verifier.__init__

    def known_issuer(self, issuer, audience):
        usual(
            self,
            "https://id.example.test",
            "https://api.example.test",
            fetch=documents,
            clock=documents.clock,
        )

    monkeypatch.setattr(Verifier, "__init__", known_issuer)
    lines = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    made = {"raw": token()}
    code = compile(lines, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, made)
    assert made["token"].subject == "user-1"
    await made["verifier"].aclose()

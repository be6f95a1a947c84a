"""The page about what breaks in a browser names the cases that the tests run, mode by mode."""

from importlib import util
from types import SimpleNamespace

from support.demo_cases import MODES, case, cases_of
from support.tree import ROOT, differences, spans, table, text

PAGE = "docs/browser-faults.md"
HEADING = "## What a person sees"


def told(page):
    return {f"{row[0]}, {spans(row[1])[0]}" for row in table(page, HEADING)}


def real(modules):
    return {", ".join(one) for module in modules for one in cases_of(module)}


def loaded(path):
    spec = util.spec_from_file_location(f"cases_of_{path.stem}", path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_case_is_told_and_every_told_case_is_run():
    modules = [loaded(path) for path in (ROOT / "tests/interop").glob("test_demo_faults*.py")]
    assert differences(told(text(PAGE)), real(modules)) == []


def test_a_case_that_is_not_told_is_found():
    @case("A storm")
    def test_storm():
        pass

    page = f"{HEADING}\n\n| case | mode |\n| --- | --- |\n| A storm | `cookie` |\n| A calm | `body` |\n"
    assert differences(told(page), real([SimpleNamespace(storm=test_storm)])) == [
        *(f"A storm, {mode}: told nowhere" for mode in sorted(MODES) if mode != "cookie"),
        "A calm, body: there is no such thing",
    ]

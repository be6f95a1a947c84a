"""The demo's page and what its README lets a browser suite hold on to are the same."""

import re

from support.tree import ROOT, differences, spans, table, text

VUE = ROOT / "examples/vue"
GIVEN = re.compile(r'[^:]data-testid="([^"]+)"')
MADE = re.compile(r':data-testid="`([^`]+)`"')
MODES = ("cookie", "body", "code")


def given(source):
    """Return the names in a component; those it makes up by their pattern."""
    made = {re.sub(r"\$\{one\.(\w+)\}", r"{\1}", one) for one in MADE.findall(source)}
    return {*GIVEN.findall(source), *made}


def told(page):
    """Return the names in the table, without what stands in brackets beside them."""
    rows = table(page, "## What a browser suite can hold on to")
    return {one for _, names in rows for one in spans(re.sub(r"\([^)]*\)", "", names))}


def real(sources):
    named = {one for source in sources for one in given(source)}
    renamed = {"end-{id}": {"end-SESSION_ID"}, "fill-{email}": {"fill-EMAIL"}}
    renamed["mode-{mode}"] = {f"mode-{one}" for one in MODES}
    return {new for one in named for new in renamed.get(one, {one})}


def test_every_name_of_the_page_is_told_and_every_told_name_exists():
    sources = [path.read_text() for path in (VUE / "src").rglob("*.vue")]
    assert differences(told(text("examples/vue/README.md")), real(sources)) == []


def test_a_name_that_is_not_told_is_found():
    source = '<a data-testid="go" /><b :data-testid="`end-${one.id}`" />'
    page = (
        "## What a browser suite can hold on to\n\n| where | names |\n| --- | --- |\n"
        "| here | `go` (`data-what`), `stop` |\n"
    )
    assert differences(told(page), real([source])) == [
        "end-SESSION_ID: told nowhere",
        "stop: there is no such thing",
    ]

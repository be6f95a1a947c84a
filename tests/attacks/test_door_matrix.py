"""Every endpoint, by every method and with every content type: generated from the server's own routes.

A method that a path does not have is 405, and `Allow` names exactly those it has; a body of another
type is 415 or, where somebody has to show a token first and has not, 401; never anything else.
"""

from collections import defaultdict
from random import Random

import pytest

from attacks.grammar import FORM, JSON
from attacks.grammar_values import CONTENT_TYPES, METHODS
from attacks.judge import Judge
from attacks.seeds import SEEDS
from attacks.stock import Stock
from attacks.wire import Line
from keyturn import paths

BODIES = {"POST", "PUT", "PATCH"}
READS_NO_BODY = {f"POST {paths.USERINFO}"}
"""Its form may hold a token only, which is not taken there."""


@pytest.fixture(scope="module")
async def stock(target):
    """One of everything."""
    return await Stock.made(target, Random("doors"))


def lines_to(target):
    """Return a way to ask either port."""
    one = target.replicas[0]
    public, management = (
        Line(int(url.rpartition(":")[2])) for url in (one.url, one.management_url)
    )
    return lambda draft: (management if draft.manages else public).ask(
        draft.written(), bodiless=draft.method == "HEAD"
    )


def by_path():
    """Return every path with its methods and a way to begin."""
    every = defaultdict(dict)
    for door, makes in SEEDS.items():
        method, _, path = door.partition(" ")
        every[path][method] = makes[0]
    return every


@pytest.mark.long
@pytest.mark.parametrize("path", by_path())
async def test_a_path_has_its_methods_and_no_others(target, stock, path):
    ways, ask = by_path()[path], lines_to(target)
    has = {*ways, *(["HEAD"] if "GET" in ways else [])}
    for method in METHODS:
        draft = next(iter(ways.values()))(stock)
        draft.method = method
        if method in has:
            continue
        answer = await ask(draft)
        assert [*Judge(target.issuer, stock.secrets).complaints(draft, answer)] == []
        if method == "CONNECT" or answer.status == 400:
            continue  # the parser knows no such method
        assert answer.status == 405, (method, answer)
        assert {*answer.header("allow").split(", ")} == has


@pytest.mark.long
@pytest.mark.parametrize("door", [one for one in SEEDS if one.partition(" ")[0] in BODIES])
async def test_a_body_of_another_type_is_not_read(target, stock, door):
    ask = lines_to(target)
    for kind in CONTENT_TYPES:
        draft = SEEDS[door][0](stock)
        right = FORM if draft.form is not None else JSON
        if (draft.form is None and draft.json is None) or kind.lower().startswith(right):
            continue
        draft.headers[:] = [pair for pair in draft.headers if pair[0] != "Content-Type"]
        draft.headers.append(("Content-Type", kind))
        answer = await ask(draft)
        assert [*Judge(target.issuer, stock.secrets).complaints(draft, answer)] == []
        assert answer.status == (200 if door in READS_NO_BODY else 415), (kind, answer)

"""Every way of saying no is on one page, with its status, in words that a header may carry."""

import re

import pytest

from keyturn import (
    authorization_errors,
    device_errors,
    dpop_errors,
    errors,
    registration_errors,
    request_errors,
)
from support.tree import differences, spans, table, text

REFUSALS = [
    one
    for module in (
        errors,
        authorization_errors,
        device_errors,
        dpop_errors,
        registration_errors,
        request_errors,
    )
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, errors.Refusal)
]
ALLOWED = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 section 5.2 and appendix A.8: `error_description`."""


def refused(kinds):
    return {f"{one.code} {one.status}" for one in kinds}


def documented(page):
    return {f"{spans(code)[0]} {status}" for code, status, *_ in table(page, "## Errors")}


def unspeakable(kinds):
    return [one.__name__ for one in kinds if not ALLOWED.fullmatch(one.sentence)]


def test_every_error_code_is_documented_with_its_status_and_every_documented_one_exists():
    assert differences(documented(text("docs/endpoints.md")), refused(REFUSALS)) == []


def test_public_sentences_use_only_what_rfc_6749_allows():
    assert unspeakable(REFUSALS) == []


class Planted(errors.Refusal):
    code = "planted"
    status = 418
    sentence = 'There is no "planted".'


PAGE = "## Errors\n\n| code | status | when |\n| --- | --- | --- |\n| `planted` | 418 | now |\n"


@pytest.mark.parametrize(
    ("good", "bad", "complaints"),
    [
        ("", "", []),
        ("418", "400", ["planted 418: told nowhere", "planted 400: there is no such thing"]),
        ("| `planted` | 418 | now |\n", "", ["planted 418: told nowhere"]),
        ("now |\n", "now |\n| `b` | 400 | |\n", ["b 400: there is no such thing"]),
    ],
)
def test_a_page_that_leaves_out_or_invents_a_code_is_found(good, bad, complaints):
    assert differences(documented(PAGE.replace(good, bad)), refused([Planted])) == complaints


def test_a_sentence_that_no_header_may_carry_is_found():
    assert unspeakable([Planted]) == ["Planted"]

"""Every language says everything, with the same values in it, and nothing that no page asks for."""

import re
from importlib import resources
from string import Formatter

import pytest

from keyturn import authorization_errors, errors
from keyturn.pages.answers import _SAID, key_of
from keyturn.pages.languages import Languages, accepted
from support.tree import sources

ENGLISH = "en"
KEY = re.compile(r'"([a-z]+(?:\.[a-z_]+)+)"')


def catalogues():
    """Return the messages of each file as they stand in it, without English behind them."""
    from keyturn.pages.languages import _catalogues

    return dict(_catalogues())


def templates():
    folder = resources.files("keyturn.pages").joinpath("templates")
    return {one.name: one.read_text("utf-8") for one in folder.iterdir()}


def used():
    """Return every key that a template or a page of `keyturn.pages` names."""
    python = [text for name, text in sources().items() if name.startswith("pages/")]
    keys = {key for text in [*python, *templates().values()] for key in KEY.findall(text)}
    keys |= set(re.findall(r"'([a-z]+\.[a-z_]+)'", templates()["base.html"]))
    errors_shown = {key for key in keys if key.startswith("error.")}
    whole = {f"{key}.{part}" for key in errors_shown for part in ("title", "text")}
    files = {"pages.css", *templates()}
    return {key for key in (keys - errors_shown) | whole if key not in files and "html" not in key}


def missing(catalogue, keys):
    return sorted(keys - set(catalogue))


def values_of(message):
    return {name for _, name, _, _ in Formatter().parse(message) if name}


ALL = catalogues()


def test_there_are_english_and_german():
    assert {"en", "de"} <= set(ALL)
    assert next(iter(Languages.load().known)) == ENGLISH


@pytest.mark.parametrize("code", ALL)
def test_a_language_says_everything_that_english_says_and_nothing_else(code):
    assert set(ALL[code]) ^ set(ALL[ENGLISH]) == set()


@pytest.mark.parametrize("code", ALL)
def test_a_message_has_the_same_values_in_every_language(code):
    different = [
        key for key, said in ALL[code].items() if values_of(said) != values_of(ALL[ENGLISH][key])
    ]
    assert different == []


def test_every_key_a_page_uses_has_a_message():
    assert missing(ALL[ENGLISH], used()) == []


def test_no_message_is_kept_that_no_page_says():
    of_scopes = {key for key in ALL[ENGLISH] if key.startswith("scope.")}
    assert set(ALL[ENGLISH]) - used() - of_scopes == set()


def test_a_key_that_is_missing_is_found():
    assert missing(ALL["de"], {"login.title", "login.forgotten"}) == ["login.forgotten"]


def test_every_refusal_has_words():
    kinds = [
        one
        for one in {**vars(errors), **vars(authorization_errors)}.values()
        if isinstance(one, type) and issubclass(one, errors.Refusal)
    ]
    assert {kind for kind, _ in _SAID} <= set(kinds)
    for kind in kinds:
        key = key_of(kind.__new__(kind))
        assert {f"{key}.title", f"{key}.text"} <= set(ALL[ENGLISH])


def test_values_in_a_message_are_escaped_and_braces_in_them_mean_nothing():
    english = Languages.load().known[ENGLISH]
    assert english.say("login.to", client="<b>{wait}</b>") == (
        "to continue to &lt;b&gt;{wait}&lt;/b&gt;"
    )


@pytest.mark.parametrize(
    ("code", "number", "unit", "text"),
    [
        ("en", 1, "second", "1 second"),
        ("en", 30, "day", "30 days"),
        ("de", 1, "day", "1 Tag"),
        ("de", 45, "second", "45 Sekunden"),
    ],
)
def test_an_amount_has_the_plural_of_its_language(code, number, unit, text):
    assert Languages.load().known[code].amount(number, unit) == text


@pytest.mark.parametrize(
    ("header", "codes"),
    [
        ("", []),
        ("de", ["de"]),
        ("en;q=0.5, de", ["de", "en"]),
        ("de;q=0, en", ["en"]),
        ("de;q=x, en", ["en"]),
        ("de;q=nan, en", ["en"]),
        ("de-AT,de;q=0.9,*;q=0.1", ["de-AT", "de", "*"]),
        (",,;;q=,", []),
    ],
)
def test_accept_language_is_read_as_it_is_meant(header, codes):
    assert accepted(header) == codes


@pytest.mark.parametrize("code", ["de", "DE", "De-de", "DE_CH"])
def test_a_language_is_known_however_it_is_spelt(code):
    assert Languages.load().choose([code]).code == "de"


@pytest.mark.parametrize("codes", [["x" * 5000], ["\u0661"], ["*"], [""], ["zz-ZZ"], ["a_b_c"]])
def test_a_language_nobody_knows_is_english(codes):
    assert Languages.load().choose(codes).code == ENGLISH

"""The page of the doctor and the checks say the same: every id, and how bad it is."""

import pytest

from keyturn.doctor.examination import CHECKS
from support.tree import differences, spans, table, text


def documented(page):
    """Return `id severity` of each row."""
    return {f"{spans(name)[0]} {severity}" for name, severity, *_ in table(page, "## Checks")}


def mendless(page):
    """Return the checks of which the page does not say what they mean, or how to mend them."""
    return [name for name, _, *told in table(page, "## Checks") if not all(told)]


def test_every_check_is_documented_and_every_documented_check_exists():
    real = {f"{one.id} {one.severity}" for one in CHECKS}
    assert differences(documented(text("docs/doctor.md")), real) == []
    assert len(real) == len(CHECKS)


def test_every_check_is_explained_with_its_remedy():
    assert mendless(text("docs/doctor.md")) == []


PAGE = """
## Checks

| check | when it is not well | what it means | how to mend it |
| --- | --- | --- | --- |
| `redis.version` | error | too old | upgrade |
"""


@pytest.mark.parametrize(
    ("good", "bad", "complaints"),
    [
        ("", "", []),
        (
            "redis.version",
            "redis.age",
            ["redis.version error: told nowhere", "redis.age error: there is no such thing"],
        ),
        (
            "| error",
            "| warning",
            ["redis.version error: told nowhere", "redis.version warning: there is no such thing"],
        ),
    ],
)
def test_a_page_that_invents_or_plays_down_is_found(good, bad, complaints):
    assert differences(documented(PAGE.replace(good, bad)), {"redis.version error"}) == complaints
    assert mendless(PAGE.replace("upgrade", "")) == ["`redis.version`"]

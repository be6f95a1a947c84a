"""Codes that people type: every way to write one, and nothing else."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.authorizations.user_codes import ALPHABET, new, read, shown

CODES = st.text(ALPHABET, min_size=8, max_size=8)
FULL_WIDTH = "".join(chr(ord(one) + 0xFEE0) for one in "BCDF-GHJK")
SEPARATORS = st.text(" -_.·/\u2013\u00a0", max_size=3)


def test_codes_are_random_letters_that_spell_no_words():
    drawn = [new() for _ in range(2000)]
    assert len(set(drawn)) == 2000
    letters = Counter("".join(drawn))
    assert set(letters) == set(ALPHABET) == set("BCDFGHJKLMNPQRSTVWXZ")
    assert max(letters.values()) < 1.3 * min(letters.values())


@given(code=CODES, between=st.lists(SEPARATORS, min_size=9, max_size=9), lower=st.booleans())
def test_a_code_is_read_however_it_is_grouped(code, between, lower):
    typed = between[8] + "".join(a + b for a, b in zip(code, between, strict=False))
    assert read(typed.lower() if lower else typed) == code
    assert read(shown(code)) == code


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_code_of_ours_or_none(typed):
    assert (found := read(typed)) is None or (len(found) == 8 and set(found) <= set(ALPHABET))


@pytest.mark.parametrize(
    ("typed", "code"),
    [("1l1i-ZZZZ", "LLLLZZZZ"), ("0o0O-2222", "QQQQZZZZ"), ("5568-uvUV", "SSGBVVVV"),
     (FULL_WIDTH, "BCDFGHJK")],
    ids=["l", "o", "digits", "full width"],
)  # fmt: skip
def test_look_alikes_are_what_they_look_like(typed, code):
    assert read(typed) == code


@pytest.mark.parametrize(
    "typed", ["", "BCDF", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJA", "BCDFGHJ\u0392", " " * 60 + "BCDFGHJK"]
)  # fmt: skip
def test_what_is_no_code_is_none(typed):
    assert read(typed) is None

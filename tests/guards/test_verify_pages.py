"""The pages of `docs/verify` say the same things of each stack, with the same values."""

import pytest

from support.stacks.page import FOLDER, Page
from support.stacks.world import ROWS

NAMES = sorted(one.stem for one in FOLDER.glob("*.md") if one.stem not in {"README", "status-list"})
VALUES = ("https://id.example.com", "https://api.example.com", "orders.read")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_answers_every_row_and_is_in_the_index(name):
    page = Page.named(name)
    assert tuple(page.answers) == ROWS
    assert f"]({name}.md)" in Page.named("README").text
    assert page.files
    assert "ested with" in page.text or "ntested" in page.text or "schemas of Istio" in page.text
    said = "\n".join(page.files.values()) + page.text
    assert [one for one in VALUES if one not in said] == []


def test_there_are_ten_of_them():
    assert len(NAMES) == 10


def test_a_page_that_answers_less_is_found():
    assert tuple(Page("short", "| no token | 401 | |\n").answers) != ROWS

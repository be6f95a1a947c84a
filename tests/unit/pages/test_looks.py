"""Readable in both schemes, small, and without anything a person would have to wait for."""

import re
from importlib import resources

import pytest
from jinja2 import PackageLoader

from keyturn.configuration import load_settings
from keyturn.errors import SettingsRefused
from keyturn.pages.stylesheet import Stylesheet
from keyturn.settings_pages import ENOUGH, PagesSettings, contrast

SETTINGS = {
    "issuer": "https://id.example",
    "secrets": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    "postgres": {"url": "postgresql://keyturn@db.example/keyturn"},
}
MOST_BYTES = 30_000


def loaded(**pages):
    return load_settings({}, None, {**SETTINGS, "pages": pages}).pages


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
    ],
)
def test_contrast_is_what_wcag_says_it_is(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_default_colours_can_be_read(scheme):
    told = PagesSettings().model_dump()
    for name in ("text", "accent"):
        assert contrast(told[f"{scheme}_{name}"], told[f"{scheme}_background"]) >= ENOUGH


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        ({"light_accent": "#777777"}, "light_accent has a contrast of 4.5 on light_background"),
        ({"dark_text": "#222222"}, "dark_text has a contrast of 1.1 on dark_background"),
        ({"light_background": "#808080"}, "light_text has a contrast of 4.2"),
        ({"light_text": "black"}, "write a colour as #rrggbb"),
        ({"light_text": "#000;}body{display:none"}, "write a colour as #rrggbb"),
        ({"logo_url": "http://cdn.example/logo.svg"}, "write https://host/path"),
        ({"logo_url": "https://cdn.example/a; script-src *"}, "write https://host/path"),
        ({"logo_url": "https://cdn.example"}, "write https://host/path"),
        ({"name": ""}, "write 1 to 60 printable characters"),
        ({"name": "a\u202eb"}, "write 1 to 60 printable characters"),
        ({"name": "x" * 61}, "write 1 to 60 printable characters"),
    ],
)
def test_pages_that_nobody_could_read_or_trust_are_refused_at_start(pages, sentence):
    with pytest.raises(SettingsRefused, match=re.escape(sentence)):
        loaded(**pages)


def test_the_style_sheet_has_the_operators_colours_and_a_name_of_its_own():
    plain, own = Stylesheet.of(PagesSettings()), Stylesheet.of(loaded(light_accent="#7A1FA2"))
    assert b"--accent: #7a1fa2;" in own.content
    assert b"#1d4ed8" not in own.content
    assert plain.name != own.name
    assert not re.search(rb"--(light|dark)-", own.content), "every colour has been filled in"


def test_the_heaviest_page_with_its_style_sheet_is_small():
    folder = resources.files("keyturn.pages")
    texts = [len(one.read_bytes()) for one in folder.joinpath("templates").iterdir()]
    base = len(folder.joinpath("templates/base.html").read_bytes())
    weight = len(Stylesheet.of(PagesSettings()).content) + base + max(texts) + 4000
    assert weight < MOST_BYTES


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs_but_one_constant():
    loader = PackageLoader("keyturn.pages")
    for name in loader.list_templates():
        text = resources.files("keyturn.pages").joinpath("templates", name).read_text("utf-8")
        assert not re.search(r"https?:|\sstyle=|\son[a-z]+=|<style|\|\s*safe", text), name
        scripts = re.findall(r"<script.*?</script>", text)
        assert scripts == (["<script>{{ script }}</script>"] if name == "form_post.html" else [])
    sheet = Stylesheet.of(PagesSettings()).content
    assert not re.search(rb"url\(|@import|@font-face", sheet)


def test_the_style_sheet_serves_people_who_need_something_else():
    sheet = Stylesheet.of(PagesSettings()).content.decode()
    for wanted in (
        "color-scheme: light dark",
        "prefers-color-scheme: dark",
        "prefers-reduced-motion",
        "forced-colors: active",
        ":focus-visible",
    ):
        assert wanted in sheet

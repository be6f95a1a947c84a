"""The documents lead where they say."""

import re

from support.tree import ROOT, SOURCE, text

PAGES = [
    "README.md",
    "SECURITY.md",
    "examples/api/README.md",
    "examples/vue/README.md",
    "helm/keyturn/README.md",
    *(str(one.relative_to(ROOT)) for one in (ROOT / "docs").rglob("*.md")),
]
VERSION = re.compile(r'^(?:__version__|version) = "([^"]+)"$', re.MULTILINE)


def dead_links(name, page):
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    return [f"{name}: {link}" for link in links if not (ROOT / name).parent.joinpath(link).exists()]


def test_every_link_of_the_documents_leads_somewhere():
    assert [one for name in PAGES for one in dead_links(name, text(name))] == []


def test_a_link_that_leads_nowhere_is_found():
    page = "[here](metrics.md) [there](nowhere.md) [away](https://example.com)"
    assert dead_links("docs/a.md", page) == ["docs/a.md: nowhere.md"]


def test_the_package_version_is_told_once():
    told = (
        VERSION.findall((SOURCE / "__init__.py").read_text()),
        VERSION.findall(text("pyproject.toml")),
    )
    assert told[0] == told[1]
    assert len(told[0]) == 1

"""The documents tell the same story as the code, or a test fails."""

import re

import pytest
import typer.main
import yaml

from keyturn import errors, paths
from keyturn.cli.main import app
from keyturn.configuration import describe
from keyturn.session_api import openapi
from keyturn.settings import Settings
from keyturn.telemetry.audit import EventType
from keyturn.telemetry.metrics import Metrics
from support.tree import ROOT, SOURCE, text

URLS = {value for name, value in vars(paths).items() if name.isupper()}
REFUSALS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.Refusal) and one is not errors.Refusal
]


def _flatten(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _sample():
    """The settings file with its commented-out settings switched on."""
    lines = [
        re.sub(r"^(\s*)# (\w+:)", r"\1\2", line)
        for line in text("config/keyturn.yaml").splitlines()
    ]
    return dict(_flatten(yaml.safe_load("\n".join(lines))))


def test_every_setting_is_explained_with_its_default():
    sample = _sample()
    assert set(sample) == {name for name, _ in describe()}
    required = {"issuer", "secrets", "postgres.url", "redis.url", "clients_file"}
    for name, value in sample.items():
        if name in required:
            continue
        field = Settings.model_fields[name.split(".")[0]]
        default = field.default
        for part in name.split(".")[1:]:
            default = getattr(default, part, None) if default is not None else None
            if default is None and name.startswith("postgres."):
                default = field.annotation.model_fields[part].default
        shown = tuple(value) if isinstance(value, list) else value
        assert shown == default, f"{name}: the file says {value}, the code {default}"


def test_every_setting_has_a_sentence_above_it():
    lines = text("config/keyturn.yaml").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"^\s*(# )?[a-z_]+:( |$)", line):
            above = lines[number - 1].strip()
            assert above.startswith("#"), f"line {number + 1}: {line.strip()}"


def test_every_url_is_documented():
    page = text("docs/endpoints.md")
    assert {url for url in URLS if f"`{url.replace('{session_id}', '{id}')}`" not in page} == set()


def test_every_documented_url_exists():
    page = text("docs/endpoints.md")
    mentioned = set(re.findall(r"`(/(?:auth|oauth2|health|metrics|\.well-known)[^` ]*)`", page))
    known = {url.replace("{session_id}", "{id}") for url in URLS}
    families = {"/auth", "/oauth2", "/oauth2/..."}
    assert mentioned - known - families == set()


def test_every_session_api_door_is_in_its_openapi_document():
    described = set(openapi.describe("https://example.com")["paths"])
    assert described == {
        url for url in URLS if url.startswith("/auth/") and url != paths.SESSION_OPENAPI
    }


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_every_error_code_is_documented_with_its_status(refusal):
    line = f"| `{refusal.code}` | {refusal.status} |"
    assert line in text("docs/endpoints.md")


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_public_sentences_use_only_what_rfc_6749_allows(refusal):
    assert re.fullmatch(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+", refusal.sentence)


def test_every_metric_is_documented_and_every_documented_metric_exists():
    page = text("docs/metrics.md")
    families = {family.name: family for family in Metrics().registry.collect()}
    named = {
        f"{name}_total" if family.type == "counter" else
        f"{name}_info" if family.type == "info" else name
        for name, family in families.items()
    }  # fmt: skip
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    events = set(EventType.__args__)
    assert documented - events == named


def test_every_audit_event_is_documented():
    page = text("docs/metrics.md")
    assert {event for event in EventType.__args__ if f"| `{event}` |" not in page} == set()


def test_every_command_and_option_is_documented():
    page = text("docs/commands.md")
    missing = [
        f"{name} {option}".strip()
        for name, options in _commands()
        for option in options
        if f"`{name}`" not in page or (option and option not in _section(page, name))
    ]
    assert missing == []


def _commands():
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        inner = getattr(command, "commands", {"": command})
        for sub, one in inner.items():
            options = [o for p in one.params for o in p.opts if o.startswith("--")]
            yield f"keyturn {name} {sub}".strip(), ["", *(o for o in options if o != "--help")]


def _section(page, name):
    """The lines of a command's row, and of the options every command has."""
    rows = [line for line in page.splitlines() if f"`{name}`" in line or "every command" in line]
    return "\n".join(rows)


def test_every_link_of_the_documents_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_package_version_is_told_once():
    assert '__version__ = "0.1.0"' in (SOURCE / "__init__.py").read_text()
    assert 'version = "0.1.0"' in text("pyproject.toml")

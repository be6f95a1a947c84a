"""Every setting and every field of a client is explained in the file that operators copy."""

import re

import pytest
import yaml

from keyturn.clients.clients_file import _Written
from keyturn.configuration import describe
from keyturn.settings import Settings
from support.tree import differences, text

REQUIRED = {
    "issuer",
    "secrets",
    "postgres.url",
    "postgres.direct_url",
    "redis.url",
    "clients_file",
    "tracing.endpoint",
}
"""Settings whose line is an example, because their default is nothing."""
SETTING = re.compile(r"\s*(# )?[a-z_]+:( |$)")


def shown(page):
    """Return the settings of a file by their dotted name, those commented out switched on."""
    lines = [re.sub(r"^(\s*)# (\w+:)", r"\1\2", line) for line in page.splitlines()]
    return dict(_flatten(yaml.safe_load("\n".join(lines))))


def _flatten(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tuple(value) if isinstance(value, list) else value


def wrong_defaults(page):
    return [name for name, value in shown(page).items() if _default(name) not in {value, ...}]


def _default(name):
    if name in REQUIRED:
        return ...
    default, model = None, Settings
    for part in name.split("."):
        field = model.model_fields[part]
        default, model = field.default, field.annotation
    return default


def unexplained_settings(page):
    """Return the lines of settings that no sentence stands above."""
    lines = page.splitlines()
    return [
        line.strip()
        for above, line in zip(["", *lines], lines, strict=False)
        if SETTING.match(line) and (SETTING.match(above) or not above.strip().startswith("#"))
    ]


def client_fields(page):
    """Return the fields a clients file has a line for, commented out or not."""
    return set(re.findall(r"^ +(?:- |# )?([a-z_]+):(?: |$)", page, re.MULTILINE)) | set(
        re.findall(r"^ +# {3}([a-z_]+) ", page, re.MULTILINE)
    )


def unexplained_fields(page):
    """Return the fields that no line explains: beside it, or in a list of alternatives."""
    beside = set(re.findall(r"^ +(?:- |# )?([a-z_]+): .*\S +# \S", page, re.MULTILINE))
    listed = set(re.findall(r"^ +# {3}([a-z_]+) +\S", page, re.MULTILINE))
    return sorted(set(_Written.model_fields) - beside - listed)


def test_every_setting_is_shown_with_its_default():
    page = text("config/keyturn.yaml")
    assert differences(shown(page), [name for name, _ in describe()]) == []
    assert wrong_defaults(page) == []


def test_every_setting_has_a_sentence_above_it():
    assert unexplained_settings(text("config/keyturn.yaml")) == []


def test_every_field_of_a_client_is_explained_and_every_one_shown_exists():
    page = text("config/clients.yaml")
    assert differences(client_fields(page), _Written.model_fields) == []
    assert unexplained_fields(page) == []


# -- what the guards find when it is planted ------------------------------------------------------


def test_a_setting_that_is_left_out_or_invented_or_has_another_default_is_found():
    page = text("config/keyturn.yaml")
    bad = page.replace("  # pool_wait: 0.5\n", "  # pool_patience: 0.5\n")
    assert differences(shown(bad), [name for name, _ in describe()]) == [
        "postgres.pool_wait: told nowhere",
        "postgres.pool_patience: there is no such thing",
    ]
    assert wrong_defaults(page.replace("# grace: 10", "# grace: 20")) == ["sessions.grace"]
    assert unexplained_settings("# Why.\na: 1\nb: 2\n# Why.\n# c: 3\n# d: 4\n") == [
        "b: 2",
        "# d: 4",
    ]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("    grace: 10   # seconds\n", ["grace"]),
        ("    # grace: 10   # seconds\n", ["grace"]),
        ("    #   grace   seconds\n", ["grace"]),
        ("    grace: 10\n", []),
        ("", []),
    ],
)
def test_a_field_without_an_explanation_is_found(line, left):
    explained = set(_Written.model_fields) - set(unexplained_fields(line))
    assert sorted(explained) == left

"""The resources of `docs/verify/istio.md` are what Istio's schemas allow; no Istio runs here."""

import json
import subprocess

import pytest
import yaml

from support import npm
from support.stacks.node import PACKAGES
from support.stacks.page import Page

pytestmark = pytest.mark.interop


def complaint(documents):
    npm.packages(PACKAGES)
    done = subprocess.run(
        ["node", PACKAGES / "istio.mjs", json.dumps(documents)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def test_its_resources_match_the_schemas():
    documents = list(yaml.safe_load_all(Page.named("istio").files["keyturn.yaml"]))
    assert complaint(documents) == ""
    documents[1]["spec"]["action"] = "LET"
    assert "action" in complaint(documents)
    documents[0]["spec"]["jwtRules"][0]["audiences"] = "https://api.example.com"
    assert "audiences" in complaint(documents)

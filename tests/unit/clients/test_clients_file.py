"""Reading clients.yaml: all problems at once, with their places, and never a secret."""

import hashlib
from pathlib import Path

import pytest
import yaml

from keyturn.clients import clients_file
from keyturn.clients.rules import Limits
from keyturn.errors import InvalidClientMetadata, SettingsRefused
from keyturn.settings import Settings

LIMITS = Limits("https://id.example")
SECRET = "kts_4f1d0c9b8a7e6f5d4c3b2a190817263544"
WEB = {
    "id": "web",
    "kind": "public",
    "session_api": True,
    "audiences": ["https://api.example"],
}
JOB = {
    "id": "job",
    "kind": "confidential",
    "grant_types": ["client_credentials"],
    "audiences": ["https://api.example"],
}


def read(folder, *clients):
    file = folder / "clients.yaml"
    file.write_text(yaml.safe_dump({"clients": list(clients)}))
    return clients_file.read(file, LIMITS)


def problems(folder, *clients):
    with pytest.raises(InvalidClientMetadata) as caught:
        read(folder, *clients)
    return {problem.path: problem.sentence for problem in caught.value.problems}


def test_the_three_ways_to_give_a_secret_mean_the_same(tmp_path):
    digest = hashlib.sha256(SECRET.encode()).digest()
    (tmp_path / "job.key").write_text(SECRET + "\n")
    (tmp_path / "job.key").chmod(0o600)
    for way in ({"secret": SECRET}, {"secret_hash": digest.hex()}, {"secret_file": "job.key"}):
        (declared,) = read(tmp_path, {**JOB, **way})
        assert declared.secret_hash == digest


def test_every_problem_of_every_client_is_listed(tmp_path):
    found = problems(
        tmp_path,
        {**WEB, "origins": ["null"], "grace": 99},
        {**JOB, "grant_types": [], "secret": "short"},
        JOB,
        {**WEB, "id": "other", "secret": SECRET},
        {**WEB, "id": "twice"},
        {**WEB, "id": "twice"},
    )
    assert set(found) == {
        "clients[0].origins[0]",
        "clients[0].grace",
        "clients[1].grant_types",
        "clients[1].secret",
        "clients[2].secret",
        "clients[3].secret",
        "clients[5].id",
    }


def test_a_secret_file_that_others_can_read_is_refused(tmp_path):
    (tmp_path / "job.key").write_text(SECRET)
    (tmp_path / "job.key").chmod(0o644)
    assert "too open" in problems(tmp_path, {**JOB, "secret_file": "job.key"})["clients[0].secret"]


def test_a_secret_file_that_is_missing_is_a_problem_with_a_place(tmp_path):
    found = problems(tmp_path, {**JOB, "secret_file": "job.key"})
    assert "cannot be read" in found["clients[0].secret"]


def test_a_secret_given_twice_is_refused(tmp_path):
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    found = problems(tmp_path, {**JOB, "secret": SECRET, "secret_hash": digest})
    assert "exactly one" in found["clients[0].secret"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "clients: 5",
        "clients: {web: {}}",
        "clients: []\nmore: 1",
        "clients: [5]",
        "clients: [",
        "a: !!python/object/apply:os.system [id]",
        "clients: [{id: 2026-13-32}]",
        "clients: [{id: web, kind: public, kind: confidential}]",
        "? [a]\n: 1",
        "clients: &a [*a]",
        "\x00",
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path, text):
    (tmp_path / "clients.yaml").write_text(text)
    with pytest.raises(InvalidClientMetadata):
        clients_file.read(tmp_path / "clients.yaml", LIMITS)


def test_a_key_that_appears_twice_is_refused_with_its_line(tmp_path):
    """YAML readers silently keep the last one: two people would each believe theirs counts."""
    file = tmp_path / "clients.yaml"
    file.write_text("clients:\n- id: a\n  kind: public\n  session_api: yes\n  audiences: [urn:a]\n")
    assert len(clients_file.read(file, LIMITS)) == 1
    file.write_text(file.read_text() + "  audiences: [urn:b]\n")
    with pytest.raises(InvalidClientMetadata, match="line 6"):
        clients_file.read(file, LIMITS)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"clients: [" + b"[" * 20_000])
def test_a_file_that_is_not_text_or_far_too_deep_is_refused(tmp_path, content):
    (tmp_path / "clients.yaml").write_bytes(content)
    with pytest.raises(InvalidClientMetadata, match="cannot be read"):
        clients_file.read(tmp_path / "clients.yaml", LIMITS)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InvalidClientMetadata, match="cannot be read"):
        clients_file.read(tmp_path / "none.yaml", LIMITS)


def settings(file):
    return Settings(
        issuer=LIMITS.issuer,
        secrets="1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
        postgres={"url": "postgresql:///unused"},
        clients_file=file,
    )


def test_the_file_of_the_settings_is_read_when_there_is_one(tmp_path):
    assert clients_file.configured(settings(None)) == ()
    read(tmp_path, WEB)
    (declared,) = clients_file.configured(settings(tmp_path / "clients.yaml"))
    assert declared.definition.id == "web"


def test_a_wrong_file_of_the_settings_stops_the_start_with_every_problem(tmp_path):
    file = tmp_path / "clients.yaml"
    file.write_text(yaml.safe_dump({"clients": [{**WEB, "grace": 99}, {**JOB, "secret": "x"}]}))
    with pytest.raises(SettingsRefused) as caught:
        clients_file.configured(settings(file))
    said = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in said] == [
        ["clients_file", "clients[0].grace"],
        ["clients_file", "clients[1].secret"],
    ]


def test_no_problem_repeats_a_secret(tmp_path):
    """Neither a misplaced one, nor one in a line YAML stumbles over."""
    found = problems(
        tmp_path, {**WEB, "name": SECRET + "\n", "secret_hash": SECRET, "kind": SECRET}
    )
    assert SECRET not in str(found)
    (tmp_path / "clients.yaml").write_text(f"clients: [{{secret: {SECRET}, secret: ]]")
    with pytest.raises(InvalidClientMetadata) as caught:
        clients_file.read(tmp_path / "clients.yaml", LIMITS)
    assert SECRET not in str(caught.value)


def test_no_representation_shows_a_secret_or_its_hash(tmp_path):
    (declared,) = read(tmp_path, {**JOB, "secret": SECRET})
    assert SECRET not in repr(declared)
    assert "secret_hash" not in repr(declared)


def test_the_example_in_the_repository_is_a_good_file():
    example = Path(__file__).parents[3] / "config" / "clients.yaml"
    declared = clients_file.read(example, LIMITS)
    assert [one.definition.id for one in declared] == [
        "web",
        "backoffice",
        "partner",
        "bank",
        "gateway",
        "tv",
        "nightly-report",
        "orders-api",
    ]

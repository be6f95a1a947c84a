"""`keyturn config schema`: every setting explained, to people and to programs, without settings."""

import json

from typer.testing import CliRunner

from keyturn.cli.config import app
from keyturn.configuration import describe


def schema(*args: str) -> str:
    result = CliRunner().invoke(app, ["schema", *args], env={"KEYTURN_ISSUER": None})
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_every_setting_is_one_line_with_its_meaning():
    lines = dict(line.split(": ", 1) for line in schema().splitlines())
    assert lines == dict(describe())
    assert all(lines.values())


def test_programs_get_a_json_schema_that_refuses_unknown_settings():
    found = json.loads(schema("--json"))
    assert found["required"] == ["issuer", "secrets", "postgres"]
    assert found["additionalProperties"] is False
    postgres = found["$defs"]["PostgresSettings"]
    assert postgres["properties"]["pool_max"]["default"] == 10
    assert postgres["additionalProperties"] is False

"""Where traces go, and that no secret of theirs is ever printed."""

import pytest

from keyturn.configuration import load_settings
from keyturn.errors import SettingsRefused

GOOD = {
    "KEYTURN_ISSUER": "https://id.example",
    "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    "KEYTURN_POSTGRES__URL": "postgresql://keyturn@db.example/keyturn",
}


def loaded(**changes):
    return load_settings(
        GOOD | {f"KEYTURN_TRACING__{k.upper()}": v for k, v in changes.items()}
    ).tracing


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://[::1]:4318/otlp/v1/traces", "https://[::1]:4318/otlp/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_gets_the_usual_one(given, used):
    assert loaded(endpoint=given).endpoint == used


@pytest.mark.parametrize(
    "endpoint",
    [
        "collector:4318", "grpc://collector:4317", "http://", "http://u:hunter2@collector",
        "https://collector/v1?api-key=hunter2", "http://collector:99999", "http://a b", "http://ä",
    ],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_refused_without_being_repeated(endpoint):
    with pytest.raises(SettingsRefused) as caught:
        loaded(endpoint=endpoint)
    assert str(caught.value).startswith("tracing.endpoint: write http(s)://host:port/v1/traces")
    assert "hunter2" not in str(caught.value)


def test_headers_are_lines_from_a_file_and_never_shown(tmp_path):
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer hunter2\n\nX-Tenant: a:b\n")
    file.chmod(0o400)
    settings = loaded(headers_file=str(file))
    assert settings.sent_headers() == {"authorization": "Bearer hunter2", "x-tenant": "a:b"}
    assert "hunter2" not in f"{settings!r}{settings.model_dump(mode='json')}"


@pytest.mark.parametrize(
    "text", ["hunter2", "a b: hunter2", "X: hunter2\nx: hunter2", "Host: hunter2", "X: hunter2\x07"]
)
def test_headers_that_cannot_be_are_refused_without_being_repeated(text):
    with pytest.raises(SettingsRefused) as caught:
        loaded(headers=text)
    assert str(caught.value).startswith("tracing.headers: ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sample_ratio", "1.1"), ("service_name", "a b"), ("trusted_callers", "10.0.0.1/8")],
)
def test_other_nonsense_is_refused(name, value):
    with pytest.raises(SettingsRefused, match=f"tracing.{name}"):
        loaded(**{name: value})


def test_networks_may_stand_in_one_text():
    assert [str(one) for one in loaded(trusted_callers="10.0.0.0/8, ::1").trusted_callers] == [
        "10.0.0.0/8", "::1/128",
    ]  # fmt: skip

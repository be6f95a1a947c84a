"""Where settings come from: the one module that reads the environment.

The stronger first: `KEYTURN_` environment variables (`__` nests), the `_FILE` twin of each secret
(`KEYTURN_POSTGRES__URL_FILE`), the YAML file named by `--config` or `KEYTURN_CONFIG`, the
defaults. Unknown keys are errors that name the nearest known one; no message holds a value.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from keyturn.errors import SettingsRefused
from keyturn.settings import PREFIX, Settings
from keyturn.settings_syntax import SecretInFile, Section

CONFIG = "KEYTURN_CONFIG"
SERVER = "KEYTURN_SERVER"
CLIENT_ID = "KEYTURN_CLIENT_ID"
CLIENT_SECRET = "KEYTURN_CLIENT_SECRET"  # noqa: S105 - a name
CLIENT_SECRET_FILE = "KEYTURN_CLIENT_SECRET_FILE"  # noqa: S105 - a name

NO_SETTINGS = frozenset({CONFIG, SERVER, CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE})
"""What commands read: where settings are, or a server to ask, and as whom."""

SECRET_FILE_KEYS = frozenset({"secrets_file", "url_file", "direct_url_file", "headers_file"})

_OF_KUBERNETES = re.compile(
    r"KEYTURN_SERVICE_HOST=.*|KEYTURN_SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+"
    r"|KEYTURN_PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*"
    r"|KEYTURN_PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=.*"
)
"""What a pod finds in its environment beside a Service named `keyturn`: nobody's settings."""


def environment() -> Mapping[str, str]:
    """Return the environment of this process: the only place that reads it."""
    return os.environ


def load_settings(
    environ: Mapping[str, str],
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the YAML file, then the environment over it, then `overrides`, and check them.

    Raises `SettingsRefused` with one sentence for each mistake, never with a secret's value.
    """
    path = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    merged = _merge(_read_yaml(path) if path else {}, _read_environment(environ))
    merged = _merge(merged, dict(overrides or {}))
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise SettingsRefused("\n".join(_explain(error))) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        sentence = f"{path}: cannot be read as YAML in UTF-8: {type(error).__name__}"
        raise SettingsRefused(sentence) from None
    if content is not None and not isinstance(content, dict):
        raise SettingsRefused(f"{path}: expected settings by name at the top")
    tree: dict[str, Any] = content or {}
    return _read_file_twins(tree, base=path.parent)


def _read_file_twins(tree: dict[str, Any], base: Path) -> dict[str, Any]:
    """Replace `url_file: path` and `secrets_file: path` by what the file holds."""
    result: dict[str, Any] = {}
    for name, value in tree.items():
        key = str(name)
        if value is None:
            continue  # a section of which everything is commented out
        if isinstance(value, dict):
            result[key] = _read_file_twins(value, base)
        elif key in SECRET_FILE_KEYS:
            result[key.removesuffix("_file")] = _secret_in(base / str(value))
        else:
            result[key] = value
    return result


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in NO_SETTINGS:
            continue
        if _OF_KUBERNETES.fullmatch(f"{name}={text}"):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise SettingsRefused(f"{name}: a shorter variable sets all of {section}")
        if key in SECRET_FILE_KEYS:
            node[key.removesuffix("_file")] = _secret_in(Path(text))
        else:
            node[key] = text
    return tree


def _secret_in(path: Path) -> SecretInFile:
    # Absolute: it is read again, wherever the process stands by then.
    return SecretInFile(read_secret_file(path), path.absolute())


def read_secret_file(path: Path) -> str:
    """Read a secret file. Others must not be able to read it (a group may: fsGroup mounts).

    Raises `SettingsRefused`.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsRefused(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise SettingsRefused(f"{path}: is not text in UTF-8") from None
    if mode & 0o037:
        allowed = "use 0400 or 0600, or 0440 or 0640 for a group"
        raise SettingsRefused(f"{path}: mode {mode & 0o777:04o} is too open; {allowed}")
    return content.strip()


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        where = ".".join(map(str, problem["loc"])) or "settings"
        if problem["type"] == "extra_forbidden":
            yield f"{where}: unknown setting{_nearest(problem['loc'])}"
        elif problem["type"] == "missing":
            yield f"{where}: is required"
        else:
            yield f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _nearest(location: tuple[int | str, ...]) -> str:
    names = dict(describe())
    close = difflib.get_close_matches(".".join(map(str, location)), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def describe(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting's dotted name and description: for docs, `config schema`, suggestions."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from describe(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description or ""

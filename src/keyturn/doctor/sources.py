"""Where the settings of this process stand: which files hold secrets, and who may read them."""

import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from keyturn.configuration import CONFIG, NO_SETTINGS, SECRET_FILE_KEYS
from keyturn.settings import PREFIX

SECRETS = frozenset(key.removesuffix("_file") for key in SECRET_FILE_KEYS)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One file that a setting names; `mode` is None when it cannot be looked at."""

    setting: str
    path: Path
    mode: int | None = None
    owner: int = 0
    readable: bool = False

    @classmethod
    def at(cls, setting: str, path: Path) -> "SecretFile":
        """Look at a file, following links: a mounted secret is one."""
        try:
            status = path.stat()
        except OSError:
            return cls(setting, path)
        readable = os.access(path, os.R_OK)
        return cls(setting, path, stat.S_IMODE(status.st_mode), status.st_uid, readable)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of the settings before they are checked."""

    files: tuple[SecretFile, ...] = ()
    literals: tuple[str, ...] = ()
    """Settings whose secret stands in the YAML file itself."""
    user: int = 0
    """Who runs this process."""


def sources(environ: Mapping[str, str], config: Path | None) -> Sources:
    """Find the files and the literals; what cannot be read, the settings complain about."""
    named = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    tree = _tree(named) if named else {}
    base = named.parent if named else Path()
    pairs = [*_of_environment(environ), *((name, base / path) for name, path in _files(tree))]
    files = tuple(SecretFile.at(name, path) for name, path in dict(pairs).items())
    return Sources(files, tuple(_literals(tree)), os.geteuid())


def name_of(user: int) -> str:
    """Return the name of a user of this machine, or its number."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


def _tree(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _of_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in NO_SETTINGS:
            continue
        setting = name.removeprefix(PREFIX).lower().replace("__", ".")
        if setting.rpartition(".")[2] in SECRET_FILE_KEYS:
            yield setting, Path(value)


def _files(tree: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, value in _leaves(tree):
        if name.rpartition(".")[2] in SECRET_FILE_KEYS:
            yield name, str(value)


def _literals(tree: Mapping[Any, Any]) -> Iterator[str]:
    for name, value in _leaves(tree):
        key = name.rpartition(".")[2]
        # A URL is a secret only when a password stands in it.
        if key in SECRETS and value and (key != "url" or "@" in str(value)):
            yield name


def _leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

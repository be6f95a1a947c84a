"""The machine that figures were measured on, as one line: figures without it mean nothing.

    python load-tests/machine.py

The other load tests print this line, and keep it beside what they record.
"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.backends.openssl import backend

from keyturn.dev.binaries import find_postgres

PROCESSORS = Path("/proc/cpuinfo")


def machine_line() -> str:
    """Return CPU, cores, kernel, and the versions of what a refresh is made of."""
    return ", ".join(
        (
            f"{_processor()}, {os.cpu_count()} cores",
            f"{platform.system()} {platform.release()}",
            f"{platform.python_implementation()} {platform.python_version()}",
            _postgres(),
            f"{_openssl()} of cryptography",
        )
    )


def record(file: Path, command: str, rows: list[dict[str, Any]]) -> None:
    """Write the rows that a command measured, with machine, day and command, for the documents."""
    document = {
        "machine": machine_line(),
        "date": datetime.now(UTC).date().isoformat(),
        "command": command,
        "rows": rows,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _processor() -> str:
    for line in PROCESSORS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _postgres() -> str:
    program = find_postgres(os.environ.get("PATH", os.defpath)).path
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return told.stdout.strip().replace("postgres (PostgreSQL)", "PostgreSQL")


def _openssl() -> str:
    name, version, *_ = backend.openssl_version_text().split()
    return f"{name} {version}"


if __name__ == "__main__":
    print(machine_line())

"""Where a worker begins: `keyturn serve` starts it; by hand it would find no line to its parent."""

import argparse
import socket
import sys
from pathlib import Path

from keyturn.configuration import environment, load_settings
from keyturn.errors import SettingsRefused
from keyturn.web import server
from keyturn.workers.worker import Post, work

WRONG = 2
"""Exit code: the settings are wrong, although the parent's were not."""


def main() -> None:
    """Take over the open files that the arguments name, and work."""
    parser = argparse.ArgumentParser(prog="python -m keyturn.workers")
    parser.add_argument("--line", type=int, required=True)
    parser.add_argument("--public", type=_numbers, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--when-started", action="store_true")
    parser.add_argument("--config", type=Path)
    given = parser.parse_args()
    post = Post(
        line=_opened(given.line),
        public=[_opened(one) for one in given.public],
        count=given.count,
        when_started=given.when_started,
    )
    try:
        settings = load_settings(environment(), given.config)
        server.run(work(settings, post))
    except SettingsRefused as error:
        print(f"keyturn: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        sys.exit(WRONG)


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def _opened(descriptor: int) -> socket.socket:
    opened = socket.socket(fileno=descriptor)
    # It was inherited once; nothing that this process may start shall inherit it again.
    opened.set_inheritable(False)
    opened.setblocking(False)  # noqa: FBT003
    return opened


if __name__ == "__main__":
    main()

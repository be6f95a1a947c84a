"""`python -m keyturn` is `keyturn`."""

from keyturn.cli.main import run

run()

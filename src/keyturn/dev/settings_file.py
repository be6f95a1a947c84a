"""Where a running `keyturn dev` is, for the other commands: `KEYTURN_CONFIG` names this file."""

from pathlib import Path

import yaml

from keyturn.dev import master_secret, private_file
from keyturn.dev.supervisor import EmbeddedPair

FILE = "keyturn.yaml"


def write(pair: EmbeddedPair, issuer: str, management_port: int) -> Path:
    """Write the settings that reach this pair and its server; return their place."""
    tree = {
        "issuer": issuer,
        "development": True,
        "secrets_file": master_secret.FILE,
        "postgres": {"url": pair.postgres_url},
        "redis": {"url": pair.redis_url},
        "server": {"management_port": management_port},
    }
    path = pair.data_dir / FILE
    private_file.write(path, yaml.safe_dump(tree, sort_keys=False))
    return path

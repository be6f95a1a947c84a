"""What `keyturn dev` says when it is ready: a banner for people, or one JSON line for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.dev import demo


@dataclass(frozen=True, slots=True)
class Facts:
    """Where everything is."""

    issuer: str
    management_url: str
    postgres_url: str
    redis_url: str | None
    data_dir: Path
    config: Path
    pids: Mapping[str, int]
    example_api_url: str
    demo_url: str

    def as_json(self) -> dict[str, Any]:
        """Return the one line of `--json`, the demo's constant secrets included."""
        return {
            "issuer": self.issuer,
            "managementUrl": self.management_url,
            "postgresUrl": self.postgres_url,
            "redisUrl": self.redis_url,
            "dataDir": str(self.data_dir),
            "config": str(self.config),
            "pids": dict(self.pids),
            "users": [{"email": one.email, "password": one.password} for one in demo.USERS],
            "clients": [
                {"clientId": client_id, **({"clientSecret": secret} if secret else {})}
                for client_id, secret in demo.SECRETS.items()
            ],
            "exampleApiUrl": self.example_api_url,
            "demoUrl": self.demo_url,
        }

    def as_text(self) -> str:
        """Return the banner."""
        people = "\n".join(f"    {one.email:20} {one.password}" for one in demo.USERS)
        return f"""
  keyturn is ready at {self.issuer}

    demo         {self.demo_url}  <- open this in a browser
    account      {self.issuer}/account
    metadata     {self.issuer}/.well-known/openid-configuration
    health       {self.management_url}/health/ready
    metrics      {self.management_url}/metrics
    example API  {self.example_api_url}/orders
    data         {self.data_dir}

  People who can sign in:
{people}

  For other commands, in another terminal:
    export KEYTURN_CONFIG={self.config}

  The README's tour shows what to do next. Ctrl-C ends everything.
"""

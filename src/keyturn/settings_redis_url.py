"""What a Redis URL says: one server, Sentinels that know the primary, or nodes of a Cluster.

The driver reads URLs of one server only. Of the other two, `server` is the URL the driver reads to
learn how to connect (login, TLS, database); to which address is found out while running.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlunsplit

from pydantic import SecretStr

from keyturn.settings_syntax import ENCODED, read_host, split

Topology: TypeAlias = Literal["server", "sentinel", "cluster"]

PLAIN = frozenset({"db", "username", "password", "client_name"})
TLS = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"})
VERIFYING = frozenset({"ssl_cert_reqs", "ssl_check_hostname"})
DRIVER_OPTIONS = {"redis": PLAIN, "unix": PLAIN, "rediss": PLAIN | TLS | VERIFYING}
"""What a URL may ask of the driver, by scheme; deadlines and the protocol are ours to decide."""

SENTINEL_LOGIN = frozenset({"sentinel_username", "sentinel_password"})
"""The Sentinels' own login. Never the servers': whoever runs a Sentinel need not know that."""

OURS = SENTINEL_LOGIN | {"service"}

PORTS: dict[Topology, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}

FORMS = (
    "write redis://user:password@host:port/0, rediss:// for TLS, unix:///path,"
    " redis+sentinel://user:password@host:port,host:port/0?service=name"
    f" or redis+cluster://user:password@host:port,host:port, {ENCODED}"
)


class Address(NamedTuple):
    """Where a server listens: a name or an IP address without brackets, and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL that was read; what may be secret is not shown."""

    topology: Topology
    server: str = field(repr=False)
    """For the driver."""
    hosts: tuple[Address, ...]
    """The Sentinels, or some nodes of the Cluster. Empty for one server."""
    service: str = ""
    """What the Sentinels call the primary."""
    sentinel_login: dict[str, str] = field(repr=False, default_factory=dict)
    """`username` and `password` for the Sentinels, where they want one."""


def redis_url(value: SecretStr) -> SecretStr:
    """Return a URL, checked as it is read later. `ValueError` with a constant sentence if not."""
    read_redis_url(value.get_secret_value())
    return value


def read_redis_url(text: str) -> RedisUrl:
    """Return what the URL says; `ValueError` with a constant sentence when that is unclear."""
    try:
        read = _read(text)
    except ValueError:
        read = None
    if read is None:
        raise ValueError(FORMS)
    return read


def _read(text: str) -> RedisUrl | None:
    parts, options = split(text)
    scheme, plus, kind = parts.scheme.partition("+")
    topology = _topology(kind, scheme) if plus else "server"
    if (
        topology is None
        or scheme not in DRIVER_OPTIONS
        or not _allowed(topology, scheme).issuperset(options)
    ):
        return None
    path = r"/.+" if scheme == "unix" else r"/?0?" if topology == "cluster" else r"(/[0-9]*)?"
    if not re.fullmatch(path, parts.path) or not options.get("db", "0").isdecimal():
        return None
    login, at, netloc = parts.netloc.rpartition("@")
    if topology == "server":
        read_host(netloc or "localhost", 1)
        return RedisUrl(topology, text, ())
    hosts = tuple(Address(*read_host(one, PORTS[topology])) for one in netloc.split(","))
    if topology == "sentinel" and not options.get("service"):
        return None
    query = "&".join(one for one in parts.query.split("&") if one.partition("=")[0] not in OURS)
    first = netloc.split(",", maxsplit=1)[0]
    server = parts._replace(scheme=scheme, netloc=f"{login}{at}{first}", query=query)
    theirs = {key.removeprefix("sentinel_"): options[key] for key in SENTINEL_LOGIN & set(options)}
    return RedisUrl(topology, urlunsplit(server), hosts, options.get("service", ""), theirs)


def _topology(kind: str, scheme: str) -> Topology | None:
    if scheme == "unix":
        return None
    return next((one for one in PORTS if one == kind and one != "server"), None)


def _allowed(topology: Topology, scheme: str) -> frozenset[str]:
    options = DRIVER_OPTIONS[scheme]
    # A Cluster has no numbered databases.
    return {"sentinel": options | OURS, "cluster": options - {"db"}}.get(topology, options)

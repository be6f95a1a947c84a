"""The database server: what it is, how it is set, and what a failover would cost."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from keyturn.doctor.finding import Check, Finding, error, warning
from keyturn.settings import Settings
from keyturn.settings_postgres import PostgresSettings

REACHABLE = error("postgres.reachable")
HOSTS = warning("postgres.hosts")
POOLER = error("postgres.pooler")
TIME = warning("postgres.time")
VERSION = error("postgres.version")
WRITABLE = error("postgres.writable")
ENCRYPTED = warning("postgres.encrypted")
DURABLE = error("postgres.durable")
SYNCHRONOUS = warning("postgres.synchronous")
VACUUM = warning("postgres.autovacuum")
CLOCK = error("postgres.clock")
CONNECTIONS = warning("postgres.connections")
STANDBY = warning("postgres.standby")
LAG = warning("postgres.lag")
PRIVILEGES = warning("postgres.privileges")

OF_SERVER: tuple[Check, ...] = (
    TIME,
    VERSION,
    WRITABLE,
    ENCRYPTED,
    DURABLE,
    SYNCHRONOUS,
    VACUUM,
    CLOCK,
)
OF_ACTIVITY: tuple[Check, ...] = (CONNECTIONS, STANDBY, LAG, PRIVILEGES)
CHECKS: tuple[Check, ...] = (REACHABLE, HOSTS, POOLER, *OF_SERVER, *OF_ACTIVITY)

OLDEST = 150_000
"""PostgreSQL 15."""
BEYOND_THE_POOLS = 2
"""Connections of a process that are in neither pool: the one that listens, the one that leads."""
MOST_SKEW = timedelta(seconds=10)
"""Tokens are accepted within 60 s; clocks that keep step by NTP differ by milliseconds."""

_HIDDEN = "only a role with pg_read_all_stats sees how standbys do"

Facts = Mapping[str, Any]
"""A row of `doctor.sql` by column name."""

_REASONS: Mapping[str, str] = {
    "InvalidPasswordError": "correct the password in the file that postgres.url_file names",
    "InvalidAuthorizationSpecificationError": "let pg_hba.conf admit this role from this address",
    "InvalidCatalogNameError": "create the database, then run `keyturn migrate`",
    "ConnectionRefusedError": "start PostgreSQL, or correct host and port in postgres.url",
    "gaierror": "correct the host name in postgres.url, or the name server",
    "TimeoutError": "let this host through to PostgreSQL (firewall, NetworkPolicy)",
    "TooManyConnectionsError": "raise max_connections, or lower postgres.pool_max",
    "SSLCertVerificationError": "put the server's authority into sslrootcert of postgres.url",
}


def unreachable(host: str, reason: str) -> Finding:
    """Say why there is no connection; `reason` is the name of what the driver raised."""
    mend = _REASONS.get(reason, "correct postgres.url, or what stands between")
    return REACHABLE.wrong(f"{host}: no connection ({reason})", mend)


def server(row: Facts, seconds: float, settings: PostgresSettings) -> list[Finding]:
    """Judge a server that answers; `seconds` is how long the connection took to open."""
    return [
        _time(seconds, settings.connect_timeout),
        _version(row["version"]),
        _writable(row),
        _encrypted(row),
        _durable(row),
        _synchronous(row["synchronous_commit"]),
        _vacuum(row),
    ]


def clock(database: datetime, here: datetime) -> Finding:
    """Compare the database's clock with ours at the same moment."""
    behind = abs(database - here)
    if behind <= MOST_SKEW:
        return CLOCK.ok(f"the clocks of database and this host differ by {_seconds(behind)}")
    sentence = (
        f"the clocks of database and this host differ by {_seconds(behind)}: tokens are not yet, "
        "or no longer, good where they are checked"
    )
    return CLOCK.wrong(sentence, "run an NTP client on both: `timedatectl set-ntp true`")


def connections(limit: int, row: Facts, settings: Settings) -> Finding:
    """Say how many processes the server has room for."""
    each = 2 * settings.postgres.pool_max + BEYOND_THE_POOLS
    workers = settings.server.workers
    # Workers have a parent, which works on the database, too.
    of_a_server = 1 if workers == 1 else workers + 1
    processes = max(row["processes"], of_a_server)
    # While one replica is replaced by the next, both are there.
    needed = each * (processes + of_a_server)
    told = f"{processes} processes of up to {each} connections"
    if needed <= limit:
        return CONNECTIONS.ok(f"{told}; the server has {limit}")
    mend = f"set max_connections to {needed} or more, or lower postgres.pool_max"
    sentence = f"{told}, and {of_a_server} more during an upgrade, need {needed}"
    return CONNECTIONS.wrong(f"{sentence}; the server has {limit}", mend)


def standby(names: str, row: Facts) -> Finding:
    """Say whether a failover would undo revocations."""
    if not row["standbys"]:
        return STANDBY.ok("no standby is connected: there is nothing to fail over to")
    if names.strip() and row["waited_for"]:
        return STANDBY.ok(f"commits wait for a standby: synchronous_standby_names = {names}")
    if names.strip() and row["hidden"]:
        return STANDBY.skipped(f"synchronous_standby_names = {names}; {_HIDDEN}")
    if names.strip():
        sentence = f"synchronous_standby_names = {names} names no connected standby"
        return STANDBY.wrong(
            f"{sentence}: revocations wait for ever", "name a connected standby there, or none"
        )
    sentence = (
        f"standbys: {row['standbys']}, all asynchronous: promoting one may undo the last "
        "revocations (sign-ins survive)"
    )
    mend = (
        "alter system set synchronous_standby_names = 'ANY 1 (*)'; select pg_reload_conf(); or, "
        "after each failover, T being the moment of it: `keyturn sessions revoke --before T`"
    )
    return STANDBY.wrong(sentence, mend)


def lag(row: Facts, grace: timedelta) -> Finding:
    """Say whether a standby is too far behind for sign-ins to survive its promotion.

    One forgotten rotation heals, and a session rotates once in a grace.
    """
    if row["hidden"]:
        return LAG.skipped(_HIDDEN)
    behind = row["lag"] or timedelta()
    if behind <= grace / 2:
        return LAG.ok(f"standbys are behind by {_seconds(behind)} at most")
    sentence = (
        f"a standby is behind by {_seconds(behind)}: sign-ins survive the promotion of one that is "
        f"behind by less than the grace, {_seconds(grace)}"
    )
    mend = (
        "see what holds its replay up (pg_stat_replication), and let nothing promote one that is "
        "a grace behind (Patroni: maximum_lag_on_failover)"
    )
    return LAG.wrong(sentence, mend)


def privileges(tables: list[str]) -> Finding:
    """Say whether our role may do what the server does."""
    if not tables:
        return PRIVILEGES.ok("this role may write every table")
    names = ", ".join(tables)
    mend = (
        f"grant select, insert, update, delete on {names} to the server's role; nothing to do if "
        "this is a role for looking only"
    )
    return PRIVILEGES.wrong(f"this role may not write {names}", mend)


def hosts(silent: Mapping[str, str], answering: int) -> Iterator[Finding]:
    """Judge a URL of several hosts, some of which do not answer."""
    for host, reason in silent.items():
        sentence = f"{host} of postgres.url does not answer ({reason}): no failover to it"
        yield HOSTS.wrong(sentence, "start it, or take it out of postgres.url")
    if not silent:
        yield HOSTS.ok(f"hosts of postgres.url that answer: {answering} of {answering}")


def pooler(reason: str, through: Facts | None, server: Facts) -> Finding:
    """Judge what answers at `postgres.url` against the server at `postgres.direct_url`."""
    if through is None:
        mend = "start the pooler, or correct postgres.url; its log says whom it refused and why"
        return POOLER.wrong(f"no connection through the pooler ({reason})", mend)
    if through["identity"] == server["identity"]:
        return POOLER.ok("the pooler leads to the database of postgres.direct_url")
    sentence = "postgres.url and postgres.direct_url lead to different databases or servers"
    mend = "let the pooler's [databases] and postgres.direct_url name the same primary"
    return POOLER.wrong(sentence, mend)


def _time(seconds: float, deadline: float) -> Finding:
    milliseconds = f"{seconds * 1000:.0f} ms"
    if seconds <= deadline / 2:
        return TIME.ok(f"a connection opens in {milliseconds}")
    sentence = f"a connection opens in {milliseconds}; the server gives up after {deadline} s"
    return TIME.wrong(sentence, "bring database and servers together, or raise connect_timeout")


def _version(number: int) -> Finding:
    told = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number >= OLDEST:
        return VERSION.ok(told)
    return VERSION.wrong(f"{told} is too old", "upgrade PostgreSQL to 15 or later")


def _writable(row: Facts) -> Finding:
    if row["standby"]:
        mend = "name the primary in postgres.url, or all hosts: postgresql://u:p@one,two/db"
        return WRITABLE.wrong("this is a standby: it takes no writes", mend)
    if row["read_only"]:
        mend = "alter role ... reset default_transaction_read_only (or alter database)"
        return WRITABLE.wrong("transactions of this role are read-only by default", mend)
    return WRITABLE.ok("this is the primary, and it takes writes")


def _encrypted(row: Facts) -> Finding:
    if row["encrypted"] or row["local"]:
        return ENCRYPTED.ok("the connection is " + ("TLS" if row["encrypted"] else "of this host"))
    sentence = "the connection crosses the network unencrypted"
    return ENCRYPTED.wrong(sentence, "add ?sslmode=verify-full to postgres.url")


def _durable(row: Facts) -> Finding:
    off = [name for name in ("fsync", "full_page_writes") if not row[name]]
    if not off:
        return DURABLE.ok("fsync and full_page_writes are on")
    mend = "; ".join(f"alter system set {name} = on" for name in off)
    sentence = f"{' and '.join(off)} off: a crash of the machine may destroy the database"
    return DURABLE.wrong(sentence, f"{mend}; select pg_reload_conf()")


def _synchronous(value: str) -> Finding:
    if value not in {"off", "local"}:
        return SYNCHRONOUS.ok(f"synchronous_commit is {value}")
    sentence = f"synchronous_commit is {value} for this role: a crash or failover loses last writes"
    mend = "alter role ... reset synchronous_commit, or alter database; see pg_db_role_setting"
    return SYNCHRONOUS.wrong(sentence, mend)


def _vacuum(row: Facts) -> Finding:
    if row["autovacuum"]:
        return VACUUM.ok("autovacuum is on")
    sentence = "autovacuum is off: every refresh leaves a dead row, and tables only grow"
    return VACUUM.wrong(sentence, "alter system set autovacuum = on; select pg_reload_conf()")


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.1f} s"

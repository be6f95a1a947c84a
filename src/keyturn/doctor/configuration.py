"""Settings and secrets, as this process finds them: what can be told without asking anybody."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from keyturn.doctor.finding import Check, Finding, error, skip, warning
from keyturn.doctor.sources import SecretFile, Sources, name_of
from keyturn.settings import Settings

LOAD = error("settings.load")
LITERALS = warning("settings.literals")
FILES = error("settings.files")
ISSUER = warning("settings.issuer")
PROXIES = warning("settings.proxies")
STRENGTH = warning("secrets.strength")
DIFFERENT = error("secrets.different")
NUMBER = warning("secrets.number")

OF_SETTINGS: tuple[Check, ...] = (ISSUER, PROXIES, STRENGTH, DIFFERENT, NUMBER)
CHECKS: tuple[Check, ...] = (LOAD, LITERALS, FILES, *OF_SETTINGS)

TOO_OPEN = 0o037
"""As `configuration` refuses it: a group may read, others may do nothing."""
ROOT = 0
MOST_SECRETS = 2
"""The one in use, and the one that is being rolled out or is on its way out."""
EVERYBODY = 4
"""Bits of a network's prefix under which it is nobody's own."""


def loaded(settings: Settings | None, problems: Sequence[str]) -> list[Finding]:
    """Say whether the server would start, with every mistake at once."""
    if settings is not None:
        return [LOAD.ok(f"settings are good; the issuer is {settings.issuer}")]
    schema = "see `keyturn config schema` and config/keyturn.yaml, then `keyturn config check`"
    found = [LOAD.wrong(problem, schema) for problem in problems]
    return [*found, *skip(OF_SETTINGS, "there are no settings to look at")]


def written(sources: Sources) -> list[Finding]:
    """Say where secrets stand and who may read them."""
    literals = [_literal(name) for name in sources.literals]
    files = [one for file in sources.files for one in _file(file, sources.user)]
    return [
        *(literals or [LITERALS.ok("no secret stands in the YAML file")]),
        *(files or [FILES.ok(f"secret files: {len(sources.files)}, readable by us alone")]),
    ]


def chosen(settings: Settings) -> list[Finding]:
    """Judge settings that are good by themselves."""
    return [_issuer(settings), *_proxies(settings), *_secrets(settings.master_values())]


def _literal(name: str) -> Finding:
    file = f"{name}_file"
    sentence = f"{name} has its secret in the YAML file, where backups and repositories keep it"
    return LITERALS.wrong(sentence, f"put it into a file of mode 0400 and name that: {file}")


def _file(file: SecretFile, user: int) -> Iterator[Finding]:
    if file.mode is None or not file.readable:
        mend = f"chown {name_of(user)} {file.path}; or correct {file.setting}"
        yield FILES.wrong(f"{file.path} ({file.setting}) cannot be read here", mend)
    elif file.mode & TOO_OPEN:
        sentence = f"{file.path} ({file.setting}) has mode {file.mode:04o}: others may use it"
        yield FILES.wrong(sentence, f"chmod {file.mode & 0o640:04o} {file.path}")
    elif file.owner not in {user, ROOT}:
        sentence = f"{file.path} ({file.setting}) belongs to {name_of(file.owner)}, who can read it"
        yield FILES.wrong(sentence, f"chown {name_of(user)} {file.path}")


def _issuer(settings: Settings) -> Finding:
    if settings.development:
        sentence = "development: true: lifetimes down to a second, for a laptop"
        return ISSUER.wrong(sentence, "take `development` out of the settings of a deployment")
    if settings.is_loopback:
        sentence = f"the issuer {settings.issuer} is http on this machine: nobody else can use it"
        return ISSUER.wrong(sentence, "set `issuer` to the public https URL")
    return ISSUER.ok("the issuer is a public https URL")


def _proxies(settings: Settings) -> Iterator[Finding]:
    trusted = settings.server.trusted_proxies
    wide = [one for one in trusted if one.prefixlen <= EVERYBODY and one != _loopback(one)]
    if wide:
        sentence = f"server.trusted_proxies believes everybody ({wide[0]}): callers choose their IP"
        yield PROXIES.wrong(sentence, "list the networks of your own proxies and no others")
    elif not trusted and not settings.is_loopback:
        # This server ends no TLS itself, so with an https issuer somebody stands in front of it.
        sentence = (
            "no proxy is trusted, though one ends TLS: every caller has the proxy's address, so "
            "one guesser delays everybody and the audit trail names nobody"
        )
        yield PROXIES.wrong(sentence, "set server.trusted_proxies to the networks of your proxies")
    else:
        yield PROXIES.ok(f"trusted proxies: {', '.join(map(str, trusted)) or 'none, none needed'}")


def _loopback(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    return network if network.network_address.is_loopback else None


def _secrets(values: Mapping[int, bytes]) -> Iterator[Finding]:
    made = "make one with `keyturn config secret` and roll it out: docs/rotation.md"
    poor = [number for number, value in values.items() if _is_phrase(value)]
    if poor:
        yield STRENGTH.wrong(
            f"secret {poor[0]} reads like a phrase, not like 32 random bytes", made
        )
    else:
        yield STRENGTH.ok("the master secrets look random")
    if len(set(values.values())) < len(values):
        sentence = "two ids have the same secret: rolling from one to the other changes nothing"
        yield DIFFERENT.wrong(sentence, made)
    else:
        yield DIFFERENT.ok("every id has a secret of its own")
    listed = ", ".join(map(str, values))
    if len(values) > MOST_SECRETS:
        last = list(values)[-1]
        mend = f"remove secret {last} once the longest absolute lifetime has passed since it left"
        yield NUMBER.wrong(f"{len(values)} master secrets are listed ({listed})", mend)
    else:
        yield NUMBER.ok(f"master secrets listed: {listed}")


def _is_phrase(value: bytes) -> bool:
    """Whether it has no digit and no capital: one base64 secret in 10^15 is like that."""
    text = value.decode("utf-8", "replace")
    return not any(one.isdigit() or one.isupper() for one in text)

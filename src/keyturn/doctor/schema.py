"""The schema, against what this release needs."""

from collections.abc import Iterable

from keyturn.db.migrate import Migration
from keyturn.doctor.finding import Check, Finding, error, warning

APPLIED = error("schema.applied")
CONTRACTS = warning("schema.contracts")

CHECKS: tuple[Check, ...] = (APPLIED, CONTRACTS)


def schema(applied: Iterable[int], carried: Iterable[Migration]) -> list[Finding]:
    """Compare the migrations of a database with those that this release carries."""
    present, ours = set(applied), list(carried)
    missing = [one for one in ours if one.version not in present and not one.contracting]
    waiting = [one for one in ours if one.version not in present and one.contracting]
    return [_applied(max(present, default=0), missing), _contracts(waiting)]


def _applied(newest: int, missing: list[Migration]) -> Finding:
    if not missing:
        return APPLIED.ok(f"the schema is {newest:04}, with all that this release needs")
    names = ", ".join(one.name for one in missing[:3])
    more = f" and {len(missing) - 3} more" if missing[3:] else ""
    sentence = f"the schema is {newest:04} and lacks {names}{more}: servers do not start on it"
    return APPLIED.wrong(sentence, "keyturn migrate")


def _contracts(waiting: list[Migration]) -> Finding:
    if not waiting:
        return CONTRACTS.ok("nothing waits to be taken away")
    names = ", ".join(one.name for one in waiting)
    mend = "keyturn migrate --contract, when no server of the previous release runs any more"
    return CONTRACTS.wrong(f"waiting to be taken away: {names}", mend)

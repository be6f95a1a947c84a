"""`/admin/v1/apply-clients`: the clients made what a file says, all of it or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from keyturn import paths
from keyturn.admin.operation import AnyOperation, Call, Done, Operation
from keyturn.admin.shapes import Answer, Message
from keyturn.clients import clients_file, declarative
from keyturn.clients.administration import Administration
from keyturn.clients.plan import SecretStep, StateStep


class ApplyBody(Message):
    """What a clients file says; its secrets are sent as their hashes only."""

    clients: list[clients_file.Entry]
    prune: bool = Field(
        default=False, description="Disable clients that files named before and this one does not."
    )
    dry_run: bool = Field(default=False, description="Only tell the difference.")


class FieldAnswer(Answer):
    """One field, before and after; before is null for a new client."""

    name: str
    before: Any
    after: Any


class ChangeAnswer(Answer):
    """What happens to one client."""

    client_id: str
    is_new: bool
    fields: list[FieldAnswer]
    secret: SecretStep
    state: StateStep
    adopted: bool
    """The file takes charge of a client that was registered otherwise."""
    note: str
    writes: bool
    """Whether anything is written at all."""


class PlanAnswer(Answer):
    """Every client of the file, and those pruned, in the order they are written."""

    changes: list[ChangeAnswer]


@dataclass(frozen=True, slots=True)
class DeclaredClients:
    """Applies what a file says."""

    administration: Administration

    def operations(self) -> Sequence[AnyOperation]:
        """Return the row."""
        return (
            Operation("applyClients", "POST", paths.ADMIN_APPLY_CLIENTS,
                      "Make the clients what a file says; a second time changes nothing",
                      ApplyBody, self.apply, PlanAnswer),
        )  # fmt: skip

    async def apply(self, _: Call, body: ApplyBody) -> Done:
        """Apply it, and tell the difference."""
        declared = clients_file.declared(body.clients, self.administration.limits)
        plan = await declarative.apply(
            self.administration.database,
            declared,
            self.administration.audit,
            prune=body.prune,
            dry_run=body.dry_run,
        )
        return Done(PlanAnswer.model_validate(plan))

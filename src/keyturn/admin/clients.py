"""`/admin/v1/clients`: registered applications."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from keyturn import paths
from keyturn.admin.cursors import Cursors
from keyturn.admin.messages import ClientAnswer, IssuedClientAnswer, RotateSecretBody, SecretAnswer
from keyturn.admin.operation import AnyOperation, Call, Done, Nothing, Operation
from keyturn.admin.shapes import Page, Paged
from keyturn.clients.administration import Administration, Issued
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.errors import InvalidClientMetadata, Problem


@dataclass(frozen=True, slots=True)
class Clients:
    """Lists, registers, describes, closes clients, and changes their secrets."""

    administration: Administration
    cursors: Cursors

    def operations(self) -> Sequence[AnyOperation]:
        """Return the rows."""
        one = paths.ADMIN_CLIENT
        return (
            Operation("listClients", "GET", paths.ADMIN_CLIENTS, "List clients",
                      Paged, self.list, Page[ClientAnswer]),
            Operation("createClient", "POST", paths.ADMIN_CLIENTS, "Register a client",
                      ClientDefinition, self.create, IssuedClientAnswer, 201, "shown", once=True),
            Operation("getClient", "GET", one, "Show a client",
                      Nothing, self.get, ClientAnswer, versioned="shown"),
            Operation("replaceClient", "PUT", one, "Describe a client anew",
                      ClientDefinition, self.replace, ClientAnswer, versioned="required"),
            Operation("disableClient", "POST", paths.ADMIN_CLIENT_DISABLE, "Close a client",
                      Nothing, self.disable, ClientAnswer, versioned="checked"),
            Operation("enableClient", "POST", paths.ADMIN_CLIENT_ENABLE, "Open a client again",
                      Nothing, self.enable, ClientAnswer, versioned="checked"),
            Operation("rotateClientSecret", "POST", paths.ADMIN_CLIENT_ROTATE_SECRET,
                      "Make another secret", RotateSecretBody, self.rotate_secret,
                      IssuedClientAnswer, versioned="checked"),
            Operation("dropPreviousClientSecret", "POST", paths.ADMIN_CLIENT_DROP_SECRET,
                      "End the secret before the current one",
                      Nothing, self.drop_secret, ClientAnswer, versioned="checked",
                      refusals=(400,)),
        )  # fmt: skip

    async def list(self, _: Call, query: Paged) -> Done:
        """Return a page of clients in the order of their ids, disabled ones too."""
        last = self.cursors.read("clients", query.cursor)
        found = await self.administration.page(last or "", query.limit)
        more = len(found) == query.limit
        return Done(
            Page[ClientAnswer](
                items=[ClientAnswer(**_members(one)) for one in found],
                next_cursor=self.cursors.make("clients", found[-1].client.id) if more else None,
            )
        )

    async def create(self, call: Call, definition: ClientDefinition) -> Done:
        """Register a client, once."""
        return _issued(await self.administration.add(definition, once=call.once))

    async def get(self, call: Call, _: Nothing) -> Done:
        """Return a client."""
        return _shown(await self.administration.show(call.path["client_id"]))

    async def replace(self, call: Call, definition: ClientDefinition) -> Done:
        """Describe a client anew, all of it."""
        if definition.id != call.path["client_id"]:
            raise InvalidClientMetadata(Problem("id", "a client keeps its id"))
        return _shown(await self.administration.redefine(definition, call.seen))

    async def disable(self, call: Call, _: Nothing) -> Done:
        """Close a client."""
        return _shown(await self.administration.disable(call.path["client_id"], call.seen))

    async def enable(self, call: Call, _: Nothing) -> Done:
        """Open a client again."""
        return _shown(await self.administration.enable(call.path["client_id"], call.seen))

    async def rotate_secret(self, call: Call, body: RotateSecretBody) -> Done:
        """Make another secret; the one before stays good for a while."""
        seconds = body.old_expires_in
        previous_for = None if seconds is None else timedelta(seconds=seconds)
        client_id = call.path["client_id"]
        return _issued(await self.administration.rotate_secret(client_id, previous_for, call.seen))

    async def drop_secret(self, call: Call, _: Nothing) -> Done:
        """End the secret before the current one."""
        client_id = call.path["client_id"]
        return _shown(await self.administration.drop_previous_secret(client_id, call.seen))


def _shown(registration: Registration) -> Done:
    return Done(ClientAnswer(**_members(registration)), registration.version)


def _issued(issued: Issued) -> Done:
    members = {**_members(issued.registration), "client_secret": issued.secret}
    return Done(IssuedClientAnswer(**members), issued.registration.version, issued.again)


def _members(registration: Registration) -> dict[str, Any]:
    client = registration.client
    return {
        "id": client.id,
        "definition": ClientDefinition.of(client),
        "declared": registration.declared,
        "self_registered": client.self_registered,
        "secrets": [SecretAnswer(expires_at=one.expires_at) for one in client.secrets],
        "secret_set_at": registration.secret_set_at,
        "disabled_at": client.disabled_at,
        "created_at": registration.created_at,
        "updated_at": registration.updated_at,
    }

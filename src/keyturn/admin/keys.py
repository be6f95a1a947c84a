"""`/admin/v1/keys`: the signing keys, their public halves only."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn import paths
from keyturn.admin.messages import KeyAnswer, KeysAnswer, RotateKeysBody, StepAnswer, StepsAnswer
from keyturn.admin.operation import AnyOperation, Call, Done, Nothing, Operation
from keyturn.keys.decision import Policy, Situation, Step
from keyturn.keys.model import State, StoredKey
from keyturn.keys.rotation import KeyRotation


@dataclass(frozen=True, slots=True)
class Keys:
    """Lists the keys, and rotates them ahead of time."""

    rotation: KeyRotation

    def operations(self) -> Sequence[AnyOperation]:
        """Return the rows."""
        return (
            Operation("listKeys", "GET", paths.ADMIN_KEYS, "List the published signing keys",
                      Nothing, self.list, KeysAnswer),
            Operation("rotateKeys", "POST", paths.ADMIN_KEYS_ROTATE,
                      "Sign with the next key from now on; at once, if the current one has leaked",
                      RotateKeysBody, self.rotate, StepsAnswer, refusals=(409,)),
        )  # fmt: skip

    async def list(self, _: Call, __: Nothing) -> Done:
        """Return every published key."""
        situation = await self.rotation.look()
        keys = [_described(key, situation, self.rotation.policy) for key in situation.keys]
        return Done(KeysAnswer(items=keys))

    async def rotate(self, _: Call, body: RotateKeysBody) -> Done:
        """Promote the next key, once it has had its lead; replace a leaked one; do what is due."""
        if body.compromised:
            steps = await self.rotation.replace_compromised()
        elif body.only_due:
            steps = await self.rotation.run_due()
        else:
            steps = await self.rotation.promote_now()
        return Done(StepsAnswer(steps=[_step(one) for one in steps]))


def _described(key: StoredKey, situation: Situation, policy: Policy) -> KeyAnswer:
    upcoming, retired = key.state is State.NEXT, key.state is State.RETIRED
    return KeyAnswer(
        kid=key.kid,
        state=key.state.value,
        since=key.since,
        created_at=key.created_at,
        public_jwk=dict(key.public_jwk),
        usable=situation.opens(key),
        secret_id=None if retired else key.secret_id,
        may_sign_from=key.since + policy.lead if upcoming else None,
        removed_after=key.since + policy.retirement if retired else None,
    )


def _step(step: Step) -> StepAnswer:
    return StepAnswer.model_validate(
        {
            "step": type(step).__name__.lower(),
            "kid": getattr(step, "kid", None),
            "state": getattr(step, "state", None),
        }
    )

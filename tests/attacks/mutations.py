"""What is done to a valid request: each function bends a draft in one way, as its dice fall.

They work on parts, not on octets, so that what they leave alone still leads deep into the server.
"""

import base64
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeAlias

from attacks import grammar
from attacks.grammar import RAW_JSON, Draft, Pair, Value, octets, raw_json, unpacked
from attacks.grammar_values import CONTENT_TYPES, HEADERS, HOSTILE, METHODS, PATHS, REDIRECTS
from attacks.mutations_jwt import is_jwt, resigned

Pool: TypeAlias = Sequence[Pair]
"""Names and values of every other valid request."""
Mutation: TypeAlias = Callable[[Random, Draft, Pool], None]


def _somewhere(dice: Random, draft: Draft) -> tuple[list[Pair], int]:
    return dice.choice(list(draft.pairs()))


def _put(place: list[Pair], at: int, value: Value) -> None:
    place[at] = (place[at][0], value)


def leave_out(dice: Random, draft: Draft, _: Pool) -> None:
    """A name and its value, or a member, less."""
    if isinstance(draft.json, dict) and draft.json and dice.random() < 0.5:
        draft.json.pop(dice.choice(list(draft.json)))
        return
    place, at = _somewhere(dice, draft)
    del place[at]


def repeat(dice: Random, draft: Draft, pool: Pool) -> None:
    """The same name twice, with the same or another value."""
    place, at = _somewhere(dice, draft)
    name, value = place[at]
    other = dice.choice([value, dice.choice(HOSTILE), dice.choice(pool)[1]])
    place.insert(dice.randrange(len(place) + 1), (name, other))


def swap(dice: Random, draft: Draft, _: Pool) -> None:
    """Two values change places."""
    (place, at), (other, there) = _somewhere(dice, draft), _somewhere(dice, draft)
    first, second = place[at][1], other[there][1]
    _put(place, at, second)
    _put(other, there, first)


def put_hostile(dice: Random, draft: Draft, _: Pool) -> None:
    """A value that has broken servers before."""
    _put(*_somewhere(dice, draft), dice.choice(HOSTILE))


def insert_hostile(dice: Random, draft: Draft, _: Pool) -> None:
    """The same, inside of what stood there."""
    place, at = _somewhere(dice, draft)
    value, what = octets(place[at][1]), octets(dice.choice(HOSTILE))
    where = dice.randrange(len(value) + 1)
    _put(place, at, value[:where] + what + value[where:])


def put_foreign(dice: Random, draft: Draft, pool: Pool) -> None:
    """A value that is good, elsewhere."""
    _put(*_somewhere(dice, draft), dice.choice(pool)[1])


def add_foreign(dice: Random, draft: Draft, pool: Pool) -> None:
    """A parameter of another request."""
    place = dice.choice([draft.query, draft.form if draft.form is not None else draft.query])
    place.append(dice.choice(pool))


def edit(dice: Random, draft: Draft, _: Pool) -> None:
    """A character more, less, other, or of the other case."""
    place, at = _somewhere(dice, draft)
    value = bytearray(octets(place[at][1]) or b"x")
    where = dice.randrange(len(value))
    kind = dice.randrange(5)
    if kind == 0:
        value[where] ^= 1 << dice.randrange(8)
    elif kind == 1:
        del value[where:]
    elif kind == 2:
        del value[where]
    elif kind == 3:
        value[where:where] = value
    else:
        value = bytearray(value.swapcase())
    _put(place, at, bytes(value))


def move(dice: Random, draft: Draft, _: Pool) -> None:
    """From the body into the query, a header or a cookie, or back."""
    place, at = _somewhere(dice, draft)
    every = [draft.query, draft.headers, draft.cookies]
    target = dice.choice([*every, draft.form] if draft.form is not None else every)
    target.append(place.pop(at))


def other_method(dice: Random, draft: Draft, _: Pool) -> None:
    """Another method."""
    draft.method = dice.choice(METHODS)


def other_type(dice: Random, draft: Draft, _: Pool) -> None:
    """Another content type for the same body."""
    kept = [pair for pair in draft.headers if pair[0] != "Content-Type"]
    draft.headers[:] = [*kept, ("Content-Type", dice.choice(CONTENT_TYPES))]


def other_body(dice: Random, draft: Draft, _: Pool) -> None:
    """The same said in another notation, or in part, or bent in its octets."""
    body = bytearray(draft.content() or b"a=b")
    kind = dice.randrange(6)
    if kind == 0:
        members = draft.form if draft.form is not None else [("json", "1")]
        draft.body = grammar.json_text(
            {name: octets(value).decode("latin-1") for name, value in members}
        )
    elif kind == 1:
        draft.body = body.decode("latin-1").encode("utf-16")
    elif kind == 2:
        draft.body = bytes(body[: dice.randrange(len(body))])
    elif kind == 3:
        draft.body = bytes(body) * dice.choice([2, 40, 400])
    elif kind == 4:
        for _ in range(dice.randrange(1, 9)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        draft.body = bytes(body)
    else:
        draft.body = dice.choice([b"", b"&" * 70, b"=" * 70, b"\x00" * 70, dice.randbytes(300)])


def in_chunks(dice: Random, draft: Draft, _: Pool) -> None:
    """The body in pieces."""
    draft.chunks = dice.choice([1, 3, 17, 4096])


def other_escape(dice: Random, draft: Draft, _: Pool) -> None:
    """Escaped otherwise, or hardly."""
    draft.escape = dice.choice(grammar.ESCAPES)
    draft.ascii_only = False


def add_header(dice: Random, draft: Draft, _: Pool) -> None:
    """A header more, or many."""
    for _number in range(dice.choice([1, 1, 1, 2, 4, 40])):
        draft.headers.insert(dice.randrange(len(draft.headers) + 1), dice.choice(HEADERS))


def other_path(dice: Random, draft: Draft, _: Pool) -> None:
    """The same address in a way that some think is the same."""
    draft.path = dice.choice(PATHS).replace("{}", draft.path)


def other_id(dice: Random, draft: Draft, pool: Pool) -> None:
    """Another last segment of the path."""
    head, _, _ = draft.path.rpartition("/")
    value = dice.choice([dice.choice(HOSTILE), dice.choice(pool)[1]])
    draft.path = f"{head}/{octets(value).decode('utf-8', 'surrogateescape')[:900]}".encode(
        "utf-8", "replace"
    ).decode()


def other_address(dice: Random, draft: Draft, _: Pool) -> None:
    """A redirect URI that some take for the registered one."""
    found = [(place, at) for place, at in draft.pairs() if "redirect_uri" in place[at][0]]
    if not found:
        put_hostile(dice, draft, _)
        return
    place, at = dice.choice(found)
    was = octets(place[at][1]).decode("utf-8", "replace")
    _put(place, at, dice.choice(REDIRECTS).replace("{}", was))


def other_basic(dice: Random, draft: Draft, _: Pool) -> None:
    """Other credentials in `Basic`, packed as they should be, or not."""
    where = [at for at, (name, _) in enumerate(draft.headers) if name == "Authorization"]
    if not where:
        draft.headers.append(("Authorization", f"Basic {dice.randbytes(9).hex()}"))
        return
    scheme, _, packed = octets(draft.headers[where[0]][1]).partition(b" ")
    if scheme == b"Basic":
        pair = bytearray(unpacked(packed) or b":")
        at = dice.randrange(len(pair))
        pair[at : at + dice.randrange(3)] = octets(dice.choice(HOSTILE))
        packed = base64.b64encode(bytes(pair))[: dice.choice([None, None, -1, -2])]
    scheme = dice.choice([scheme, scheme, scheme.lower(), b"DPoP", b"Bearer", b"Basic", b""])
    _put(draft.headers, where[0], scheme + dice.choice([b" ", b"  ", b"\t", b""]) + packed)


def other_jwt(dice: Random, draft: Draft, pool: Pool) -> None:
    """A JWT with another header or other claims, signed anew where the caller holds the key."""
    found = [(place, at) for place, at in draft.pairs() if is_jwt(place[at][1])]
    if not found:
        put_foreign(dice, draft, pool)
        return
    place, at = dice.choice(found)
    _put(place, at, resigned(dice, place[at][1], draft.signers.get(place[at][0]), bent))


def other_member(dice: Random, draft: Draft, pool: Pool) -> None:
    """A member of a JSON body of another kind, unknown, or one that no library would write."""
    if draft.json is None:
        put_hostile(dice, draft, pool)
        return
    draft.json = bent(dice, draft.json)


def bent(dice: Random, value: Any, depth: int = 0) -> Any:
    """Return JSON with something in it replaced, added or left out."""
    if isinstance(value, dict) and value and dice.random() < 0.85 and depth < 5:
        return _bent_object(dice, value, depth)
    if isinstance(value, list) and value and dice.random() < 0.6:
        at = dice.randrange(len(value))
        return [*value[:at], bent(dice, value[at], depth + 1), *value[at + 1 :]]
    return _other_json(dice, value)


def _bent_object(dice: Random, value: dict[str, Any], depth: int) -> dict[str, Any]:
    name, kind = dice.choice(list(value)), dice.random()
    if kind < 0.1:
        return {key: one for key, one in value.items() if key != name}
    if kind < 0.2:
        added = octets(dice.choice(HOSTILE)).decode("utf-8", "replace")
        return {**value, added: _other_json(dice, 1)}
    return {**value, name: bent(dice, value[name], depth + 1)}


def _other_json(dice: Random, value: Any) -> Any:
    hostile = octets(dice.choice(HOSTILE)).decode("utf-8", "surrogateescape")
    return dice.choice(
        [
            None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**30, 0.5, -1e300, "", [], {}, [value], {"a": value},
            [[value]] * 3, str(value), hostile, hostile, hostile, [hostile] * 300, {hostile: hostile},
            raw_json(dice.randrange(len(RAW_JSON))), raw_json(dice.randrange(len(RAW_JSON))),
        ]
    )  # fmt: skip


MUTATIONS: tuple[Mutation, ...] = (
    leave_out, repeat, swap, put_hostile, put_hostile, insert_hostile, put_foreign, add_foreign, edit, edit,
    move, other_method, other_type, other_body, in_chunks, other_escape, add_header, other_path, other_id,
    other_address, other_basic, other_jwt, other_jwt, other_member, other_member, other_member,
)  # fmt: skip
HOW_MANY = (0, *(1,) * 12, *(2,) * 4, 3, 3, 5)
"""Now and then none: what is left alone shows that the others began as something valid."""


def mutate(dice: Random, draft: Draft, pool: Pool) -> Draft:
    """Bend a draft in place, and say how."""
    for _ in range(dice.choice(HOW_MANY)):
        chosen = dice.choice(MUTATIONS)
        if any(True for _ in draft.pairs()):
            chosen(dice, draft, pool)
            draft.mutations.append(chosen.__name__)
    return draft

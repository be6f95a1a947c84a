"""The line between parent and worker."""

import socket

import pytest

from keyturn.workers.channel import LONGEST, Channel, Garbled


async def pair() -> tuple[Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    return await Channel.over(ours), theirs


async def test_messages_of_any_size_arrive_whole_and_in_order():
    ours, theirs = await pair()
    other = await Channel.over(theirs)
    ours.send(ask="metrics", number=7)
    ours.send(metrics=["x" * 500_000])
    assert await other.read() == {"ask": "metrics", "number": 7}
    assert await other.read() == {"metrics": ["x" * 500_000]}
    ours.close()
    assert await other.read() is None
    other.send(state={})  # to nobody; that is no failure
    other.close()
    other.send(state={})


@pytest.mark.parametrize(
    "sent",
    [
        (LONGEST + 1).to_bytes(4, "big"),
        b"\0\0\0\3{]}",
        b"\0\0\0\4null",
        b"\0\0\0\0",
    ],
)
async def test_what_is_no_message_is_refused(sent):
    ours, theirs = await pair()
    theirs.sendall(sent)
    with pytest.raises(Garbled):
        await ours.read()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\11{"])
async def test_an_end_in_the_middle_of_a_message_is_the_end(sent):
    ours, theirs = await pair()
    theirs.sendall(sent)
    theirs.close()
    assert await ours.read() is None
    ours.close()

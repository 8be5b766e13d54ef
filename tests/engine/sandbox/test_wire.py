"""Claims about the wire: what is sent is what comes, whatever bytes names are made of."""

from __future__ import annotations

import socket
import string

import pytest

from treegate.engine.sandbox.order import Captured, Case, Finding, Order, Output
from treegate.engine.sandbox.wire import Line, Run


@pytest.mark.parametrize("name", ["plain", "caf\u00e9", "\udcff\udcfe", "caf\u00e9 \udcff", string.printable])
def test_names_of_any_bytes_come_as_they_were_sent(name: str):
    """In orders and in what is told; beside them, bytes stay bytes."""
    ours, theirs = map(Line, socket.socketpair())
    order = Order(
        id="sb_1", command=("sh", name), cases=(Case(name=name, folder=f"/x/{name}"),), engine="bwrap",
        scratch="/s", blobs="/b", document="/d",
    )  # fmt: skip
    frames = [
        Captured(operations=1, findings=(Finding("sandbox-xattr", name, "text"),), changed=(name,)),
        Output("stdout", b"\xff\x00"),
    ]
    ours.send(Run(order=order))
    assert theirs.word() == Run(order=order)
    for frame in frames:
        theirs.send(frame)
        assert ours.frame() == frame
    ours.close()
    theirs.close()

"""What an aide does, in its own process: `python -m treegate.engine.aiding HANDLE`, of a socket to its run.

It ends when the run hangs up, or with an error: then the run does by itself what it had asked for.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from treegate.engine import handles, many, wire


def serve(end: wire.Wire) -> None:
    """Answer what a run asks, one after the other; EOFError or OSError once it hangs up."""
    end.send(wire.Ready())
    while True:
        message, beside = end.receive()
        try:
            end.send(_answer(message, beside))
        finally:
            for handle in beside:
                handles.close(handle)


def _answer(message: wire.Message, beside: Sequence[int]) -> wire.Message:
    if isinstance(message, wire.Look):
        look = many.recognise_each if message.known else many.look_each
        return wire.Others(look([(beside[0], name, facts) for name, facts in message.looks]))

    from treegate.engine import errands  # what it takes is not to keep the first look waiting

    if isinstance(message, wire.MakeLines):
        return wire.Made([errands.lines(*beside)])
    if isinstance(message, wire.MakeData):
        return wire.Made(errands.data(message, beside))
    raise EOFError("this is no question")


if __name__ == "__main__":
    with suppress(EOFError, OSError):  # the run has hung up
        serve(wire.Wire(socket.socket(fileno=int(sys.argv[1]))))

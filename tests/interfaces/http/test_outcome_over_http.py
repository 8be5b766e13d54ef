"""Outcomes over the wire: the client answers what the gate there answers, for whoever asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from nearby import Nearby
from test_plans_over_http import plan

import treegate
from treegate.errors import Denied, NotFound, PlanError
from treegate.gate import Gate


def test_the_client_foresees_what_the_gate_does(office: Path, environ: dict[str, str], token: Callable[..., str]):
    (office / os.fsdecode(b"projects/Smith/caf\xe9")).write_bytes(b"\0odd")
    document = plan(
        {"op": "move", "match": "scan*.pdf", "to": "Scans/"}, {"op": "create", "path": "new.txt", "content": "scan 7"}
    )
    serving = Nearby(office, environ)
    try:
        with (
            treegate.connect(serving.address, token("ann", "author", ["Smith"])) as far,
            Gate.open(office, environ) as near,
        ):
            for given in (None, document):
                folder = "Scans" if given else ""
                assert far.list_outcome("Smith", folder, given) == near.list_outcome("Smith", folder, given)
                page = far.find_in_outcome("Smith", "**", given, limit=4)
                assert page == near.find_in_outcome("Smith", "**", given, limit=4)
                rest = far.find_in_outcome("Smith", "**", given, cursor=page.next or "")
                assert rest == near.find_in_outcome("Smith", "**", given, cursor=page.next or "")
                odd = os.fsdecode(b"caf\xe9")
                assert far.read_outcome("Smith", odd, given, offset=1).data == b"odd"
                assert far.outcome_info("Smith", odd, given) == near.outcome_info("Smith", odd, given)
                found = far.seek_in_outcome("Smith", "Smith 3", plan=given)
                assert found == near.seek_in_outcome("Smith", "Smith 3", plan=given)
                assert len(found.hits) == 1
            assert far.read_outcome("Smith", "new.txt", document).data == b"scan 7"
            with pytest.raises(NotFound):
                far.read_outcome("Smith", "new.txt")
            with pytest.raises(Denied):
                far.list_outcome("Jones")
            with pytest.raises(PlanError):
                far.list_outcome("Smith", "", b"[]")
    finally:
        serving.close()

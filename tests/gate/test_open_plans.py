"""Claims about how many plans one author may have waiting."""

from __future__ import annotations

import json

import pytest
from gatework import Office

from treegate.engine.configfile import FILE
from treegate.errors import Denied
from treegate.model.actors import Role


def making(path: str) -> bytes:
    """A plan that makes one folder."""
    return json.dumps({"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": path}]}).encode()


DOCUMENT = making("New")


@pytest.fixture
def ann(firm: Office):
    """An author who may have two plans waiting."""
    (firm.state / FILE).write_text("[policy.limits]\nopen_plans = 2\n")
    firm.reopen()
    return firm.open(firm.token("ann", Role.AUTHOR))


def test_an_author_with_enough_plans_waiting_hands_in_no_other(firm: Office, ann):
    """The third is refused, draft or not, and nothing of it stays; others may; revising is not handing in."""
    first = ann.submit(DOCUMENT)
    ann.submit(DOCUMENT, draft=True)
    for draft in (False, True):
        with pytest.raises(Denied) as caught:
            ann.submit(DOCUMENT, draft=draft)
        assert (caught.value.code, caught.value.http_status) == ("too-many-open-plans", 429)
    assert len(firm.gate.list_plans()[0]) == 2
    assert ann.revise(first.id, DOCUMENT).revision == 2
    assert firm.open(firm.token("bob", Role.AUTHOR)).submit(DOCUMENT).state == "pending"


def test_what_is_decided_or_taken_back_waits_no_more(firm: Office, ann):
    """One rejected, one withdrawn: two more may come."""
    first, second = ann.submit(DOCUMENT), ann.submit(DOCUMENT)
    firm.open(firm.token("rita", Role.REVIEWER)).reject(first.id, first.digest, "no")
    ann.withdraw(second.id)
    assert [ann.submit(making(name)).state for name in ("Other", "Third")] == ["pending", "pending"]

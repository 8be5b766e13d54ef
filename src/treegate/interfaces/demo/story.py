"""The plans that the demo tells its story with: one with two slips, the same one put right, one left for the visitor.

Each function gives a new plan, version 1, as a plain object ready for JSON.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote_from_bytes

from treegate.interfaces.demo.kowalski import OFFER_NAME
from treegate.interfaces.demo.smith import WITNESS_NOTE

Operation = dict[str, Any]
Plan = dict[str, Any]

INDEX = """# Smith v. Jones, AC-2024-CV-00417

| folder | what |
|---|---|
| Pleadings/ | what was filed, by month |
| Discovery/ | what each side handed over, by month; the movers' dispatch log |
| Correspondence/ | letters in and out |
| Exhibits/ | plaintiff's exhibits A to D |
| Binder/ | copies for the settlement conference |
| Originals/ | the client's own papers: look, copy, do not move |
"""

BILLS = """Bills of the estate, by the year they came in.
paid.csv says which are paid. The winding goes on until the last clock has gone.
"""


def good_plan() -> Plan:
    """The plan for Smith-v-Jones that the gate lets through to the reviewer."""
    return {
        "version": 1,
        "title": "Sort the discovery scans",
        "reason": "The partner asked for the scans by date, before the settlement conference",
        "requested_by": "Beatrice Aldous, in the intake thread",
        "thread_url": "https://chat.example/intake/417",
        "case": "Smith-v-Jones",
        "operations": [*_scans(), _dispatch_log(), *_exhibits(), *_tidying()],
    }


def faulty_plan() -> Plan:
    """The same plan as the agent first wrote it, with the slips of `slips` in it."""
    plan = good_plan()
    for number, slip in slips().items():
        plan["operations"][number - 1].update(slip)
    return plan


def slips() -> dict[int, Operation]:
    """What the agent got wrong: operation (from 1) -> the keys that differ from the good plan."""
    return {
        3: {"to": "Pleadings/2024-03/2024-03-28 Answer"},  # lost its extension
        5: {"from": "scna004.pdf"},  # letters swapped
    }


def waiting_plan() -> Plan:
    """A plan for Estate-of-Kowalski, left waiting for whoever tries the demo."""
    return {
        "version": 1,
        "title": "Put the bills of the estate in order, by year",
        "reason": "The accountant needs them by year for the estate's return",
        "requested_by": "Lorcan Pennick, notes.md of July 2",
        "case": "Estate-of-Kowalski",
        "operations": [
            {
                "op": "delete",
                "path": "Bills/Invoice 1187 (1).pdf",
                "why": "scanned twice: byte for byte the same as Invoice 1187.pdf",
            },
            {
                "op": "move",
                "match": "Bills/*.pdf",
                "count": 6,
                "to": "Bills/{mtime:%Y}/{name}",
                "why": "one folder a year, by the day the bill was filed",
            },
            {"op": "create", "path": "Bills/README.txt", "content": BILLS, "why": "so that the next person knows"},
            {
                "op": "rename",
                "path": _percent(OFFER_NAME),
                "name": _percent("Angebot Münster.txt"),
                "raw": True,
                "why": "the name is Latin-1; the new machine cannot open it",
            },
        ],
    }


def _scans() -> list[Operation]:
    """The eight papers, each to the month it is dated; the numbers of `slips` count from the mkdir."""
    return [
        {"op": "mkdir", "path": "Pleadings", "why": "filed papers go apart from discovery"},
        _sorted(
            1,
            "Pleadings/2024-03/2024-03-01 Complaint.pdf",
            "caption and title on page 1; filed with the fee of March 1",
        ),
        _sorted(2, "Pleadings/2024-03/2024-03-28 Answer.pdf", "titled Answer of Defendant"),
        _sorted(3, "Correspondence/2024-04/2024-04-11 Letter from Brandt.pdf", "dated April 11, 2024"),
        _sorted(4, "Discovery/2024-05/2024-05-06 First interrogatories.pdf", "titled First Set of Interrogatories"),
        _sorted(5, "Discovery/2024-02/2024-02-12 Restorer's estimate.pdf", "invoice form, marked estimate only"),
        _sorted(6, "Discovery/2023-11/2023-11-18 Bill of lading.pdf", "bill of lading No. 8812"),
        _sorted(7, "Discovery/2024-06/2024-06-03 Notice of deposition.pdf", "dated June 3, 2024"),
        _sorted(8, "Correspondence/2024-06/2024-06-17 Letter to the clerk.pdf", "dated June 17, 2024"),
    ]


def _sorted(scan: int, to: str, why: str) -> Operation:
    return {"op": "move", "from": f"scan{scan:03}.pdf", "to": to, "why": why}


def _dispatch_log() -> Operation:
    return {
        "op": "move",
        "match": "Scans/*.jpg",
        "except": ["Scans/blank*"],
        "count": 6,
        "to": "Discovery/Dispatch log/{mtime:%Y-%m-%d} page {n:02}{ext}",
        "why": "six photographed pages of the movers' log, one a day",
    }


def _exhibits() -> list[Operation]:
    """A swap, as people write one: through a third name."""
    why = "the stickers say that A and B are the wrong way round"
    return [
        {"op": "move", "from": "Exhibits/Exhibit A.pdf", "to": "Exhibits/swap.pdf", "why": why},
        {"op": "move", "from": "Exhibits/Exhibit B.pdf", "to": "Exhibits/Exhibit A.pdf", "why": why},
        {"op": "move", "from": "Exhibits/swap.pdf", "to": "Exhibits/Exhibit B.pdf", "why": why},
    ]


def _tidying() -> list[Operation]:
    return [
        {"op": "rename", "path": "Notes/todo.txt", "name": "open-points.txt", "why": "the name the other cases use"},
        {
            "op": "rename",
            "path": _percent(WITNESS_NOTE),
            "name": _percent("Résumé témoin.txt"),
            "raw": True,
            "why": "the name is Latin-1 and shows as boxes; the same name in UTF-8",
        },
        {
            "op": "copy",
            "from": "Pleadings/2024-03/2024-03-01 Complaint.pdf",
            "to": "Binder/01 Complaint.pdf",
            "why": "first tab of the conference binder",
        },
        {"op": "create", "path": "INDEX.md", "content": INDEX, "why": "what lies where"},
        {
            "op": "delete",
            "path": "scan009.pdf",
            "why": "byte for byte the same as scan003.pdf: it went through twice",
        },
    ]


def _percent(name: str) -> str:
    """A name's bytes as a raw operation writes them."""
    return quote_from_bytes(os.fsencode(name))

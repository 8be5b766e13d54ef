"""Scenes for the pages: a case of five thousand scans, and a plan on it that hides five things worth a look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCANS = 5_000


def case_of_scans(projects: Path, count: int = SCANS) -> None:
    """Two cases: one full of scans, with a folder that another one could be mistaken for; and a second one."""
    scans = projects / "Smith-v-Jones" / "Scans"
    scans.mkdir(parents=True)
    for number in range(count):
        (scans / f"scan{number:05}.pdf").write_bytes(b"%PDF-1.4 scan " + str(number).encode())
    for path, text in {
        "Smith-v-Jones/Correspondence/2024-01-05 letter.pdf": "a letter",
        "Smith-v-Jones/Notes/status.md": "# Status\n\nopen: 3\nclosed: 1\n",
        "Smith-v-Jones/Notes/invoice.xlsx": "a sheet",
        "Doe-v-Roe/README.md": "the other case",
    }.items():
        file = projects / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def five_findings(count: int = SCANS) -> bytes:
    """A plan of so many moves, with a move between cases, a changed extension, a folder nearly named like another
    one, a replacement, and one that goes elsewhere than all its like."""
    special = {0, 1, 2, 3}
    operations: list[dict[str, Any]] = [
        {"op": "move", "from": f"Smith-v-Jones/Scans/scan{number:05}.pdf", "to": "Smith-v-Jones/Letters/"}
        for number in range(count)
        if number not in special
    ]
    scan = "Smith-v-Jones/Scans/scan{:05}.pdf".format
    operations[count // 2 : count // 2] = [
        {"op": "move", "from": scan(0), "to": "Doe-v-Roe/scan00000.pdf"},
        {"op": "move", "from": scan(1), "to": "Smith-v-Jones/Letters/scan00001.docx"},
        {"op": "move", "from": scan(2), "to": "Smith-v-Jones/Corespondence/"},
        {"op": "move", "from": scan(3), "to": "Smith-v-Jones/Notes/"},
        {"op": "replace", "path": "Smith-v-Jones/Notes/status.md", "content": "# Status\n\nopen: 2\nclosed: 2\n"},
    ]
    head = {
        "version": 1,
        "title": "Sort the discovery scans",
        "reason": "Partner asked for the scans in one place before the hearing on Thursday",
        "requested_by": "intake thread",
        "thread_url": "https://chat.example.org/t/4711",
    }
    return json.dumps({**head, "operations": operations}).encode()

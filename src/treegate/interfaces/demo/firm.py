"""What stands beside the cases: the firm's reports, lists and tools."""

from __future__ import annotations

from importlib import resources

from treegate.interfaces.demo.items import Item, Sheet, Text

INVENTORY = """#!/bin/sh
# Writes INVENTORY.txt into the current folder: the SHA-256 of each file below it, and a count by type.
# Use: cd projects/Smith-v-Jones && sh ../../Tools/inventory.sh
set -eu
LC_ALL=C
export LC_ALL
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find . -type f ! -name INVENTORY.txt -exec sha256sum {} + | sort -k 2 > "$list"
{
    echo "Inventory: $(wc -l < "$list" | tr -d ' ') files"
    echo
    sed 's/.*\\.//' "$list" | sort | uniq -c | sort -rn
    echo
    cat "$list"
} > INVENTORY.txt
"""

REPORTS = (
    Item(
        "Caseload 2025-Q2.xlsx",
        "2025-07-01",
        Sheet(
            "Caseload",
            ("Case", "Opened", "Who", "State", "Hours"),
            (
                ("Smith-v-Jones", "2024-02-16", "BA", "settlement conference", 41.5),
                ("Estate-of-Kowalski", "2024-01-19", "LP", "accounts", 63.25),
                ("Rivera-Acquisition", "2025-01-13", "LP", "closing", 58.0),
                ("Müller-Lease", "2025-01-14", "LP", "waiting for a reply", 4.75),
            ),
            total="Hours",
        ),
    ),
)

DATABASE = (
    Item(
        "clients.csv",
        "2025-01-14",
        Sheet(
            "Clients",
            ("number", "client", "case", "since"),
            (
                (2024031, "Harriet Smith", "Smith-v-Jones", "2024-02-16"),
                (2024012, "Irena Kowalski", "Estate-of-Kowalski", "2024-01-19"),
                (2025004, "Panadería Rivera, Inc.", "Rivera-Acquisition", "2025-01-13"),
                (2025005, "Annegret Müller", "Müller-Lease", "2025-01-14"),
            ),
        ),
    ),
    Item(
        "conflicts.csv",
        "2025-01-14",
        Sheet(
            "Conflicts",
            ("name", "found in", "cleared by"),
            (
                ("S. Lefèvre", "Smith-v-Jones (witness); Rivera-Acquisition (customer)", "BA, 2025-02-12"),
                ("Farrow & Lisle", "Smith-v-Jones (expert)", "BA, 2024-02-16"),
            ),
        ),
    ),
)


def _tool(name: str) -> Text:
    """The source of a tool, as it lies beside this module."""
    return Text(resources.files("treegate.interfaces.demo.tools").joinpath(name).read_text(encoding="utf-8"))


_README = """inventory.sh               lists every file of a case with its SHA-256
create_file_inventory.py   the same in a sandbox, as text, csv or json:
                           treegate run CASE -- python /tools/create_file_inventory.py --root /case
"""

TOOLS = (
    Item("inventory.sh", "2024-02-01", Text(INVENTORY), 0o755),
    Item("create_file_inventory.py", "2025-03-03", _tool("create_file_inventory.py"), 0o755),
    Item("README.txt", "2025-03-03", Text(_README)),
)

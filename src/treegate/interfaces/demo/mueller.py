"""The case Müller-Lease: a bookbinder, a workshop, and a clause about the noise of the press."""

from __future__ import annotations

from treegate.interfaces.demo.items import Deed, Form, Item, Letter, Scan, Sheet, Text
from treegate.interfaces.demo.smith import FIRM

LEASE = Deed(
    "Lease of a Workshop",
    "Between Seaward Properties (landlord) and Annegret Müller, bookbinder (tenant), for the "
    "ground floor of 5 Glue Yard.",
    (
        ("Term.", "Five years from September 1, 2023, with one renewal at the tenant's choice."),
        ("Rent.", "$1,150 a month, due on the first, late on the sixth."),
        ("Quiet.", "No machine shall be run before seven or after eight. A hand press is not a machine."),
        (
            "Repairs.",
            "Roof, walls and drains are the landlord's; everything that can be reached "
            "without a ladder is the tenant's.",
        ),
    ),
    ("Seaward Properties, by its manager", "Annegret Müller"),
    "Lease 5 Glue Yard · counterpart 2 of 2",
)
NOTICE = Letter(
    ("Seaward Properties", "Lettings", "22 Tide Street, Port Alder"),
    "January 13, 2025",
    ("Annegret Müller", "5 Glue Yard"),
    "Notice under clause 3",
    (
        "Dear Ms. Müller,",
        "The tenant above you reports a thumping before seven on eleven mornings in "
        "December. We regard your press as a "
        "machine and ask you to stop, or to move it away from the party wall.",
    ),
    "R. Calloway, Manager",
)
REPORT = Form(
    ("Port Alder Surveying", "Measured drawings", "8 Signal Hill"),
    "Sound level report, 5 Glue Yard",
    (
        ("Measured", "January 28, 2025, 6:40 to 7:20 a.m."),
        ("Press at rest", "31 dB(A)"),
        ("Press in use", "33 dB(A)"),
        ("Cat, upstairs", "58 dB(A), on landing"),
    ),
    "The thumping continued for ten minutes after the press was locked. Its source has four feet.",
)

ITEMS = (
    Item("Lease 2023 (counterpart).pdf", "2023-08-28", LEASE),
    Item("Notice 13 January.pdf", "2025-01-14", NOTICE),
    Item("Sound level report.pdf", "2025-01-29", REPORT),
    Item(
        "Reply to landlord.docx",
        "2025-02-03",
        Letter(
            FIRM,
            "February 3, 2025",
            ("Seaward Properties", "22 Tide Street"),
            "5 Glue Yard: your notice of January 13",
            (
                "Dear Mr. Calloway,",
                "A surveyor's report is enclosed. We would be grateful if you would take the "
                "matter up with the tenant "
                "above, or with her cat.",
            ),
            "Lorcan Pennick",
        ),
    ),
    Item(
        "Diary of mornings.png",
        "2025-01-02",
        Scan(
            "Dezember, morgens",
            (
                "2. 12.  6:10  bumm",
                "3. 12.  6:05  bumm bumm",
                "5. 12.  6:20  (I was at the baker's!)",
                "6. 12.  6:15  bumm",
            ),
        ),
    ),
    Item(
        "rent.csv",
        "2025-01-31",
        Sheet(
            "Rent",
            ("month", "due", "paid"),
            (("2024-11", 1150.0, "2024-11-01"), ("2024-12", 1150.0, "2024-12-01"), ("2025-01", 1150.0, "2025-01-02")),
        ),
    ),
    Item("notes.md", "2025-02-03", Text("Closed if they do not answer by March. Send A. M. the frog story.\n")),
)

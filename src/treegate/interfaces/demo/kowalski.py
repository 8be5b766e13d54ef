"""The case Estate-of-Kowalski: a watchmaker's will, his clocks, and a family that writes from three countries."""

from __future__ import annotations

import os
import unicodedata

from treegate.interfaces.demo.items import Bill, Deed, Form, Item, Letter, Mail, Pleading, Same, Scan, Sheet, Text
from treegate.interfaces.demo.smith import FIRM

COURT = "Probate Court of Alder County"
ESTATE = ("In the Matter of the Estate of\nSTANISLAW KOWALSKI,\n                    Deceased.", "")
NUMBER = "AC-2024-PR-00058"
PENNICK = "Lorcan Pennick, Attorney for the Executor"
EXPERT = ("Augustin Vell", "Horologist and valuer", "2 Bell Passage, Port Alder")

# Bytes as an old German Windows wrote them: valid Latin-1, not UTF-8.
OFFER_NAME = os.fsdecode(b"Letters/Angebot M\xfcnster.txt")
# Decomposed, as a Mac writes it: each accent is a character of its own.
ZOE_NAME = unicodedata.normalize("NFD", "Letters/Zoë, thank-you note.txt")

WILL = Deed(
    "Last Will of Stanislaw Kowalski",
    "I, Stanislaw Kowalski, watchmaker, of 9 Pendulum Court, Port Alder, being of sound mind "
    "and having wound everything "
    "this morning, declare this to be my last will.",
    (
        ("Executor.", "I appoint my daughter Irena. She is punctual."),
        ("The shop.", "The shop and its tools go to Irena, if she will open it on Saturdays."),
        (
            "The clocks.",
            "Each clock goes to the person named on the paper inside its case. Where there is no paper, they may "
            "draw lots, the youngest first.",
        ),
        (
            "The rest.",
            "What remains is shared equally between Irena, my niece Lucja in Lodz and my nephew Günter in Münster.",
        ),
    ),
    ("Stanislaw Kowalski, September 12, 2019", "Witness: P. Abernathy", "Witness: D. Rosen"),
    "Will of S. Kowalski · page numbers initialled",
)
CODICIL = Deed(
    "First Codicil",
    "To my will of September 12, 2019, which I otherwise confirm.",
    (
        (
            "The night clock.",
            "I had left it to nobody. It shall go to Zoë from the bakery, who asked each week how it was.",
        ),
        ("Winding.", "Until they are given away, the clocks are to be wound on Sundays, at the estate's expense."),
    ),
    ("Stanislaw Kowalski, March 3, 2021", "Witness: P. Abernathy", "Witness: Z. Marsh"),
    "Codicil 1 of 1",
)

PETITION = Pleading(
    COURT,
    ESTATE,
    NUMBER,
    "Petition for Probate of Will",
    (
        "1. Stanislaw Kowalski died at Port Alder on January 14, 2024, aged 88.",
        "2. He left a will dated September 12, 2019, and one codicil dated March 3, 2021, "
        "both lodged with this court.",
        "3. The estate is believed not to exceed $310,000, of which thirty-one clocks.",
        "4. Petitioner Irena Kowalski is named executor and is willing to serve without bond.",
        "Petitioner asks that the will be admitted and letters testamentary issue.",
    ),
    PENNICK,
)
LETTERS_TESTAMENTARY = Pleading(
    COURT,
    ESTATE,
    NUMBER,
    "Letters Testamentary",
    (
        "The will of the above decedent having been admitted to probate on February 22, 2024, IRENA KOWALSKI is "
        "hereby appointed executor, with full authority under the Independent Administration Act.",
        "WITNESS the clerk of this court, with the seal affixed.",
    ),
    "Clerk of the Probate Court",
)
CREDITORS = Pleading(
    COURT,
    ESTATE,
    NUMBER,
    "Notice to Creditors",
    (
        "All persons having claims against the decedent shall file them with the court and "
        "mail a copy to the executor "
        "within four months after February 22, 2024.",
        "Customers who left a watch for repair may collect it at 9 Pendulum Court on "
        "Saturdays, with or without the ticket.",
    ),
    PENNICK,
)
EXTENSION = Pleading(
    COURT,
    ESTATE,
    NUMBER,
    "Ex Parte Request to Extend Time for Inventory",
    (
        "1. The inventory is due on June 22, 2024.",
        "2. The valuer has examined eight of thirty-one clocks. He reports that he is being careful.",
        "3. The executor asks for ninety days. No heir objects; one (Lucja Kowalska) asks that he take longer.",
    ),
    PENNICK,
)

# number, name, maker and year, condition, value, what the paper inside says
CLOCKS = (
    (1, "Longcase clock", "Hallam, Port Alder, 1792", "runs, strikes one late", 14_500, "for Irena"),
    (2, "Night clock", "unsigned, about 1680", "case wormed, movement fine", 38_000, "codicil: Zoë Marsh"),
    (3, "Railway regulator", "Alder & Western, 1904", "within two seconds a month", 6_200, "no paper"),
    (4, "Cuckoo clock", "Triberg, 1958", "cuckoo replaced by a wren", 340, "for Günter, who will know why"),
    (5, "Ship's chronometer", "Nordlys, Bergen, 1931", "gimbals stiff", 4_900, "no paper"),
    (6, "Carriage clock", "Duverger, Besançon, 1877", "case regilt, badly", 1_150, "for Lucja, for the journey"),
    (7, "Mantel clock", "Pendulum Court, S. K., 1962", "his masterpiece; perfect", 2_400, "not for sale"),
    (8, "Kitchen clock", "enamel, 1970s", "stopped at 4:10", 15, "leave it on the wall"),
)


def _appraisal(number: int, name: str, maker: str, condition: str, value: int, paper: str) -> Form:
    return Form(
        EXPERT,
        f"Appraisal {number:02}: {name}",
        (
            ("Estate", f"S. Kowalski, {NUMBER}"),
            ("Maker and year", maker),
            ("Condition", condition),
            ("Paper inside the case", paper),
            ("Fair market value", f"$ {value:,}.00"),
            ("As of", "January 14, 2024"),
        ),
        "Examined at 9 Pendulum Court, in daylight, over a full going period. The value is "
        "that between a willing buyer "
        "and a willing seller, neither of them in a hurry.",
    )


FUNERAL = Bill(
    ("Marlowe Funeral Home", "15 Yew Street, Port Alder"),
    "2024-0117",
    "January 24, 2024",
    "Estate of S. Kowalski",
    (("Service and chapel", 3200.0), ("Casket, plain oak", 2450.0), ("Bell ringer, eighty-eight strokes", 176.0)),
)
LOCKSMITH = Bill(
    ("Tumbler & Key", "Locksmiths", "6 Ward Street"),
    "1187",
    "February 27, 2024",
    "Irena Kowalski, executor",
    (("Opening of one safe, without damage", 240.0), ("New combination", 60.0)),
    "The safe held eleven watch glasses and a sandwich.",
)
WINDING_24 = Bill(
    EXPERT,
    "W-24",
    "December 30, 2024",
    "Estate of S. Kowalski, under the codicil",
    (("Winding of thirty-one clocks, 45 Sundays at $30", 1350.0), ("Oil", 18.5)),
)
WINDING_25 = Bill(
    EXPERT,
    "W-25",
    "June 29, 2025",
    "Estate of S. Kowalski, under the codicil",
    (("Winding of nineteen clocks, 26 Sundays at $20", 520.0),),
    "Twelve clocks have gone to their new homes. It is quieter.",
)
GLAZIER = Bill(
    ("Ostrow Glass", "Glaziers", "Harbour Annex"),
    "5521",
    "November 20, 2023",
    "Mr. S. Kowalski, 9 Pendulum Court",
    (("Shop window, one pane, 4 ft x 6 ft", 385.0), ("Gilt lettering KOWALSKI, restored", 210.0)),
)
TAXES = Bill(
    ("Perrin & Daughters", "Accountants", "40 Assembly Place"),
    "25-0093",
    "April 4, 2025",
    "Estate of S. Kowalski",
    (("Final personal return, 2024", 450.0), ("Fiduciary return, 2024", 675.0)),
)

ITEMS = (
    Item("Will and codicil/Last Will 2019.pdf", "2024-01-19", WILL),
    Item("Will and codicil/First Codicil 2021.pdf", "2024-01-19", CODICIL),
    Item(
        "Originals/Paper from clock 04.png",
        "2024-03-11",
        Scan(
            "An meinen Neffen",
            ("wenn du die Augen zumachst,", "ist es doch ein Kuckuck.", "", "        dein Onkel S."),
        ),
    ),
    Item("Court/Petition for Probate.pdf", "2024-02-02", PETITION),
    Item("Court/Letters Testamentary.pdf", "2024-02-22", LETTERS_TESTAMENTARY),
    Item("Court/Notice to Creditors.pdf", "2024-02-26", CREDITORS),
    Item("Court/2024/Request to extend.pdf", "2024-06-14", EXTENSION),
    *(
        Item(f"Inventory/Appraisals/Appraisal {c[0]:02} {c[1]}.pdf", f"2024-0{4 + c[0] // 4}-1{c[0]}", _appraisal(*c))
        for c in CLOCKS
    ),
    Item(
        "Inventory/Clocks.xlsx",
        "2024-06-20",
        Sheet(
            "Clocks",
            ("No", "Clock", "Maker and year", "Condition", "Value", "Paper inside"),
            tuple((c[0], c[1], c[2], c[3], float(c[4]), c[5]) for c in CLOCKS),
            total="Value",
        ),
    ),
    Item("Inventory/Clocks (copy).xlsx", "2024-06-21", Same("Inventory/Clocks.xlsx")),
    Item("Bills/Invoice 2024-0117 funeral.pdf", "2024-01-25", FUNERAL),
    Item("Bills/Invoice 1187.pdf", "2024-02-28", LOCKSMITH),
    Item("Bills/Invoice 1187 (1).pdf", "2024-03-01", Same("Bills/Invoice 1187.pdf")),
    Item("Bills/Invoice 5521 glazier.pdf", "2023-11-22", GLAZIER),
    Item("Bills/Winding W-24.pdf", "2024-12-30", WINDING_24),
    Item("Bills/Winding W-25.pdf", "2025-06-30", WINDING_25),
    Item("Bills/Accountant 25-0093.pdf", "2025-04-07", TAXES),
    Item(
        "Bills/paid.csv",
        "2025-07-01",
        Sheet(
            "Paid",
            ("date", "bill", "amount"),
            (("2024-02-05", "2024-0117", 5826.0), ("2024-03-04", "1187", 300.0), ("2025-01-08", "W-24", 1368.5)),
        ),
    ),
    Item(
        "Letters/List od Łucji.docx",
        "2024-02-12",
        Letter(
            ("Łucja Kowalska", "ul. Zegarowa 7", "Łódź"),
            "12 lutego 2024",
            ("Irena Kowalski", "9 Pendulum Court"),
            "Droga Ireno,",
            (
                "dziękuję za list. Wujek pisał do mnie co niedzielę, zawsze o czwartej dziesięć.",
                "Przyjadę w kwietniu. Proszę, nie zatrzymujcie zegarów.",
            ),
            "Twoja Łucja",
        ),
    ),
    Item(
        "Letters/Letter to heirs.docx",
        "2024-03-01",
        Letter(
            FIRM,
            "March 1, 2024",
            ("To the heirs of Stanisław Kowalski",),
            "The clocks, and how they will be given out",
            (
                "Dear all,",
                "Mr. Vell will value the clocks through the spring. Please do not look "
                "inside the cases before he has: the "
                "papers are part of the will.",
                "Lots will be drawn in April 2025, the youngest first, as Mr. Kowalski wished.",
            ),
            "Lorcan Pennick",
        ),
    ),
    Item(
        OFFER_NAME,
        "2024-04-18",
        Text(
            "Sehr geehrte Frau Kowalski,\n\n"
            "für den Regulator bieten wir 5.800 Euro, abgeholt in Münster\n"
            "oder bei Ihnen. Er müsste nur weiterlaufen dürfen.\n\n"
            "Uhrenhaus Brücke\n",
            "latin-1",
        ),
    ),
    Item(
        ZOE_NAME,
        "2025-04-22",
        Text(
            "Dear Irena,\n\n"
            "it is on the shelf above the ovens and it keeps time with the dough.\n"
            "Thank you, and thank him.\n\n"
            "Zoë\n"
        ),
    ),
    Item(
        "Mail/lots drawn.eml",
        "2025-04-14",
        Mail(
            "Irena Kowalski <irena@pendulum-court.example>",
            "Lorcan Pennick <l.pennick@aldous-pennick.example>",
            "lots drawn",
            "Lorcan,\n\n"
            "done, in the shop, twelve clocks in an hour. Łucja drew the regulator and cried. Günter\n"
            "opened the cuckoo clock and laughed so long that it struck again.\n\n"
            "Irena\n",
        ),
    ),
    Item(
        "notes.md",
        "2025-07-02",
        Text(
            "# Open\n\n"
            "- bills: by year, for the accountant\n"
            "- rename the Münster offer, nobody can open it on the new machine\n"
            "- 1187 was scanned twice\n"
            "- kitchen clock stays on the wall\n"
        ),
    ),
)

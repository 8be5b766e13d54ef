"""The case Rivera-Acquisition: a family bakery is sold, ovens, name, sourdough and all."""

from __future__ import annotations

from treegate.interfaces.demo.items import Bill, Deed, Form, Item, Letter, Mail, Same, Scan, Sheet, Text
from treegate.interfaces.demo.smith import FIRM

SELLER, BUYER = "Panadería Rivera, Inc.", "Harborlight Provisions Co."
CITY = ("City of Port Alder", "Licences and Inspections", "3 Assembly Place")

NDA = Deed(
    "Mutual Confidentiality Agreement",
    f"Between {SELLER} and {BUYER}, who wish to talk about a sale without the street hearing of it.",
    (
        (
            "What is confidential.",
            "All recipes, accounts and customer lists, and the fact that there are talks at all.",
        ),
        (
            "The starter.",
            "No sample of the sourdough culture leaves the bakery before closing, in any quantity, on any sleeve.",
        ),
        ("Term.", "Three years from January 15, 2025."),
    ),
    ("Consuelo Rivera, President", "Edmund Thackeray Voss, Vice President"),
    "NDA Rivera/Harborlight",
)
INTENT = Deed(
    "Letter of Intent",
    f"{BUYER} intends to buy the business of {SELLER}. Only clauses 3 and 4 bind anyone.",
    (
        ("Price.", "$1,420,000 at closing, and $180,000 after a year if the morning queue is no shorter."),
        ("Employees.", "All eleven are kept on. Hours begin, as now, at three."),
        ("Exclusivity.", "Sixty days."),
        ("Costs.", "Each side pays its own lawyers."),
    ),
    ("Consuelo Rivera", "Edmund Thackeray Voss"),
    "LOI, February 3, 2025",
)


def _apa(version: str, price: str, starter: str, footer: str) -> Deed:
    return Deed(
        "Asset Purchase Agreement",
        f"{version}. Between {SELLER} (Seller) and {BUYER} (Buyer).",
        (
            ("Assets.", "Buyer buys the ovens, the vans, the name, the recipes, and the assets of Schedule 2.1(c)."),
            ("Price.", price),
            ("The starter.", starter),
            ("Closing.", "At the bakery, after the second bake, on a day to be agreed."),
            (
                "Seller's promise.",
                "Seller will not bake for money within four miles for five years. Bread given away is not sold.",
            ),
        ),
        (f"{SELLER}, by Consuelo Rivera", f"{BUYER}, by Edmund Thackeray Voss"),
        footer,
    )


APA_1 = _apa("Draft 1 of March 10, 2025", "$1,420,000, in cash.", "[to be discussed]", "APA draft 1 · A&P")
APA_2 = _apa(
    "Draft 2 of March 24, 2025, with Buyer's comments",
    "$1,380,000, in cash, and an earn-out of $220,000.",
    "The culture is an ordinary ingredient and needs no clause.",
    "APA draft 2 · comments of Buyer's counsel",
)
APA_3 = _apa(
    "Draft 3 of April 7, 2025",
    "$1,420,000, in cash, and an earn-out of $180,000.",
    "The culture known as Abuela, alive since 1974, passes at closing. Seller keeps one jar, "
    "and may not be asked where.",
    "APA draft 3 · A&P · clean",
)

SCHEDULE = Form(
    FIRM,
    "Schedule 2.1(c): Living assets",
    (
        ("Asset", "Sourdough culture “Abuela”"),
        ("Alive since", "1974, fed daily"),
        ("Quantity at closing", "not less than 9 kg, active"),
        ("Kept", "crock, second shelf, never the fridge"),
        ("Spare", "one jar, with Seller (clause 3)"),
    ),
    "Risk passes with the spoon.",
)
ARTICLES = Deed(
    "Articles of Incorporation",
    f"Of {SELLER}, filed with the Secretary of State on May 2, 1988.",
    (
        ("Purpose.", "To bake, and to sell what is baked, and any lawful business."),
        ("Shares.", "One thousand, without par value, all of one class."),
        ("Agent.", "Consuelo Rivera, 77 Orchard Street, Port Alder."),
    ),
    ("Consuelo Rivera, Incorporator",),
    "Filed 88-05-02 · certified copy",
)
BYLAWS = Deed(
    "Bylaws",
    f"Of {SELLER}, as amended at the meeting of June 1, 2014.",
    (
        ("Meetings.", "Yearly, on the first Sunday of June, after lunch."),
        ("Directors.", "Three. A director who has not worked a night shift in the year has no vote."),
        ("Seal.", "The corporation has no seal. It has a stamp for boxes."),
    ),
    ("Mateo Rivera, Secretary",),
    "Bylaws, amended 2014",
)
MINUTES = Deed(
    "Minutes of the Board",
    f"Of {SELLER}, Sunday, January 12, 2025, in the flour store. Present: Consuelo, Mateo and Inés Rivera.",
    (
        ("The offer.", "Consuelo reported that Harborlight had asked. Silence for some time."),
        (
            "Resolved.",
            "To talk, on condition that everyone keeps their job and that the starter is treated with respect.",
        ),
        ("Other business.", "The mixer makes the noise again."),
    ),
    ("Inés Rivera, taking the minutes",),
    "Minutes 2025-01",
)
FLOUR = Deed(
    "Supply Agreement",
    f"Between Tollgate Mill and {SELLER}, for flour.",
    (
        ("Quantity.", "Four tonnes a month, one of them rye."),
        ("Quality.", "Stone-ground, not older than three weeks, protein 12.5 to 13.5 per cent."),
        ("Change of control.", "The mill may end the contract if the bakery is sold to someone who freezes dough."),
    ),
    ("Tollgate Mill, by A. Quill", "Consuelo Rivera"),
    "Supply agreement 2022, renewed yearly",
)
CAFE = Deed(
    "Standing Order",
    f"Between the Lantern Street Café and {SELLER}.",
    (
        ("Daily.", "Forty rolls, six loaves, at the back door by half past five."),
        ("Price.", "As listed, less eight per cent."),
        ("Sundays.", "Twenty rolls. No loaves. It is Sunday."),
    ),
    ("For the café: S. Lefèvre", "Mateo Rivera"),
    "Standing order since 2016",
)
OVEN = Deed(
    "Equipment Lease",
    f"Between Brasa Ovens Leasing and {SELLER}, for one deck oven, serial BR-2207.",
    (
        ("Rent.", "$890 a month for sixty months from April 1, 2021."),
        ("Purchase.", "At the end, for one dollar."),
        ("Assignment.", "Only with the lessor's written consent, which it may not refuse without a reason."),
    ),
    ("Brasa Ovens Leasing", "Consuelo Rivera"),
    "Lease BR-2207",
)
PREMISES = Deed(
    "Lease of Premises",
    f"Between the Orchard Street Trust and {SELLER}, for the shop and bakehouse at 77 Orchard Street.",
    (
        ("Term.", "To December 31, 2031."),
        ("Rent.", "$4,300 a month, and a loaf to the trustee at New Year."),
        ("Use.", "As a bakery, and not otherwise."),
    ),
    ("Orchard Street Trust, by its trustee", "Consuelo Rivera"),
    "77 Orchard Street · third renewal",
)
PERMIT = Form(
    CITY,
    "Food establishment permit 31-0774",
    (
        ("Holder", SELLER),
        ("Premises", "77 Orchard Street"),
        ("Last inspection", "October 22, 2024"),
        ("Score", "98 of 100"),
        ("Valid to", "October 31, 2025"),
        ("Transferable", "No; new owner must apply"),
    ),
    "Two points deducted: cat seen on sill (outside).",
)
INSURANCE = Form(
    ("Lighthouse Mutual", "Commercial lines", "19 Beacon Street"),
    "Certificate of insurance",
    (
        ("Insured", SELLER),
        ("Policy", "LM-88-20415"),
        ("Fire and flood", "$900,000"),
        ("Spoilage", "$40,000"),
        ("Starter culture", "excluded: “beyond price”"),
    ),
    "Issued to the buyer for information on March 3, 2025.",
)
MIXER = Bill(
    ("Whisk & Gear", "Bakery machines, repairs", "Harbour Annex"),
    "WG-3306",
    "March 17, 2025",
    SELLER,
    (("Spiral mixer: bearing, belt", 640.0), ("Call-out, 4 a.m.", 180.0)),
    "The noise was a spoon.",
)

ITEMS = (
    Item("NDA signed.pdf", "2025-01-15", NDA),
    Item("Letter of Intent.pdf", "2025-02-03", INTENT),
    Item("Drafts/APA draft 1.pdf", "2025-03-10", APA_1),
    Item("Drafts/APA draft 2 (their comments).pdf", "2025-03-24", APA_2),
    Item("Drafts/APA draft 3 FINAL.pdf", "2025-04-07", APA_3),
    Item("Drafts/APA draft 3 FINAL final.pdf", "2025-04-08", Same("Drafts/APA draft 3 FINAL.pdf")),
    Item("Drafts/Schedule 2.1(c).pdf", "2025-04-07", SCHEDULE),
    Item("Data room/01 Corporate/Articles 1988.pdf", "2025-02-10", ARTICLES),
    Item("Data room/01 Corporate/Bylaws.pdf", "2025-02-10", BYLAWS),
    Item("Data room/01 Corporate/Minutes 2025-01-12.pdf", "2025-02-11", MINUTES),
    Item("Data room/02 Contracts/Tollgate Mill.pdf", "2025-02-12", FLOUR),
    Item("Data room/02 Contracts/Café standing order.pdf", "2025-02-12", CAFE),
    Item("Data room/03 Property/Oven lease BR-2207.pdf", "2025-02-13", OVEN),
    Item("Data room/03 Property/77 Orchard Street.pdf", "2025-02-13", PREMISES),
    Item("Data room/04 Permits & insurance/Permit 31-0774.pdf", "2025-02-14", PERMIT),
    Item("Data room/04 Permits & insurance/Insurance.pdf", "2025-03-03", INSURANCE),
    Item("Data room/05 Finance/Invoice WG-3306.pdf", "2025-03-18", MIXER),
    Item(
        "Data room/05 Finance/Results 2022-2024.xlsx",
        "2025-02-17",
        Sheet(
            "Results",
            ("Year", "Loaves", "Sales", "Flour", "Wages", "Left"),
            (
                (2022, 188_400, 811_200.0, 96_300.0, 402_000.0, 121_900.0),
                (2023, 193_150, 868_700.0, 108_800.0, 421_500.0, 128_400.0),
                (2024, 201_020, 934_100.0, 112_200.0, 447_250.0, 151_650.0),
            ),
            total="Left",
        ),
    ),
    Item(
        "Data room/05 Finance/sales by week.csv",
        "2025-02-17",
        Sheet(
            "Weeks",
            ("week", "loaves", "rolls"),
            tuple((f"2024-W{w:02}", 3600 + (w * 97) % 460, 5200 + (w * 131) % 900) for w in range(1, 53)),
        ),
    ),
    Item(
        "Data room/index.csv",
        "2025-03-18",
        Sheet(
            "Index",
            ("folder", "what"),
            (
                ("01", "Corporate"),
                ("02", "Contracts"),
                ("03", "Property"),
                ("04", "Permits & insurance"),
                ("05", "Finance"),
            ),
        ),
    ),
    Item(
        "Scans/recipe card (front).jpg",
        "2025-03-05",
        Scan(
            "PAN DE CASA", ("harina 10 kg", "agua, la que pida", "sal 200 g", "Abuela, dos cucharones", "paciencia")
        ),
    ),
    Item(
        "Scans/recipe card (back).jpg",
        "2025-03-05",
        Scan("(al dorso)", ("No escribir el resto.", "", "        C. R.")),
    ),
    Item(
        "Letters/2025-03-28 Comments on draft 2.docx",
        "2025-03-28",
        Letter(
            FIRM,
            "March 28, 2025",
            ("Counsel for Harborlight Provisions Co.",),
            "Rivera: your comments on draft 2",
            (
                "Dear colleague,",
                "We can live with the indemnity cap. We cannot live with the sentence that calls Abuela an ordinary "
                "ingredient; our client read it aloud to the crock, and is now worried.",
                "Draft 3 will restore the clause.",
            ),
            "Lorcan Pennick",
        ),
    ),
    Item(
        "Mail/closing date.eml",
        "2025-04-09",
        Mail(
            "Consuelo Rivera <consuelo@panaderia-rivera.example>",
            "Lorcan Pennick <l.pennick@aldous-pennick.example>",
            "closing date",
            "Lorcan, any day but a Friday. Fridays we bake double.\n\n"
            "And tell Mr. Voss to bring a clean spoon.\n"
            "C.\n",
        ),
    ),
    Item(
        "Mail/schedule attached.eml",
        "2025-04-08",
        Mail(
            "Lorcan Pennick <l.pennick@aldous-pennick.example>",
            "Edmund Thackeray Voss <e.voss@harborlight.example>",
            "Schedule 2.1(c)",
            "Dear Mr. Voss,\n\n"
            "the schedule is attached. Nine kilograms, active, is Ms. Rivera's last word.\n\n"
            "Lorcan Pennick\n",
            attached="Drafts/Schedule 2.1(c).pdf",
        ),
    ),
    Item(
        "Notes/checklist.md",
        "2025-04-09",
        Text(
            "# Before closing\n\n"
            "- [x] consent of oven lessor\n"
            "- [ ] new permit (buyer)\n"
            "- [ ] Tollgate Mill: do they freeze dough?\n"
            "- [ ] spoon\n"
        ),
    ),
)

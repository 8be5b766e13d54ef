"""The case Smith-v-Jones: a piano, a staircase, and a shoebox of scans that nobody has sorted yet.

Persons, firms and places in the sample office are invented.
"""

from __future__ import annotations

import os

from treegate.interfaces.demo.items import (
    Bill,
    Deed,
    Form,
    Item,
    Letter,
    Link,
    Mail,
    Pleading,
    Same,
    Scan,
    Sheet,
    Text,
)

FIRM = ("Aldous & Pennick", "Attorneys at Law", "12 Chandlers Row, Port Alder", "555-0142")
DEFENCE = ("Brandt Okonjo Partners", "Counsellors", "One Customs Square, Port Alder", "555-0177")
MOVERS = ("Jones & Daughter", "Piano Movers since 1986", "Wharf 4, Port Alder", "“Gently does it”")
WORKSHOP = ("Farrow & Lisle", "Piano Restorers", "The Old Chapel, Mill Lane, Port Alder")
COURT = "Superior Court of Alder County"
PARTIES = (
    "HARRIET SMITH,\n                    Plaintiff",
    "LEOPOLD JONES, doing business as\nJONES & DAUGHTER,\n                    Defendant.",
)
NUMBER = "AC-2024-CV-00417"
ALDOUS = "Beatrice Aldous, Attorney for Plaintiff"
BRANDT = "Tamsin Brandt, Attorney for Defendant"
CLERK = ("Clerk of the Court", "Superior Court of Alder County", "3 Assembly Place, Port Alder")

# Bytes as an old French Windows wrote them: valid Latin-1, not UTF-8.
WITNESS_NOTE = os.fsdecode(b"Notes/R\xe9sum\xe9 t\xe9moin.txt")

COMPLAINT = Pleading(
    COURT,
    PARTIES,
    NUMBER,
    "Complaint for Damages",
    (
        "1. Plaintiff Harriet Smith teaches the piano at 14 Lantern Street, third floor, Port Alder.",
        "2. On November 18, 2023, Defendant undertook for $640 to carry Plaintiff's upright piano, built in 1911, "
        "from the third floor to the street.",
        "3. Between the second and the first landing Defendant let go of the strap. The piano went down the last "
        "flight alone.",
        "4. The soundboard is cracked in two places, nineteen hammers are broken, and the bass bridge is off.",
        "5. Repair will cost $18,740. Plaintiff could not teach for eleven weeks.",
        "WHEREFORE Plaintiff asks for damages of $24,310, costs, and such further relief as is just.",
    ),
    ALDOUS,
    scan="SMITH 000001",
)
ANSWER = Pleading(
    COURT,
    PARTIES,
    NUMBER,
    "Answer of Defendant Leopold Jones",
    (
        "1. Defendant admits paragraphs 1 and 2 of the Complaint.",
        "2. Defendant denies that he let go of the strap. The strap let go of the piano.",
        "3. Defendant lacks knowledge of the number of hammers.",
        "FIRST DEFENSE. Plaintiff was told in writing that the banister of the first landing was loose.",
        "SECOND DEFENSE. The bill of lading limits liability to sixty cents a pound for each article.",
        "Defendant asks that the Complaint be dismissed.",
    ),
    BRANDT,
    scan="SMITH 000002",
)
BRANDT_LETTER = Letter(
    DEFENCE,
    "April 11, 2024",
    ("Beatrice Aldous", "Aldous & Pennick", "12 Chandlers Row"),
    "Re: Smith v. Jones, preservation of evidence",
    (
        "Dear Ms. Aldous,",
        "Thank you for your letter of March 4. My client has kept the strap, the dolly and the dispatch log of "
        "that week. You may inspect the first two at Wharf 4 on any weekday before noon.",
        "We ask in return that the piano not be repaired before our expert has seen it. Mr. Jones says that he "
        "would also like to apologise to it.",
    ),
    "Tamsin Brandt",
    scan="SMITH 000003",
)
INTERROGATORIES = Pleading(
    COURT,
    PARTIES,
    NUMBER,
    "Plaintiff's First Set of Interrogatories",
    (
        "INTERROGATORY 1. Name every person who was on the stairs of 14 Lantern Street on November 18, 2023, "
        "between 9 and 11 a.m.",
        "INTERROGATORY 2. State the age, maker and rated load of the strap.",
        "INTERROGATORY 3. State how many pianos Defendant moved in that week, and how many arrived.",
        "INTERROGATORY 4. Describe each change made to the dispatch log after November 18, 2023, and by whom.",
    ),
    ALDOUS,
    scan="SMITH 000004",
)
RESTORER_BILL = Bill(
    WORKSHOP,
    "2024-019",
    "February 12, 2024",
    "Ms. Harriet Smith, 14 Lantern Street",
    (
        ("Examination and written estimate", 280.00),
        ("Soundboard: two cracks shimmed, ribs reglued", 6450.00),
        ("Nineteen hammers, set and voiced", 4180.00),
        ("Bass bridge recapped, strings 1 to 26", 5330.00),
        ("Case: veneer, left cheek and toe block", 2500.00),
    ),
    "Estimate only. Work begins when both parties have looked at the instrument.",
    scan="SMITH 000005",
)
LADING = Form(
    MOVERS,
    "Bill of Lading No. 8812",
    (
        ("Date", "November 18, 2023, 8:40 a.m."),
        ("From", "14 Lantern Street, 3rd floor (no lift)"),
        ("To", "31 Quarry Road, ground floor"),
        ("Article", "Upright piano, walnut, 1911, about 520 lb"),
        ("Declared value", "(left blank)"),
        ("Charge", "$640.00, paid in advance"),
        ("Crew", "L. Jones, M. Jones, “Tiny”"),
    ),
    "Carrier's liability is sixty cents per pound per article unless a higher value is declared above. "
    "Shipper was advised of: narrow turn, wet steps, banister.",
    scan="SMITH 000006",
)
DEPOSITION = Pleading(
    COURT,
    PARTIES,
    NUMBER,
    "Notice of Deposition of Marguerite Jones",
    (
        "PLEASE TAKE NOTICE that on June 27, 2024, at 10 a.m., at 12 Chandlers Row, Port Alder, Plaintiff will "
        "take the deposition of Marguerite Jones upon oral examination.",
        "The deponent is asked to bring the dispatch log for November 13 to 18, 2023, in the original, and any "
        "photograph of the staircase taken on the last of those days.",
        "Dated June 3, 2024.",
    ),
    ALDOUS,
    scan="SMITH 000007",
)
CLERK_LETTER = Letter(
    FIRM,
    "June 17, 2024",
    CLERK,
    f"Re: Smith v. Jones, {NUMBER}: date of the settlement conference",
    (
        "Dear Clerk,",
        "Both counsel are free on August 20 and 22. We ask for a room on the ground floor, since the parties wish "
        "the court to hear the instrument.",
        "A stamped envelope is enclosed.",
    ),
    "Beatrice Aldous",
    scan="SMITH 000008",
)

STAIR_SURVEY = Form(
    ("Port Alder Surveying", "Measured drawings", "8 Signal Hill"),
    "Survey of the stairs, 14 Lantern Street",
    (
        ("Surveyed", "January 9, 2024"),
        ("Width between walls", "0.94 m at the narrowest"),
        ("Flights", "4, of 13 steps each"),
        ("Banister, 1st landing", "loose; moves 31 mm under 20 kg"),
        ("Marks", "gouge in plaster, 1.1 m above step 9"),
    ),
    "The gouge agrees in height with the left cheek of an upright piano.",
    exhibit="A",
)
VALUATION = Letter(
    WORKSHOP,
    "December 4, 2023",
    ("Ms. Harriet Smith", "14 Lantern Street"),
    "Valuation of one upright piano, serial 40917",
    (
        "Dear Ms. Smith,",
        "I have known the instrument since 1998 and tuned it last on October 30, 2023. Before the accident it would "
        "have fetched $21,500 from anyone who had played it, and $12,000 from anyone who had not.",
        "In its present state I would give $900, for the walnut.",
    ),
    "Ottoline Farrow",
    exhibit="B",
)
LOST_LESSONS = Bill(
    ("Harriet Smith", "Piano lessons, all ages", "14 Lantern Street"),
    "Exhibit schedule C",
    "February 9, 2024",
    "Lessons that could not be given, November 20, 2023 to February 2, 2024",
    (
        ("Beginners, 11 weeks, 9 pupils", 2970.00),
        ("Advanced, 11 weeks, 4 pupils", 1980.00),
        ("Winter recital, hall deposit forfeited", 220.00),
        ("Hire of an electric piano (returned after a week)", 400.00),
    ),
    exhibit="C",
)
STRAP = Form(
    ("Alder Materials Laboratory", "Tests of rope, chain and webbing", "Harbour Annex"),
    "Test report 24-0311: lifting strap",
    (
        ("Received", "April 25, 2024, from Brandt Okonjo"),
        ("Article", "polyester webbing, 50 mm, green"),
        ("Rated load", "1,000 kg when new"),
        ("Broke at", "612 kg, at the stitching"),
        ("Age", "label illegible; not under ten years"),
    ),
    "The strap did not break on the stairs: both ends show wear from slipping through a buckle.",
    exhibit="D",
)
FEES = Deed(
    "Engagement and Fee Agreement",
    "Between Harriet Smith (the client) and Aldous & Pennick (the firm), concerning a claim against Leopold Jones.",
    (
        (
            "Scope.",
            "The firm will represent the client through judgment in the Superior Court. Appeals are not covered.",
        ),
        ("Fee.", "The firm will be paid one quarter of what is recovered, and nothing if nothing is."),
        ("Costs.", "Filing fees, experts and copies are advanced by the firm and set off at the end."),
        ("Files.", "The client's originals are kept in a separate folder and given back unmarked."),
    ),
    ("Harriet Smith", "Beatrice Aldous for Aldous & Pennick"),
    "Aldous & Pennick · engagement 2024-031",
)
LEASE_PAGE = Deed(
    "Guarantee of Sound Condition",
    "Given by the makers with each instrument leaving the works, and by the seller with this one, in May 1911.",
    (
        ("Materials.", "The soundboard is of mountain spruce, seasoned five years in the open."),
        ("Term.", "The makers will put right any fault of material within ten years. Falls are not faults."),
    ),
    ("For the works (signature illegible)",),
    "Copy made February 20, 2024, from the client's original",
)

LOG = (
    (
        "Mon 13 Nov",
        "7:30 van 1, oil checked",
        "8:15 baby grand, Opera Walk, ok",
        "14:00 organ (small), St. Brannock's, ok",
    ),
    (
        "Tue 14 Nov",
        "8:00 upright, Fish St to storage",
        "10:30 CANCELLED, customer unwell",
        "13:00 new tyre van 2, $94",
    ),
    ("Wed 15 Nov", "9:00 two uprights, school", "one caretaker, very helpful", "12:00 lunch (long)", "16:00 yard"),
    ("Thu 16 Nov", "8:30 grand, legs off, 2nd fl.", "used the NEW strap, good", "new strap lent to Colin"),
    ("Fri 17 Nov", "9:00 survey Lantern St: narrow!", "told lady about banister", "ask Colin for strap"),
    (
        "Sat 18 Nov",
        "8:40 Lantern St, upright 1911",
        "Colin still has strap, old one then",
        "9:50 see report",
        "10:05 phone call home",
    ),
)

COUNT_HOURS = """#!/bin/sh
# Adds up the hours in Billing/time-2024.csv, by person.
cd "$(dirname "$0")/.." || exit 1
tail -n +2 Billing/time-2024.csv | tr -d '\\r' | awk -F, '
    { hours[$2] += $3 }
    END { for (who in hours) printf "%-4s %6.2f h\\n", who, hours[who] }' | sort
"""

_SCANS = (COMPLAINT, ANSWER, BRANDT_LETTER, INTERROGATORIES, RESTORER_BILL, LADING, DEPOSITION, CLERK_LETTER)

ITEMS = (
    *(Item(f"scan{number:03}.pdf", "2024-07-08", paper) for number, paper in enumerate(_SCANS, 1)),
    Item("scan009.pdf", "2024-07-09", Same("scan003.pdf")),
    *(
        Item(f"Scans/IMG_{411 + n:04}.jpg", f"2023-11-{12 + n}", Scan(f"DISPATCH LOG   {line[0]}", line[1:]))
        for n, line in enumerate(LOG, 1)
    ),
    Item("Scans/blank page.jpg", "2024-06-28", Scan("DISPATCH LOG", ("", "", "(this page left empty)"))),
    Item(
        "Scans/envelope.png",
        "2024-06-28",
        Scan("To: A. & P., Chandlers Row", ("", "log, as asked.", "M. Jones", "", "please do NOT bend")),
    ),
    Item("Exhibits/Exhibit A.pdf", "2024-05-02", VALUATION),  # A and B went into the wrong sleeves
    Item("Exhibits/Exhibit B.pdf", "2024-05-02", STAIR_SURVEY),
    Item("Exhibits/Exhibit C.pdf", "2024-05-02", LOST_LESSONS),
    Item("Exhibits/Exhibit D – strap.pdf", "2024-05-07", STRAP),
    Item("Originals/Fee agreement (signed).pdf", "2024-02-20", FEES),
    Item("Originals/Guarantee 1911.pdf", "2024-02-20", LEASE_PAGE),
    Item(
        "Originals/READ ME FIRST.txt",
        "2024-02-20",
        Text("The client's own papers. Look, copy, do not move.\n    B.A.\n"),
    ),
    Item(
        "Correspondence/2024-03-04 Letter to Jones.docx",
        "2024-03-04",
        Letter(
            FIRM,
            "March 4, 2024",
            ("Leopold Jones", "Jones & Daughter", "Wharf 4, Port Alder"),
            "Smith v. Jones: please keep the strap",
            (
                "Dear Mr. Jones,",
                "You were served on Friday. Please keep the strap, the dolly, the van's papers and your dispatch log "
                "exactly as they are. If you have a lawyer, hand this letter on.",
                "Ms. Smith asks me to add that she bears the third member of your crew no grudge.",
            ),
            "Beatrice Aldous",
        ),
    ),
    Item(
        "Correspondence/2024-07-02 Report to client.docx",
        "2024-07-02",
        Letter(
            FIRM,
            "July 2, 2024",
            ("Harriet Smith", "14 Lantern Street"),
            "Where your case stands",
            (
                "Dear Harriet,",
                "Marguerite Jones was deposed on Thursday and was a very good witness, "
                "mostly for us: the new strap had "
                "been lent to a cousin two days before.",
                "The settlement conference will be in August. Please do not play for the judge unless asked.",
            ),
            "Beatrice",
        ),
    ),
    Item(
        "Correspondence/Réponse de Mme Lefèvre.txt",
        "2024-05-21",
        Text(
            "Chère Maître,\n\n"
            "Le piano, oui, je l'ai entendu tomber. Un mi bémol, puis tout le reste.\n"
            "Je viendrai volontiers le dire au juge.\n\n"
            "Solange Lefèvre, 2e étage\n"
        ),
    ),
    Item("latest", "2024-07-02", Link("Correspondence")),
    Item(
        "Mail/Re strap.eml",
        "2024-04-12",
        Mail(
            "Tamsin Brandt <t.brandt@brandt-okonjo.example>",
            "Beatrice Aldous <b.aldous@aldous-pennick.example>",
            "Re: strap",
            "Bea,\n\n"
            "letter attached, as promised, on paper too. The strap is green. That is all I am\n"
            "allowed to say about it.\n\n"
            "Tamsin\n",
            attached="scan003.pdf",
        ),
    ),
    Item(
        "Mail/scanner again.eml",
        "2024-07-09",
        Mail(
            "Front desk <desk@aldous-pennick.example>",
            "Beatrice Aldous <b.aldous@aldous-pennick.example>",
            "scanner again",
            "The box from discovery is scanned, eight papers. It jammed on Ms. Brandt's letter, so\n"
            "that one went through twice. Names are scan001 and up, sorry, it will not let me type.\n\n"
            "Dov\n",
        ),
    ),
    Item(
        "Mail/Übersetzung Lefèvre.eml",
        "2024-05-23",
        Mail(
            "Jörg Tänzer <j.taenzer@uebersetzer.example>",
            "Beatrice Aldous <b.aldous@aldous-pennick.example>",
            "Translation of Mme Lefèvre's letter",
            "Dear Ms. Aldous,\n\n"
            "“Yes, I heard the piano fall. An E flat, then everything else.”\n\n"
            "No charge for two sentences.\n"
            "Jörg Tänzer\n",
        ),
    ),
    Item(
        "Notes/todo.txt",
        "2024-07-05",
        Text(
            "- sort the discovery scans BY DATE (partner asks)\n"
            "- exhibits A and B: wrong way round?\n"
            "- who is Tiny?\n"
            "- blanket for the piano\n"
        ),
    ),
    Item(
        "Notes/call with H. Smith.md",
        "2024-02-16",
        Text(
            "# Call, Feb 16\n\n"
            "She wants the piano back, not the money. Kept the splinters, in a biscuit tin, numbered.\n"
        ),
    ),
    Item(
        WITNESS_NOTE,
        "2024-05-22",
        Text(
            "Résumé du témoin : Mme Lefèvre, 2e étage.\nA tout entendu, n'a rien vu. Très sûre du mi bémol.\n",
            "latin-1",
        ),
    ),
    Item("Notes/count-hours.sh", "2024-06-30", Text(COUNT_HOURS), 0o755),
    Item(
        "Billing/time-2024.csv",
        "2024-06-30",
        Sheet(
            "Time",
            ("date", "who", "hours", "what"),
            (
                ("2024-02-16", "BA", 0.75, "first call"),
                ("2024-03-01", "BA", 2.5, "complaint"),
                ("2024-03-04", "LP", 0.5, "service; letter to defendant"),
                ("2024-05-06", "BA", 3.25, "interrogatories"),
                ("2024-05-22", "LP", 1.0, "witness, 2nd floor"),
                ("2024-06-27", "BA", 4.0, "deposition M. Jones"),
            ),
        ),
    ),
    Item(
        "Billing/costs.xlsx",
        "2024-06-30",
        Sheet(
            "Costs",
            ("Date", "For", "Amount"),
            (
                ("2024-01-09", "Survey of the stairs", 310.0),
                ("2024-03-01", "Filing fee", 225.0),
                ("2024-04-25", "Laboratory, half share", 180.0),
                ("2024-06-27", "Court reporter", 412.5),
            ),
            total="Amount",
        ),
    ),
)

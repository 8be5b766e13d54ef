"""The demo's sample office is what it says it is, and its plans speak of what is there."""

from __future__ import annotations

import builtins
import csv
import email
import email.policy
import fnmatch
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from treegate.errors import UsageError
from treegate.interfaces.demo import Office, build, faulty_plan, good_plan, slips, waiting_plan
from treegate.interfaces.demo.items import Scan
from treegate.interfaces.demo.office import CASES

for library in ("fpdf", "PIL", "docx", "xlsxwriter"):
    pytest.importorskip(library, reason="the sample office needs the extra `demo`")

MAGIC = {".pdf": b"%PDF-", ".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".docx": b"PK", ".xlsx": b"PK"}
PART = {".docx": "word/document.xml", ".xlsx": "xl/workbook.xml"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return build(tmp_path_factory.mktemp("demo") / "office")


def everything(root: Path) -> list[Path]:
    return sorted(root.rglob("*"), key=os.fsencode)


def files(root: Path, extension: str = "") -> list[Path]:
    return [p for p in everything(root) if p.is_file() and not p.is_symlink() and p.name.endswith(extension)]


def state(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Each entry's mode, mtime in ns, and content or link target."""
    out: dict[bytes, tuple[object, ...]] = {}
    for path in everything(root):
        facts = path.lstat()
        link = stat.S_ISLNK(facts.st_mode)
        what = os.readlink(path) if link else path.read_bytes() if path.is_file() else b""
        out[os.fsencode(path.relative_to(root))] = (facts.st_mode, facts.st_mtime_ns, what)
    return out


def test_two_builds_are_equal(office: Office, tmp_path: Path) -> None:
    """Built a second time, every name, mode, mtime, content and link target is the same, whatever the umask."""
    old = os.umask(0o077)
    try:
        again = build(tmp_path / "again")
    finally:
        os.umask(old)
    assert state(again.root) == state(office.root)


def test_counts_are_true(office: Office) -> None:
    """The office says how many cases, files and PDFs it holds, and keeps item 13's minimum."""
    assert sorted(office.cases) == sorted(os.listdir(office.projects))
    assert {"Smith-v-Jones", "Estate-of-Kowalski", "Rivera-Acquisition"} <= set(office.cases)
    assert office.files == len(files(office.projects))
    assert office.pdfs == len(files(office.projects, ".pdf"))
    assert {"Reports", "Database", "Tools", "projects"} == set(os.listdir(office.root))


def test_types_match_extensions(office: Office) -> None:
    """Each file begins as its extension promises, and opens as such."""
    known = Counter(path.suffix for path in files(office.root))
    assert set(known) == {*MAGIC, ".txt", ".md", ".csv", ".eml", ".py", ".sh"}
    for path in files(office.root):
        head = path.read_bytes()
        assert head.startswith(MAGIC.get(path.suffix, b"")), path
        if path.suffix in PART:
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
                assert PART[path.suffix] in archive.namelist()
                assert {member.date_time[0] for member in archive.infolist()} == {1980}, "no clock was read"


def test_images_decode(office: Office) -> None:
    """Each scan is a page-sized picture that is neither blank nor black."""
    from PIL import Image

    pictures = files(office.projects, ".jpg") + files(office.projects, ".png")
    assert len(pictures) >= 10
    for path in pictures:
        with Image.open(path) as image:
            assert image.format == {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
            assert image.size == (850, 1100)
            darkest, lightest = image.getextrema()
            assert darkest < 90 < 230 < lightest


def test_scans_use_letters_that_the_font_has() -> None:
    """Pillow's own font draws a box for anything beyond ASCII, so no scan asks for more."""
    scans = [item.inside for items in CASES.values() for item in items if isinstance(item.inside, Scan)]
    assert len(scans) >= 10
    assert all(text.isascii() for scan in scans for text in (scan.heading, *scan.lines))


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_forty_pdfs_have_distinct_text(office: Office) -> None:
    """pdftotext reads every PDF without complaint; at least forty say something of their own, each on one page."""
    texts: Counter[str] = Counter()
    for path in files(office.projects, ".pdf"):
        done = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert len(done.stdout.split()) > 30, path
        assert done.stdout.count("\f") == 1, path
        texts[done.stdout] += 1
    assert len(texts) >= 40
    assert sum(texts.values()) - len(texts) == 3, "only the three planned duplicates repeat a text"


def test_mail_parses(office: Office) -> None:
    """Every message has its headers, a date that is its file's, and no defects; one carries a PDF."""
    attached = []
    for path in files(office.projects, ".eml"):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert not message.defects
        assert all(message[name] for name in ("From", "To", "Subject", "Message-ID"))
        assert message["Date"].datetime.timestamp() == path.stat().st_mtime_ns // 10**9
        attached += [part.get_content() for part in message.iter_attachments()]
    scan = office.projects / "Smith-v-Jones" / "scan003.pdf"
    assert scan.read_bytes() in attached


def test_tables_and_texts_read(office: Office) -> None:
    """CSV rows are as wide as their header; text is UTF-8, but for the two badly named files."""
    for path in files(office.root, ".csv"):
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}, path
    odd = [
        path for path in files(office.root) if path.suffix in {".txt", ".md", ".sh"} and not utf8(path.read_bytes())
    ]
    assert odd == [path for path in files(office.root) if not utf8(os.fsencode(path.name))]


def utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_names_are_as_people_leave_them(office: Office) -> None:
    """There are spaces, accents, a decomposed name, and exactly two names that are not UTF-8."""
    raw = [os.fsencode(path.name) for path in everything(office.projects)]
    names = [name.decode() for name in raw if utf8(name)]
    assert len(raw) - len(names) == 2
    assert sum(" " in name for name in names) > 20
    assert all(any(letter in unicodedata.normalize("NFC", name) for name in names) for letter in "éüŁë")
    assert sum(unicodedata.normalize("NFC", name) != name for name in names) == 1


def test_duplicates_link_script_and_originals(office: Office) -> None:
    """Copies under other names, one symbolic link, executable scripts, deep folders and Originals are there."""
    same = Counter(sha256(path.read_bytes()).digest() for path in files(office.projects))
    assert sum(count - 1 for count in same.values()) == 4
    links = [path for path in everything(office.projects) if path.is_symlink()]
    assert [path.exists() for path in links] == [True]
    executable = [path for path in files(office.root) if path.stat().st_mode & 0o111]
    assert [stat.S_IMODE(path.stat().st_mode) for path in executable] == [0o755] * 3
    assert (office.projects / "Smith-v-Jones" / "Originals").is_dir()
    assert max(len(path.relative_to(office.projects).parts) for path in files(office.projects)) >= 4


def test_dates_are_spread(office: Office) -> None:
    """Files date from 2023 to 2025, to the nanosecond, and a folder is as old as the newest thing in it."""
    times = [path.lstat().st_mtime_ns for path in everything(office.projects)]
    assert {datetime.fromtimestamp(t // 10**9, UTC).year for t in times} == {2023, 2024, 2025}
    assert sum(t % 1000 > 0 for t in times) > len(times) * 0.9
    for folder in (path for path in everything(office.root) if path.is_dir()):
        assert folder.stat().st_mtime_ns == max(p.lstat().st_mtime_ns for p in folder.iterdir())


def test_scripts_run(office: Office, tmp_path: Path) -> None:
    """The case's script adds up its hours; the inventory tool lists every file of a case."""
    case = tmp_path / "case"
    shutil.copytree(office.projects / "Smith-v-Jones", case, symlinks=True)
    hours = subprocess.run([case / "Notes" / "count-hours.sh"], capture_output=True, text=True, check=True)
    assert hours.stdout == "BA    10.50 h\nLP     1.50 h\n"
    subprocess.run([office.root / "Tools" / "inventory.sh"], cwd=case, check=True)
    lines = (case / "INVENTORY.txt").read_bytes().splitlines()
    assert lines[0] == b"Inventory: %d files" % (len(files(case)) - 1)
    assert sum(re.match(rb"[0-9a-f]{64}  \./", line) is not None for line in lines) == len(files(case)) - 1


def test_the_inventory_for_sandboxes_reads_and_tells(office: Office, tmp_path: Path) -> None:
    """It lists all files, says which hold the same, and writes only where it is told to."""
    case = tmp_path / "case"
    shutil.copytree(office.projects / "Smith-v-Jones", case, symlinks=True)
    os.rename(case / "Notes", case / os.fsdecode(b"Notes\xff\n"))
    before = files(case)
    command = [sys.executable, office.root / "Tools" / "create_file_inventory.py", "--root", case]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{len(before)} files" in told
    assert "These hold the same:" in told
    assert "Notes\\xff\\n/" in told
    assert files(case) == before
    document = json.loads(subprocess.run([*command, "--format=json"], capture_output=True, check=True).stdout)
    first = next(one for one in document["files"] if one["path"].isascii() and "\\" not in one["path"])
    assert first["sha256"] == sha256((case / first["path"]).read_bytes()).hexdigest()
    for _ in range(2):  # the list does not list itself
        subprocess.run([*command, "--format=csv", "--output=LIST.csv"], check=True)
        assert len((case / "LIST.csv").read_text().splitlines()) == len(before) + 1


def test_exhibits_lie_in_the_wrong_sleeves(office: Office) -> None:
    """What the story swaps is really swapped: the sticker on A says B, and the other way round."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    for name, sticker in (("A", "B"), ("B", "A"), ("C", "C")):
        path = office.projects / "Smith-v-Jones" / "Exhibits" / f"Exhibit {name}.pdf"
        text = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True).stdout
        assert re.search(rf"PLAINTIFF'S EXHIBIT\s+{sticker}\b", text)


@pytest.mark.parametrize("used", ["folder", "file", "dangling link"])
def test_what_is_in_use_is_refused(tmp_path: Path, used: str) -> None:
    """A folder with something in it, a file or a link is left as it was, and another place is named."""
    target = tmp_path / "my office"
    if used == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif used == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")
    (tmp_path / "my office-2").mkdir()
    before = state(tmp_path)
    with pytest.raises(UsageError) as caught:
        build(target)
    assert caught.value.code == "folder-not-empty"
    assert caught.value.next == f"treegate demo '{tmp_path}/my office-3'"
    assert caught.value.hint
    assert state(tmp_path) == before


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """An empty folder that exists is built into."""
    assert build(tmp_path).projects.is_dir()


@pytest.mark.parametrize("library", ["fpdf", "PIL", "docx", "xlsxwriter"])
def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Without one of the demo's libraries nothing is built, and the hint says what to install."""
    hide(monkeypatch, library)
    with pytest.raises(UsageError) as caught:
        build(tmp_path / "office")
    assert caught.value.hint == "pip install 'treegate[demo]'"
    assert not (tmp_path / "office").exists()


def hide(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    import importlib

    real, real_module = builtins.__import__, importlib.import_module

    def refuse(name: str) -> None:
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(f"No module named {name!r}")

    def importing(name: str, *args: object, **kwargs: object) -> object:
        refuse(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    def import_module(name: str, package: str | None = None) -> object:
        refuse(name)
        return real_module(name, package)

    monkeypatch.setattr(builtins, "__import__", importing)
    monkeypatch.setattr(importlib, "import_module", import_module)


# The plans, carried out in order on a set of names: enough to know that each speaks of what is there.

Names = dict[str, bytes | None]  # path -> content, None for a folder or link


def names_of(case: Path) -> Names:
    return {
        str(path.relative_to(case)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in everything(case)
    }


def carry_out(plan: dict, case: Path) -> Names:
    names = names_of(case)
    for number, operation in enumerate(plan["operations"], 1):
        step(operation, names, case, number)
    return names


def step(operation: dict, names: Names, case: Path, number: int) -> None:
    def path(key: str) -> str:
        value = operation[key]
        return os.fsdecode(unquote_to_bytes(value)) if operation.get("raw") else value

    def land(to: str, content: bytes | None) -> None:
        assert to not in names, f"operation {number}: {to} exists"
        names[to] = content

    match operation["op"]:
        case "mkdir":
            land(path("path"), None)
        case "create":
            land(path("path"), operation["content"].encode())
        case "delete":
            names.pop(path("path"))
        case "rename":
            folder = path("path").rpartition("/")[0]
            land(f"{folder}/{path('name')}", names.pop(path("path")))
        case "copy":
            land(path("to"), names[path("from")])
        case "move" if "match" in operation:
            matched = glob(operation, names)
            assert len(matched) == operation["count"]
            for n, source in enumerate(matched, 1):
                land(filled(operation["to"], source, case, n), names.pop(source))
        case "move":
            land(path("to"), names.pop(path("from")))
        case other:
            raise AssertionError(other)


def glob(operation: dict, names: Names) -> list[str]:
    def fits(path: str, pattern: str) -> bool:
        return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)

    fitting = [p for p in names if names[p] is not None and fits(p, operation["match"])]
    return sorted((p for p in fitting if not any(fits(p, no) for no in operation.get("except", []))), key=os.fsencode)


def filled(to: str, source: str, case: Path, n: int) -> str:
    stem, ext = os.path.splitext(os.path.basename(source))
    mtime = datetime.fromtimestamp((case / source).stat().st_mtime_ns // 10**9, UTC)
    return to.format(name=stem + ext, stem=stem, ext=ext, n=n, mtime=mtime)


def test_the_good_plan_fits_the_tree(office: Office) -> None:
    """Every source is there at its turn, every destination free, every count right; what leaves is a duplicate."""
    case = office.projects / "Smith-v-Jones"
    before, after = names_of(case), carry_out(good_plan(), case)
    assert not [name for name in after if re.fullmatch(r"scan\d+\.pdf|Scans/IMG.*|.*swap.*", name)]
    assert after["Exhibits/Exhibit A.pdf"] == before["Exhibits/Exhibit B.pdf"]
    assert after["Exhibits/Exhibit B.pdf"] == before["Exhibits/Exhibit A.pdf"]
    assert after["Binder/01 Complaint.pdf"] == before["scan001.pdf"]
    assert "Notes/Résumé témoin.txt" in after
    assert "Discovery/Dispatch log/2023-11-18 page 06.jpg" in after
    assert set(before.values()) <= set(after.values()), "no content is lost"
    assert before["scan009.pdf"] == before["scan003.pdf"]
    assert not [name for name in before if name.startswith("Originals") and name not in after]


def test_the_good_plan_shows_every_kind_of_work(office: Office) -> None:
    """Moves, one glob, a rename, a swap, one copy, one create, one delete, one raw rename; each says why."""
    operations = good_plan()["operations"]
    assert Counter(op["op"] for op in operations) == {
        "mkdir": 1,
        "move": 8 + 1 + 3,
        "rename": 2,
        "copy": 1,
        "create": 1,
        "delete": 1,
    }
    assert sum("match" in op for op in operations) == sum("raw" in op for op in operations) == 1
    for plan in (good_plan(), waiting_plan()):
        assert all(op["why"] for op in plan["operations"])
        assert all(plan[key] for key in ("title", "reason", "requested_by", "case"))


def test_the_faulty_plan_has_just_the_slips(office: Office) -> None:
    """The faulty plan is the good one but for a source that is not there and a lost extension."""
    good, faulty = good_plan(), faulty_plan()
    differ = [
        n
        for n, pair in enumerate(zip(good["operations"], faulty["operations"], strict=True), 1)
        if pair[0] != pair[1]
    ]
    assert differ == sorted(slips()) == [3, 5]
    assert good | {"operations": []} == faulty | {"operations": []}
    lost, misspelt = (faulty["operations"][n - 1] for n in differ)
    assert (lost["to"] + ".pdf", lost["from"]) == (good["operations"][2]["to"], "scan002.pdf")
    case = office.projects / "Smith-v-Jones"
    assert not (case / misspelt["from"]).exists()
    assert sorted(misspelt["from"]) == sorted(good["operations"][4]["from"])


def test_the_waiting_plan_fits_the_tree(office: Office) -> None:
    """The bills end up under their years, and the deleted one was a copy."""
    case = office.projects / "Estate-of-Kowalski"
    before, after = names_of(case), carry_out(waiting_plan(), case)
    assert {name.split("/")[1] for name in after if re.match(r"Bills/.*\.pdf$", name)} == {"2023", "2024", "2025"}
    assert before["Bills/Invoice 1187 (1).pdf"] == before["Bills/Invoice 1187.pdf"]
    assert set(before.values()) <= set(after.values())
    assert all(utf8(os.fsencode(name)) for name in after)


def test_plans_are_new_each_time(office: Office) -> None:
    """Changing a plan that was handed out changes no later one."""
    good_plan()["operations"].clear()
    faulty_plan()["operations"][2].clear()
    assert good_plan()["operations"]
    assert faulty_plan()["operations"][2]["from"] == "scan002.pdf"

"""treegate audit at the shell: whatever is done to the log by hand in the database is found and named."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from treegate.engine import audit, checkpoints, keys
from treegate.engine.audit import AuditRow
from treegate.gate import Gate
from treegate.interfaces.cli import cli
from treegate.interfaces.cli.failures import guarded

Found = tuple[int, dict[str, Any]]


class Office:
    """A workspace in which two runs were made, with an automatic checkpoint after the first."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "ws", folder / "state"
        self.environ = {"TREEGATE_STATE": str(self.state)}

    def shell(self, *command: str) -> Any:
        return CliRunner().invoke(cli, [*command, "--workspace", str(self.root)], env=self.environ)

    def refused(self, *command: str) -> int:
        """The exit status that a shell sees of a command that ends in an error."""
        return guarded(cli, [*command, "--workspace", str(self.root), "--state", str(self.state)])

    def verify(self, *options: object) -> Found:
        """Status and document of `audit verify`."""
        done = self.shell("audit", "verify", "--json", *map(str, options))
        return done.exit_code, json.loads(done.stdout)

    def errors(self, *options: object) -> list[str]:
        """The errors that `audit verify` tells; its status says whether there are any."""
        status, found = self.verify(*options)
        said = [one["title"] for one in found["findings"] if one["severity"] == "error"]
        assert status == (10 if said else 0)
        assert found["verified"] is not bool(said)
        return said

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.state / "treegate.db")) as database, database:
            for statement in statements:
                database.execute(statement)

    def rows(self) -> list[AuditRow]:
        with closing(sqlite3.connect(self.state / "treegate.db")) as database:
            return [AuditRow(*row) for row in database.execute("SELECT * FROM audit ORDER BY seq")]

    def checkpoint(self, name: str = "kept.json") -> Path:
        path = self.state.parent / name
        assert self.shell("audit", "checkpoint", "-o", str(path)).exit_code == 0
        return path

    def rewrite(self, change: Callable[[AuditRow], AuditRow], since: int = 1) -> None:
        """The whole chain anew, every hash as it has to be."""
        before = audit.GENESIS.hash
        with closing(sqlite3.connect(self.state / "treegate.db")) as database, database:
            for row in self.rows():
                if row.seq >= since:
                    row = change(row)
                made = AuditRow(*(getattr(row, name) for name in row.__struct_fields__[:-2]), before, "")
                before = audit.digest_of(made)
                values = (made.actor, made.data, made.prev, before, made.seq)
                database.execute("UPDATE audit SET actor = ?, data = ?, prev = ?, hash = ? WHERE seq = ?", values)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worked")
    case = folder / "ws/projects/Smith"
    case.mkdir(parents=True)
    with Gate.init(folder / "ws", solo=True, environ={"TREEGATE_STATE": str(folder / "state")}) as gate:
        for name in ("a", "b"):
            (case / name).write_text(name)
            operations = [{"op": "delete", "path": name}]
            done = gate.submit(json.dumps({"version": 1, "case": "Smith", "operations": operations}))
            gate.approve(done.id, done.digest)
            gate.apply(done.id)
    return folder


@pytest.fixture
def office(worked: Path, tmp_path: Path) -> Office:
    shutil.copytree(worked, tmp_path, dirs_exist_ok=True)
    return Office(tmp_path)


def test_a_log_that_nobody_touched_holds(office: Office):
    """The end of the first run made a checkpoint, and its row is the one before `checkpointed`."""
    rows = office.rows()
    (seq,) = [row.seq for row in rows if row.event == "checkpointed"]
    status, found = office.verify()
    assert (status, found["events"], found["checkpoints"], found["vouched"]) == (0, len(rows), 1, seq - 1)
    assert (found["seq"], found["hash"]) == (rows[-1].seq, rows[-1].hash)
    assert found["findings"] == []
    assert "the log holds: 13 events" in office.shell("audit", "verify").output


# --- edits by hand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        "actor = 'nobody'",
        "data = replace(data, 'Smith', 'Jones')",
        "data = '{'",
        "data = ''",
        "at = at + 1",
        "at = 'soon'",
        "plan = NULL",
        "event = 'revised'",
        "hash = 'x'",
        "actor = x'00ff'",
    ],
)
def test_an_edited_row_is_named(office: Office, edit: str):
    """Only that one, and the next where the edit was of its hash."""
    office.sql(f"UPDATE audit SET {edit} WHERE seq = 3")
    said = office.errors()
    assert said[0] == "audit row 3 was changed after it was written"
    assert len(said) == 1 + edit.startswith("hash")


def test_missing_rows_are_named(office: Office):
    """One, and several together."""
    office.sql("DELETE FROM audit WHERE seq IN (3, 9, 10, 11)")
    said = ["audit row 3 is missing: after 2 comes 4", "audit rows 9 to 11 are missing: after 8 comes 12"]
    assert office.errors() == said


def test_the_first_rows_cannot_be_left_out(office: Office):
    """A log begins with row 1."""
    office.sql("DELETE FROM audit WHERE seq <= 2")
    assert "audit rows 1 to 2 are missing: after 0 comes 3" in office.errors()


def test_two_rows_that_changed_places_are_named(office: Office):
    """Their numbers are part of their hashes."""
    office.sql(
        "UPDATE audit SET seq = -1 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = -1",
    )
    said = office.errors()
    assert said[0] == "audit row 3 does not follow from the one before it"
    assert said[1].startswith("audit row 4 ")


def test_a_row_that_was_put_in_is_named(office: Office):
    """Also where its own hash is right."""
    last = office.rows()[-1]
    office.sql(
        f"INSERT INTO audit SELECT {last.seq + 1}, at, event, 'nobody', channel, plan, run, data, hash, hash"
        f" FROM audit WHERE seq = {last.seq}"
    )
    assert office.errors() == [f"audit row {last.seq + 1} was changed after it was written"]


def test_of_many_faults_the_first_are_told_and_the_rest_counted(office: Office):
    """The document stays short, whatever was done."""
    with Gate.open(office.root, office.environ) as gate, gate.core.store.write() as transaction:
        for _ in range(40):
            transaction.log("x", gate.core.by())
    office.sql("UPDATE audit SET actor = 'nobody'")
    said = office.errors()
    assert len(said) == 21
    assert "33 more rows do not hold" in said


# --- cut tails -------------------------------------------------------------------------------------------------


def test_a_tail_cut_before_a_stored_checkpoint_is_found(office: Office):
    """The checkpoint knows of rows that the log has not."""
    office.sql("DELETE FROM audit WHERE seq > 4")
    assert any("the log ends at row 4, and the stored checkpoint of row 7" in one for one in office.errors())


def test_a_tail_cut_right_after_a_checkpoint_is_found(office: Office):
    """The row that tells of it is gone."""
    office.sql("DELETE FROM audit WHERE seq > 7", "UPDATE meta SET value = '1' WHERE key = 'generation'")
    (office.root / ".treegate/generation").unlink(missing_ok=True)
    said = office.errors()
    assert "the stored checkpoint of row 7 is not noted in the row after it: the log was cut or edited there" in said


def test_a_cut_tail_with_all_its_checkpoints_is_found_by_the_count_of_runs(office: Office):
    """Database and tree both count runs."""
    office.sql("DELETE FROM audit WHERE seq > 5", "DELETE FROM checkpoints")
    assert any("2 have begun: its end was cut" in one for one in office.errors())
    office.sql("UPDATE meta SET value = '1' WHERE key = 'generation'")
    assert any("2 have begun: its end was cut" in one for one in office.errors())


def test_a_cut_tail_without_a_run_in_it_is_found_by_a_checkpoint_kept_elsewhere(office: Office):
    """All else was cut with it; the limit of a log by itself is that it then holds."""
    last = office.rows()[-1].seq
    kept = office.checkpoint()
    office.sql(f"DELETE FROM audit WHERE seq >= {last}", f"DELETE FROM checkpoints WHERE seq >= {last}")
    assert office.errors() == []
    (said,) = office.errors("--checkpoint", kept)
    assert f"the log ends at row {last - 1}" in said


def test_an_emptied_log_is_no_log_that_holds(office: Office):
    """No row, no checkpoint."""
    office.sql("DELETE FROM audit", "DELETE FROM checkpoints")
    assert any("the log is empty" in one for one in office.errors())


# --- a chain made anew -----------------------------------------------------------------------------------------


def as_nobody(row: AuditRow) -> AuditRow:
    return AuditRow(*(row.seq, row.at, row.event, "nobody"), *(getattr(row, f) for f in row.__struct_fields__[4:]))


def test_a_chain_made_anew_is_found_by_the_stored_checkpoint(office: Office):
    """Every hash is right, and row 7 is another than the signed one."""
    office.rewrite(as_nobody)
    assert office.errors() == [
        "the log was rewritten: row 7 is not the one that the stored checkpoint of row 7 vouches for"
    ]


def test_a_chain_made_anew_with_its_checkpoints_is_found_only_by_one_kept_elsewhere(office: Office):
    """Without stored checkpoints, and none noted, there is nothing in the database against which it would show."""
    kept = office.checkpoint()
    office.sql("DELETE FROM checkpoints", "UPDATE audit SET event = 'x' WHERE event = 'checkpointed'")
    office.rewrite(as_nobody, since=5)
    assert office.errors() == []
    (said,) = office.errors("--checkpoint", kept)
    assert said.startswith("the log was rewritten: row 13")


def test_a_stored_checkpoint_that_is_taken_away_is_missed(office: Office):
    """The log says that it was made."""
    office.sql("DELETE FROM checkpoints")
    assert office.errors() == ["the stored checkpoint of row 7 is gone, and the log says that it was made"]


# --- checkpoints and keys --------------------------------------------------------------------------------------


def test_a_checkpoint_that_was_edited_does_not_count(office: Office):
    """Stored or given: what was signed is what it says."""
    kept = office.checkpoint()
    document = json.loads(kept.read_text())
    kept.write_text(json.dumps({**document, "at": 0}))
    (said,) = office.errors("--checkpoint", kept)
    assert "was changed after it was signed" in said
    office.sql("""UPDATE checkpoints SET document = replace(document, '"format":1', '"format":2') WHERE seq = 7""")
    office.sql("""UPDATE checkpoints SET document = replace(document, '"at":', '"at":1') WHERE seq > 7""")
    damaged, changed = office.errors()
    assert "of format 2" in damaged
    assert "was changed after it was signed" in changed


def test_a_checkpoint_signed_by_another_key_does_not_count(office: Office, tmp_path: Path):
    """Its signature is in order; the log names another key."""
    kept = office.checkpoint()
    (tmp_path / "other").mkdir()
    key = keys.create(tmp_path / "other")
    document = json.loads(kept.read_text()) | {"public_key": key.public, "signature": ""}
    bare = checkpoints.decode(json.dumps(document).encode(), "x")
    kept.write_text(json.dumps(document | {"signature": key.sign(checkpoints.encode(bare))}))
    (said,) = office.errors("--checkpoint", kept)
    assert "is signed by another key" in said


def test_a_checkpoint_of_another_workspace_is_told_from_a_broken_log(office: Office, tmp_path: Path):
    """It says nothing of this one."""
    (tmp_path / "b/projects/Jones").mkdir(parents=True)
    with Gate.init(tmp_path / "b", environ={"TREEGATE_STATE": str(tmp_path / "state-b")}) as gate:
        (tmp_path / "b.json").write_bytes(checkpoints.encode(gate.checkpoint()))
    (said,) = office.errors("--checkpoint", tmp_path / "b.json")
    assert "is of workspace ws_" in said


@pytest.mark.parametrize("text", ["", "{}", "[1", "\x00\xff", '{"format":1}', "9" * 100_000])
def test_a_file_that_is_no_checkpoint_is_refused(office: Office, text: str, capsys: pytest.CaptureFixture[str]):
    """Exit status 10, and what is wrong with it."""
    bad = office.state.parent / "bad.json"
    bad.write_text(text)
    command = ["audit", "verify", "--checkpoint", str(bad), "--json", "--workspace", str(office.root)]
    status = guarded(cli, [*command, "--state", str(office.state)])
    assert (status, json.loads(capsys.readouterr().out)["error"]["code"]) == (10, "checkpoint-damaged")


def test_with_a_lost_key_the_chain_is_still_checked_and_that_is_not_called_verified(office: Office):
    """What could and what could not be verified is said; an edit is still found, also in a checkpoint."""
    kept = office.checkpoint()
    (office.state / "key").unlink()
    (said,) = office.errors("--checkpoint", kept)
    assert "is missing: the chain was checked without it, and 3 signatures only against the key that the log" in said
    office.sql("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    assert "audit row 2 was changed after it was written" in office.errors()


def test_a_key_that_the_log_does_not_name_is_told(office: Office, tmp_path: Path):
    """Put in place of the lost one, it signs nothing."""
    (office.state / "key").unlink()
    keys.create(office.state)
    assert any(", and the log names ed25519:" in one for one in office.errors())
    assert office.refused("audit", "checkpoint") == 10


def test_runs_end_well_where_a_checkpoint_cannot_be_made(office: Office):
    """A checkpoint of rows that the log has no longer is no reason to fail a run."""
    office.sql("UPDATE checkpoints SET seq = 100, at = 0")
    with Gate.open(office.root, office.environ) as gate:
        plan = {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "new"}]}
        done = gate.submit(json.dumps(plan))
        gate.approve(done.id, done.digest)
        assert gate.apply(done.id).state == "applied"


def test_a_clock_that_jumps_back_is_no_fault(office: Office):
    """Order is by number; it is mentioned."""
    with Gate.open(office.root, office.environ) as gate:
        gate.core.clock = lambda: 1_000
        with gate.core.store.write() as transaction:
            transaction.log("x", gate.core.by())
    status, found = office.verify()
    assert (status, [one["severity"] for one in found["findings"]]) == (0, ["note"])
    assert "the clock was set back before row 14" in found["findings"][0]["title"]


def test_a_checkpoint_goes_to_a_new_file_only(office: Office):
    """What is there is left as it is, and nothing is signed for it."""
    kept = office.checkpoint()
    before, rows = kept.read_bytes(), office.rows()
    status = office.refused("audit", "checkpoint", "-o", str(kept))
    assert (status, kept.read_bytes(), office.rows()) == (2, before, rows)


def test_asked_again_with_nothing_new_it_is_the_same_checkpoint(office: Office):
    """No row is added for it."""
    first, second = office.checkpoint("1"), office.checkpoint("2")
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(office.shell("audit", "checkpoint").stdout) == json.loads(first.read_text())


# --- exports ---------------------------------------------------------------------------------------------------


def exported(office: Office, *options: str) -> Path:
    path = office.state.parent / "log.jsonl"
    assert office.shell("audit", "export", "-o", str(path), *options).exit_code == 0
    return path


def alone(tmp_path: Path, *options: object) -> Found:
    """`audit verify --export` where there is no workspace."""
    empty = tmp_path / "elsewhere"
    empty.mkdir(exist_ok=True)
    command = ["audit", "verify", "--json", *map(str, options), "--workspace", str(empty)]
    done = CliRunner().invoke(cli, command, env={"TREEGATE_STATE": str(empty)})
    return done.exit_code, json.loads(done.stdout)


def test_an_exported_file_verifies_alone(office: Office, tmp_path: Path):
    """With the checkpoint, all of it up to there; each line is canonical JSON."""
    kept, file = office.checkpoint(), exported(office)
    status, found = alone(tmp_path, "--export", file, "--checkpoint", kept)
    assert (status, found["events"], found["vouched"]) == (0, 14, 13)
    lines = file.read_text().splitlines()
    assert [json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")) for line in lines] == lines
    assert json.loads(office.shell("audit", "export", "--json").stdout)["events"] == [
        json.loads(line) for line in lines
    ]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda lines: [lines[0], lines[1].replace('"actor":"', '"actor":"x'), *lines[2:]], "row 2 was changed"),
        (lambda lines: [*lines[:4], *lines[5:]], "row 5 is missing"),
        (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], "row 5 is missing"),
        (lambda lines: lines[:-5], "the log ends at row 9"),
    ],
)
def test_what_was_done_to_an_exported_file_is_found(office: Office, tmp_path: Path, harm: Any, said: str):
    """An edit, a line left out, two that changed places, a cut end."""
    kept, file = office.checkpoint(), exported(office)
    file.write_text("\n".join(harm(file.read_text().splitlines())) + "\n")
    status, found = alone(tmp_path, "--export", file, "--checkpoint", kept)
    assert status == 10
    assert any(said in one["title"] for one in found["findings"])


def test_a_piece_of_a_log_follows_from_a_checkpoint_of_the_row_before_it(office: Office, tmp_path: Path):
    """So an auditor needs only what came since the last time."""
    kept = office.checkpoint()
    office.shell("token", "create", "--name", "ann", "--role", "author")
    file = exported(office, "--after", "13")
    status, found = alone(tmp_path, "--export", file, "--checkpoint", kept)
    assert (status, found["events"], found["vouched"]) == (0, 2, 13)
    assert "warning" not in [one["severity"] for one in found["findings"]]
    _, without = alone(tmp_path, "--export", file)
    assert any("nothing here proves what came before" in one["title"] for one in without["findings"])


def test_a_damaged_export_names_its_line(office: Office, tmp_path: Path):
    """Half a line, as of a copy that was cut."""
    file = exported(office)
    file.write_text(file.read_text()[:-40])
    command = ["audit", "verify", "--export", str(file)]
    assert guarded(cli, command) == 10


def test_a_key_without_a_backup_is_replaced_and_the_log_says_so(office: Office):
    """doctor names the loss; what the old key signed still counts, and so does what the new one signs."""
    before = office.checkpoint()
    (office.state / "key").unlink()
    assert office.refused("doctor") == 10
    assert office.refused("audit", "checkpoint") == 10
    assert office.shell("audit", "rekey").exit_code == 0
    after = office.checkpoint("after.json")
    assert office.errors("--checkpoint", before, "--checkpoint", after) == []
    assert "the signing key was replaced at row" in office.shell("audit", "verify").output
    assert "receipt" not in office.shell("fsck").output  # they are signed with the old one, which the log knows
    assert office.shell("audit", "rekey").exit_code == 0  # one that works stays
    assert office.errors("--checkpoint", after) == []

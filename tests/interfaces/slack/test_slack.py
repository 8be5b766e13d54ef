"""Plans are told to Slack, decided on there, and carried out; whoever may not is told so alone."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fakeslack import FakeSlack, signed
from slackwork import ANN, SENT, Chambers, until, words

from treegate.engine import outbox
from treegate.engine.telling import COMMANDS
from treegate.interfaces.slack.answers import Answers
from treegate.model.actors import Actor, Role


def test_a_plan_is_approved_in_slack_and_its_end_told_in_its_thread(chambers: Chambers) -> None:
    plan = chambers.submit(
        {"op": "move", "from": "scan0.pdf", "to": "Done/0.pdf"}, {"op": "delete", "path": "scan1.pdf"}
    )
    card = chambers.card(plan)
    said = words(card)
    assert said.index("Deleted (1)") < said.index("Everything else")
    assert said.splitlines()[-4:] == ["[Approve]", "[Ask for changes]", "[Reject]", "[Review]"]
    assert chambers.slack.buttons(card)["open"]["url"] == f"http://treegate.test/ui/plans/{plan}"
    assert chambers.send(chambers.slack.pressed(card, "approve")).status_code == 200
    until(lambda: chambers.state(plan) == "applied")
    assert not (chambers.root / "projects/Smith/scan1.pdf").exists()
    chambers.quiet()
    card = chambers.slack.messages[chambers.place(plan)]
    assert words(card).splitlines()[-2:] == ["Approved by rita (slack). It is applied.", "[Open]"]
    (end,) = chambers.slack.thread(card["ts"])
    assert "Applied (Sort the scans), asked for by rita: 1 deleted (7 bytes), 1 moved (7 bytes), 1 made" in words(end)
    assert "; treegate undo run_" in words(end)
    assert not chambers.slack.faults


def test_the_commands_of_the_brief(chambers: Chambers) -> None:
    """`/roscoe-approve ID` answers privately with the preview and a button that carries the digest."""
    plan = chambers.moves()
    answer = chambers.command(plan[:8], name="/roscoe-approve")
    assert answer["response_type"] == "ephemeral"
    assert "scan0.pdf" in words(answer)
    carried = json.loads(chambers.slack.buttons(answer)["approve"]["value"])
    assert carried == {"plan": plan, "digest": chambers.opened.plan(plan).digest, "channel": ""}
    before = len(chambers.slack.answers)
    chambers.send(chambers.slack.pressed(answer, "approve", alone=True))
    until(lambda: len(chambers.slack.answers) > before)
    told = chambers.slack.answers[-1]
    assert told["replace_original"] is True
    assert "Approved by rita (slack)" in words(told)
    until(lambda: chambers.state(plan) == "applied")


def test_what_can_be_typed(chambers: Chambers) -> None:
    one, two, three = (chambers.moves(number) for number in range(3))
    assert f"{one} Sort the scans" in words(chambers.command("list"))
    assert "scan1.pdf" in words(chambers.command(f"show {two}"))
    assert "/treegate approve ID" in words(chambers.command(""))
    assert "comment-needed" in words(chambers.command(f"reject {one}"))
    assert "Rejected by rita (slack): not these" in words(chambers.command(f"reject {one} not these"))
    assert chambers.state(one) == "rejected"
    assert "Changes asked for by rita (slack): by date" in words(chambers.command(f"changes {two} by date"))
    assert chambers.state(two) == "changes-requested"
    assert "may not pause" in words(chambers.command("pause"))
    assert "plan-not-found" in words(chambers.command("show pl_nowhere"))
    assert "which" in words(chambers.command("show"))
    assert chambers.state(three) == "pending"


def test_an_operator_pauses_and_takes_back(chambers: Chambers) -> None:
    chambers.opened.create_token("otto", Role.OPERATOR)
    plan = chambers.moves()
    chambers.send(chambers.slack.pressed(chambers.card(plan), "approve"))
    until(lambda: chambers.state(plan) == "applied")
    (run,) = chambers.opened.list_runs()
    assert "Paused: the whole workspace" in words(chambers.command("pause", "U0OTTO"))
    assert "Nothing is paused" in words(chambers.command("resume", "U0OTTO"))
    said = words(chambers.command(f"undo {run.id}", "U0OTTO"))
    assert "is the plan that takes it back. Waiting for" in said
    back = said.split()[0]
    chambers.send(chambers.slack.pressed(chambers.card(back), "approve"))
    until(lambda: chambers.state(plan) == "undone")
    chambers.quiet()
    told = [words(one) for one in chambers.slack.thread(chambers.place(plan))]
    assert [line.split(":")[0] for line in told] == [
        "Applied (Sort the scans), asked for by rita",
        "Undone (Sort the scans)\n[Open]",
    ]
    assert (chambers.root / "projects/Smith/scan0.pdf").exists()


def test_no_and_what_to_change_are_asked_for_in_a_window(chambers: Chambers) -> None:
    for number, (action, state) in enumerate([("reject", "rejected"), ("request-changes", "changes-requested")]):
        plan = chambers.moves(number)
        chambers.send(chambers.slack.pressed(chambers.card(plan), action))
        until(lambda number=number: len(chambers.slack.windows) > number)
        chambers.send(chambers.slack.filled(chambers.slack.windows[-1], "keep *these* <!channel>"))
        until(lambda plan=plan, state=state: chambers.state(plan) == state)
        until(lambda number=number: len(chambers.slack.whispers) > number)
        assert "by rita (slack): keep *these* <!channel>" in words(chambers.slack.whispers[-1])
        chambers.quiet()
        assert words(chambers.slack.messages[chambers.place(plan)]).endswith("[Open]")


def test_what_came_of_a_window_in_a_talk_of_two_is_told_there(chambers: Chambers) -> None:
    """Where the two of them talk, nothing can be whispered: it is a message to the one person."""
    plan = chambers.moves()
    chambers.send(chambers.slack.pressed(chambers.card(plan), "reject", channel="D0RITA"))
    until(lambda: chambers.slack.windows)
    chambers.send(chambers.slack.filled(chambers.slack.windows[-1], "keep these"))
    until(lambda: chambers.slack.direct)
    assert (chambers.state(plan), chambers.slack.whispers) == ("rejected", [])
    (told,) = chambers.slack.direct
    assert told["channel"] == "U0RITA"
    assert "keep these" in words(told)


def test_somebody_whom_nobody_named_is_told_so_alone(chambers: Chambers) -> None:
    plan = chambers.moves()
    card = chambers.card(plan)
    before = len(chambers.slack.answers)
    chambers.send(chambers.slack.pressed(card, "approve", "U0EVE"))
    until(lambda: len(chambers.slack.answers) > before)
    told = chambers.slack.answers[-1]
    assert told["response_type"] == "ephemeral"
    assert "not allowed" in told["text"]
    assert "slack-user-unknown" in words(chambers.command(f"reject {plan} no", "U0EVE"))
    before = len(chambers.slack.answers)
    chambers.send(chambers.slack.pressed(card, "reject", "U0EVE"))
    until(lambda: len(chambers.slack.answers) > before)
    assert "slack-user-unknown" in words(chambers.slack.answers[-1])
    assert not chambers.slack.windows
    assert chambers.state(plan) == "pending"


def test_nobody_gains_by_losing_a_token(chambers: Chambers) -> None:
    """Whoever was limited to a case, or wrote plans only, decides nothing at all once their token is revoked."""
    plan = chambers.moves()
    for role, cases in ((Role.REVIEWER, ["Jones"]), (Role.AUTHOR, None)):
        chambers.opened.create_token("rita", role, cases)
        said = words(chambers.command(f"reject {plan} no"))
        assert "plan-not-found" in said or "role-not-allowed" in said
        assert ("Smith" not in words(chambers.command("list"))) is (cases is not None)
        chambers.opened.revoke_token("rita")
        assert "token-ended" in words(chambers.command(f"reject {plan} no"))
        assert "token-ended" in words(chambers.command("list"))
    assert chambers.state(plan) == "pending"


def test_an_author_does_not_approve_in_slack_either(chambers: Chambers) -> None:
    document = {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "New"}]}
    rita = Actor(name="rita", role=Role.REVIEWER, channel="cli", via="token")
    plan = chambers.opened.acting_as(rita).submit(json.dumps(document)).id
    before = len(chambers.slack.answers)
    chambers.send(chambers.slack.pressed(chambers.card(plan), "approve"))
    until(lambda: len(chambers.slack.answers) > before)
    assert "own-plan" in words(chambers.slack.answers[-1])
    assert chambers.state(plan) == "pending"


def test_a_double_click_is_one_approval_and_one_run(chambers: Chambers) -> None:
    plan = chambers.moves()
    body = chambers.slack.pressed(chambers.card(plan), "approve")
    for late in (0, 9):  # at another second, so that Slack signs it anew
        assert chambers.client.post(SENT, content=body, headers=signed(body, time.time() - late)).status_code == 200
    until(lambda: chambers.state(plan) == "applied")
    chambers.quiet()
    assert len(chambers.opened.core.store.decisions(plan)) == 1
    assert len(chambers.opened.list_runs()) == 1
    assert len(chambers.slack.thread(chambers.place(plan))) == 1


def test_two_reviewers_at_once(chambers: Chambers) -> None:
    """One says yes and one says no in the same moment: the card, the store and the tree say the same."""
    for number in range(4):
        plan = chambers.moves(number)
        card = chambers.card(plan)
        yes = chambers.slack.pressed(card, "approve", "U0RITA")
        no = chambers.slack.command(f"reject {plan} no", "U0BEN")
        with ThreadPoolExecutor(2) as pool:
            assert [one.status_code for one in pool.map(chambers.send, [yes, no])] == [200, 200]
        until(lambda plan=plan: chambers.state(plan) in {"applied", "rejected"})
        chambers.quiet()
        applied = chambers.state(plan) == "applied"
        assert (chambers.root / f"projects/Smith/scan{number}.pdf").exists() is not applied
        said = words(chambers.slack.messages[chambers.place(plan)])
        assert ("It is applied." in said) is applied
        assert ("Rejected by ben (slack): no." in said) is not applied


def test_an_older_button_decides_nothing(chambers: Chambers) -> None:
    plan = chambers.moves()
    old = dict(chambers.card(plan))
    newer = {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "Else"}]}
    chambers.opened.acting_as(ANN).revise(plan, json.dumps(newer))
    until(lambda: chambers.place(plan) != old["ts"])
    assert "previewed anew" in words(chambers.slack.messages[old["ts"]])
    assert not chambers.slack.buttons(chambers.slack.messages[old["ts"]])
    before = len(chambers.slack.answers)
    chambers.send(chambers.slack.pressed(old, "approve"))
    until(lambda: len(chambers.slack.answers) > before)
    assert "digest-not-current" in words(chambers.slack.answers[-1])
    assert chambers.state(plan) == "pending"


def test_what_another_door_decides_is_on_the_card(chambers: Chambers) -> None:
    plan = chambers.moves()
    card = chambers.card(plan)
    ben = chambers.opened.acting_as(Actor(name="ben", role=Role.REVIEWER, channel="cli", via="token"))
    digest = chambers.opened.plan(plan).digest
    assert digest
    ben.approve(plan, digest)
    chambers.opened.acting_as(Actor(name="otto", role=Role.OPERATOR, channel="cli", via="token")).apply(plan)
    chambers.quiet()
    assert "Approved by ben (cli). It is applied." in words(chambers.slack.messages[card["ts"]])
    assert [words(one).split(":")[0] for one in chambers.slack.thread(card["ts"])] == [
        "Applied (Sort the scans), asked for by otto"
    ]


def test_a_plan_that_nobody_was_asked_about_ends_in_the_channel(chambers: Chambers) -> None:
    chambers.opened.acting_as(Actor(name="otto", role=Role.OPERATOR, channel="cli", via="token")).pause("Smith")
    chambers.quiet()
    assert [words(one).split("\n")[0] for one in chambers.slack.channel()] == ["otto paused Smith"]


def test_a_card_that_somebody_deleted(chambers: Chambers) -> None:
    waits, ends = chambers.moves(0, "Jones"), chambers.moves(1)
    for plan in (waits, ends):
        chambers.slack.delete(chambers.card(plan)["ts"])
    ben = chambers.opened.acting_as(Actor(name="ben", role=Role.REVIEWER, channel="cli", via="token"))
    digest = chambers.opened.plan(ends).digest
    assert digest
    ben.approve(ends, digest)
    chambers.opened.acting_as(Actor(name="otto", role=Role.OPERATOR, channel="cli", via="token")).apply(ends)
    chambers.quiet()
    assert [words(one).split(":")[0] for one in chambers.slack.channel()] == [
        "Applied (Sort the scans), asked for by otto"
    ]
    assert "waits" not in words(chambers.slack.channel())
    assert chambers.state(waits) == "pending"  # whoever deleted it knows of it; the list has it still


def test_a_card_in_a_channel_of_former_days(chambers: Chambers) -> None:
    """It was archived, and another one is named: what befalls old plans is told there, and holds up nothing."""
    plan = chambers.moves()
    old = chambers.card(plan)["ts"]
    with chambers.opened.core.store.write() as transaction:
        preview = chambers.opened.about(plan).preview
        outbox.keep_post(transaction, "slack", outbox.Post(plan=plan, preview=preview, place=f"C0OLD:{old}"))
    ben = chambers.opened.acting_as(Actor(name="ben", role=Role.REVIEWER, channel="cli", via="token"))
    ben.approve(plan, chambers.opened.plan(plan).digest or "")
    chambers.opened.acting_as(Actor(name="otto", role=Role.OPERATOR, channel="cli", via="token")).apply(plan)
    chambers.quiet()
    assert [words(one).split(":")[0] for one in chambers.slack.channel()[1:]] == [
        "Applied (Sort the scans), asked for by otto"
    ]


def test_text_from_outside_means_nothing_to_slack(chambers: Chambers) -> None:
    name = "<!channel> *all* <http:x|y> &.pdf"
    (chambers.root / "projects/Smith" / "x").write_text("x")
    plan = chambers.submit({"op": "rename", "path": "x", "name": name}, title="<@U0BEN> & `co`")
    card = chambers.card(plan)
    assert "<@" not in card["text"]
    assert "&lt;@U0BEN&gt; &amp; `co`" in card["text"]
    assert "mrkdwn" not in json.dumps(card["blocks"])
    assert name.split()[0] in words(card)


def test_many_files_that_go_are_approved_on_the_page(chambers: Chambers) -> None:
    folder = chambers.root / "projects/Smith/Old"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.txt").write_text("x")
    for number in range(200):
        (folder.parent / f"{number}.txt").write_text("x")
    plan = chambers.submit({"op": "delete", "path": "Old", "recursive": True})
    card = chambers.card(plan)
    assert "approve" not in chambers.slack.buttons(card)
    assert "approved on its page alone" in words(card)
    forged = {"blocks": [{"type": "actions", "elements": [{**chambers.slack.buttons(card)["reject"]}]}]}
    forged["blocks"][0]["elements"][0]["action_id"] = "approve"
    before = len(chambers.slack.answers)
    chambers.send(chambers.slack.pressed(forged, "approve"))
    until(lambda: len(chambers.slack.answers) > before)
    assert "approve-on-page" in words(chambers.slack.answers[-1])
    assert chambers.state(plan) == "pending"


def test_a_large_plan_fits_a_message(chambers: Chambers) -> None:
    for number in range(300):
        (chambers.root / f"projects/Smith/{number:04} {'long ' * 20}.txt").write_text("x")
    plan = chambers.submit(
        *({"op": "move", "from": f"{n:04} {'long ' * 20}.txt", "to": f"F{n}/x"} for n in range(300))
    )
    chambers.card(plan)
    assert not chambers.slack.faults


def test_who_has_asked_is_answered_before_the_service_ends(chambers: Chambers) -> None:
    plan = chambers.moves()
    assert chambers.send(chambers.slack.command(f"reject {plan} not these")).status_code == 200
    chambers.client.__exit__(None, None, None)
    assert chambers.state(plan) == "rejected"
    assert "Rejected by rita (slack)" in words(chambers.slack.answers[-1])


def test_a_reminder_and_an_alert(tmp_path: Path, environ: dict[str, str], slack: FakeSlack) -> None:
    """An approval that runs out soon is told in the plan's thread and the channel; what is wrong, in the channel."""
    environ |= {"TREEGATE_ALERTS_REMIND": "100h", "TREEGATE_VAULT_MAX_SIZE": "1 KiB"}
    chambers = Chambers(tmp_path / "office", environ, slack)
    otto = chambers.opened.acting_as(Actor(name="otto", role=Role.OPERATOR, channel="cli", via="token"))
    ben = chambers.opened.acting_as(Actor(name="ben", role=Role.REVIEWER, channel="cli", via="token"))
    with chambers.serving():
        plan = chambers.moves()
        card = chambers.card(plan)
        ben.approve(plan, chambers.opened.plan(plan).digest or "")
        chambers.opened.look_out(verify=False)
        chambers.quiet()
        (told,) = slack.thread(card["ts"])
        assert f"The approval of Sort the scans ({plan}) runs out soon, unused" in words(told)
        assert told["reply_broadcast"] is True
        otto.apply(plan)
        (chambers.root / "projects/Jones/large.txt").write_text("x" * 1020)
        gone = chambers.submit({"op": "delete", "path": "large.txt"}, case="Jones")
        ben.approve(gone, chambers.opened.plan(gone).digest or "")
        otto.apply(gone)
        chambers.opened.look_out(verify=False)
        chambers.quiet()
        assert "The vault holds 1,020 bytes of 1.0 KiB" in words(slack.channel()[-1])
        assert not any("No more" in words(one) for one in slack.messages.values())


def test_a_command_of_ones_own_may_stand_for_every_word_and_no_other() -> None:
    assert set(Answers(None, None, "", lambda: None)._verbs) == set(COMMANDS)  # type: ignore[arg-type]

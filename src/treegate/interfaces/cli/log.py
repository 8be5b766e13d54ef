"""log: the newest events, or a file's whole life."""

from __future__ import annotations

from typing import Any

import click

from treegate.interfaces.cli import common
from treegate.model.names import visible
from treegate.render import events, words
from treegate.render.ink import Ink
from treegate.render.text import clip, inert, name


@click.command("log")
@click.option("--case", help="Only events of this case.")
@click.option("--path", metavar="P", help="A file or folder, as it is now or ever was: its whole life.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000_000), help="So many events.")
@common.options
def log_command(
    case: str | None, path: str | None, limit: int, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """What happened, newest last; or with --path a file's whole life, through every move, in this case and others."""
    gate = common.open_gate(workspace, state)
    if path is not None:
        lives = gate.history(path)
        common.emit({"path": path, "lives": lives}) if as_json else _tell_lives(path, lives)
        return
    found = gate.log(case, limit)
    if as_json:
        common.emit({"events": found})
        return
    width = common.width()
    for one in found:
        where = " ".join(filter(None, (one.plan, one.run)))
        line = f"{common.moment(one.at)}  {inert(one.actor):<12}  {events.told(one.event, one.data)}"
        common.say(clip(f"{line}  {where}".rstrip(), width))
    if not found:
        common.say("nothing happened yet")


def _tell_lives(path: str, lives: list[Any]) -> None:
    ink, width = Ink(common.color()), common.width()
    for number, life in enumerate(lives):
        if number:
            common.say()
        common.say(ink(clip(_head(path, life), width), "title"))
        for chapter in life.chapters:
            common.say(f"  {common.moment(chapter.at)}  {_deed(chapter)}")
            people = words.listed([inert(one) for one in chapter.approved_by]) or "policy"
            title = f": {inert(chapter.title)}" if chapter.title else ""
            common.say(ink(clip(f"      {chapter.run}, approved by {people}{title}", width), "dim"))


def _head(path: str, life: Any) -> str:
    if life.path is not None:
        return name(life.path) + ("" if life.here else f" (it was at {visible(path)} once)")
    if life.kept:
        until = f", until {common.moment(life.until)}" if life.until is not None else ""
        return f"in the vault: treegate vault restore {life.kept}{until}"
    return f"{visible(path)}: not there any more"


def _deed(chapter: Any) -> str:
    source = "" if chapter.source is None else name(chapter.source)
    to = "" if chapter.to is None else name(chapter.to)
    carried = " (with its folder)" if chapter.carried else ""
    if not to:
        return f"{chapter.what} {source}{carried}; the vault took it"
    if source and source != to:
        return f"{chapter.what} {source} -> {to}{carried}"
    return f"{chapter.what} {to}{carried}"

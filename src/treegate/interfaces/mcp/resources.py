"""Resources: the cases, their trees, plans and previews, to be read and put before a model or a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import mcp_types as types

from treegate.client import Client
from treegate.errors import NotFound
from treegate.gate import Gate
from treegate.interfaces.agent.tool import DATA
from treegate.model.effects import untagged
from treegate.model.names import visible
from treegate.render import jsons, markdown

Door = Gate | Client
MOST_LINES = 2000  # of a tree
_PAGE = 500
_MOST_COMPLETED = 100  # values, by the protocol
_NAMES = DATA.replace("Under `data` stand names and contents of files", "Names of files stand here")

LISTED = (
    types.Resource(
        uri="treegate://cases",
        name="cases",
        title="Cases",
        description=f"The cases that you see, and where the tree of each is. {_NAMES}",
        mime_type="application/json",
    ),
)
TEMPLATES = (
    types.ResourceTemplate(
        uri_template="treegate://cases/{case}/tree",
        name="tree",
        title="Tree of a case",
        description=f"The paths of a case, one a line, at most {MOST_LINES:,}. Characters that hide or reorder text "
        f"are written as escapes. {_NAMES}",
        mime_type="text/plain",
    ),
    types.ResourceTemplate(
        uri_template="treegate://plans/{id}/preview",
        name="preview",
        title="Preview of a plan",
        description=f"What a plan would do, as the person sees it who decides. {_NAMES}",
        mime_type="text/markdown",
    ),
    types.ResourceTemplate(
        uri_template="treegate://plans/{id}",
        name="plan",
        title="Plan",
        description=f"A plan's document, newest revision, as it was handed in. {_NAMES}",
        mime_type="application/json",
    ),
)


def read(door: Door, uri: str) -> types.TextResourceContents:
    """What a resource holds; raises NotFound."""
    for pattern, mime, made in _KINDS:
        if found := pattern.fullmatch(uri):
            given = [_unquoted(part) for part in found.groups()]
            return types.TextResourceContents(uri=uri, mime_type=mime, text=made(door, *given))
    hint = "resources/list and resources/templates/list say which there are"
    raise NotFound(f"there is no resource {visible(uri)}", code="resource-not-found", hint=hint)


def completed(door: Door, argument: str, begun: str) -> list[str]:
    """The values that an argument may have and that begin so."""
    values: list[str] = []
    if argument == "case":
        values = [one.case for one in door.cases() if isinstance(one.case, str)]
    elif argument == "id":
        values = [one.plan.id for one in door.status().waiting]
    return [one for one in values if one.startswith(begun)][:_MOST_COMPLETED]


def tree_of(case: Any) -> str:
    """Where a case's tree is."""
    return f"treegate://cases/{quote(untagged(case).encode('utf-8', 'surrogateescape'), safe='')}/tree"


def _cases(door: Door) -> str:
    found = [{"case": one.case, "plans_waiting": one.waiting, "tree": tree_of(one.case)} for one in door.cases()]
    return jsons.dumps({"cases": found})


def _tree(door: Door, case: str) -> str:
    lines: list[str] = []
    cursor: str | None = ""
    while cursor is not None and len(lines) < MOST_LINES:
        page = door.find_in_outcome(case, "**", cursor=cursor, limit=_PAGE)
        lines += [_line(one) for one in page.entries]
        cursor = page.next
    if cursor is not None:
        lines.append(f"… and more than these {len(lines):,}: find_files finds the others")
    return "".join(f"{line}\n" for line in lines)


def _line(entry: Any) -> str:
    return visible(untagged(entry.path)) + ("/" if entry.kind == "dir" else "")


def _preview(door: Door, id: str) -> str:
    return markdown.preview(door.show(id).preview, commands=())


def _plan(door: Door, id: str) -> str:
    return door.document(id).document.decode("utf-8", "replace")


def _unquoted(part: str) -> str:
    return unquote_to_bytes(part).decode("utf-8", "surrogateescape")


_KINDS: tuple[tuple[re.Pattern[str], str, Callable[..., str]], ...] = (
    (re.compile(r"treegate://cases/?"), "application/json", _cases),
    (re.compile(r"treegate://cases/([^/?#]+)/tree"), "text/plain", _tree),
    (re.compile(r"treegate://plans/([^/?#]+)/preview"), "text/markdown", _preview),
    (re.compile(r"treegate://plans/([^/?#]+)"), "application/json", _plan),
)

"""Scripts that were dropped: which case each is of, and what lies beside the plan that it becomes.

Until there is a plan, the folder under the plan's id in `pending/` holds the script and says how far it is; one that
changed nothing comes to lie in `done/`, one that failed, was cut short or turned down in `failed/`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from treegate.engine import projections, sandboxes
from treegate.engine.dropbox import DONE, FAILED, PENDING
from treegate.engine.projections import Projection, Where
from treegate.engine.sandboxes import Sandbox
from treegate.errors import NotFound, TreegateError, UsageError
from treegate.gate.core import Core
from treegate.gate.queue.folder import dropbox
from treegate.gate.sandboxing import looking, report
from treegate.model.commands import CUT_SHORT, OVER, State
from treegate.model.names import visible

COMMAND, OUTPUT = "command", "output.txt"
MOST_BYTES = 1 << 20
_NAME = re.compile(r"\d{8}T\d{6}(?:\.\d+)?Z?-(?P<case>.+)\.sh", re.DOTALL)
_PLAIN = re.compile(r"[\w.+-]{1,200}", re.ASCII)
_log = logging.getLogger("treegate.queue")


def case_of(name: str) -> str:
    """The case that the name of a script names; raises UsageError "drop-name"."""
    found = _NAME.fullmatch(name)
    if found is None:
        text = "the name of a script says which case it is for, and this one does not"
        raise UsageError(
            text, code="drop-name", hint="name it {timestamp}-{case}.sh, such as 20260131T120000Z-Smith.sh"
        )
    return found["case"]


def name_of(name: str) -> str:
    """What a script is called among the tools."""
    return name if _PLAIN.fullmatch(name) else "script.sh"


def too_large() -> UsageError:
    """What is said of a script that is longer than one is read."""
    text = f"the script has more than {MOST_BYTES:,} bytes"
    return UsageError(text, code="script-too-large", hint="put what is long into a tool, and call that")


def of(core: Core, id: str, where: Where) -> Iterator[Projection]:
    """The script that became a plan, or is to, and what it wrote."""
    found = sandboxes.wanted(core.store, id)
    if found is None:
        return
    yield Projection([(*where, COMMAND)], lambda: [_command(found)])
    if (looking.folder(core, found.id) / "events").exists():
        yield Projection([(*where, OUTPUT)], lambda: list(report.output(core, found)))


def bring(core: Core, found: Sandbox) -> None:
    """Writes what there is to say of a script, where it lies, and puts it where it belongs while there is no plan."""
    if found.wanted is None:
        return
    try:
        _bring(core, found, found.wanted)
    except (TreegateError, OSError) as error:  # the script has run, whatever keeps that from being told here
        _log.warning("what there is to say of %s was not written: %s", found.wanted, visible(str(error)))


def _bring(core: Core, found: Sandbox, id: str) -> None:
    box = dropbox(core)
    shelf = box.shelf_of(id)
    if shelf is None:
        return
    for projection in of(core, id, box.place(shelf, id)):
        for _ in projections.bring(core.workspace.root, projection):
            pass
    if found.plan is None and found.state in OVER:
        wanted = DONE if found.state is State.ENDED and found.status == 0 and found.why not in CUT_SHORT else FAILED
        if shelf != wanted:
            box.move(id, shelf, wanted)


def settle(core: Core) -> None:
    """Puts scripts where they belong that a crash left in `pending/`."""
    for id in dropbox(core).shelved(PENDING):
        found = sandboxes.wanted(core.store, id)
        if found is not None and found.plan is None:
            bring(core, looking.settled(core, found))


def is_script(core: Core, id: str) -> bool:
    """Whether what lies under this id is a script of which there is no plan, or none yet."""
    try:
        core.store.plan(id)
    except NotFound:
        return sandboxes.wanted(core.store, id) is not None
    return False


def _command(found: Sandbox) -> bytes:
    """What stands in the file `command`: how far it is, then the script itself."""
    lines = [
        f"# {found.id} is {found.state.value}: {_says(found)}",
        f"# asked by {visible(found.author)}; digest {found.digest}",
        "",
    ]
    head = "".join(f"{line}\n" for line in lines)
    return head.encode("utf-8", "replace") + (found.script or b"")


def _says(found: Sandbox) -> str:
    if found.state is State.WAITING:
        return f"to let it run, type: treegate approve {found.id} --digest {found.digest[:12]}"
    if found.state is State.APPROVED:
        return "it runs as soon as there is a place"
    if found.state is State.ENDED:
        cut = f"{CUT_SHORT[str(found.why)]}; " if found.why in CUT_SHORT else ""
        came = "what it did is the plan here" if found.plan else "it changed nothing"
        return f"{cut}exit status {found.status}; {came}"
    comment = f" ({visible(found.comment)})" if found.comment else ""
    return f"nothing came of it{comment}; treegate show {found.id}" if found.state in OVER else "it runs"

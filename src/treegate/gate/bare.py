"""Previews without a workspace: on any folder, by what its mount is assumed to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from treegate.engine.config import Config, Folders
from treegate.engine.workspace import Marker, Workspace
from treegate.engine.world import DiskWorld
from treegate.errors import NotFound
from treegate.model.acts import simulate
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.seal import About, seal


def check(plan: bytes | str | dict[str, Any], root: Path | str) -> Preview:
    """The preview of a plan on a folder, under the default policy.

    A plan's `case` is a folder in `root`, or `root` itself; without one, paths begin with the name of `root`, or are
    relative to it. Nothing is written, so what the mount can do is assumed from its type, not tried. Raises PlanError
    or NotFound.
    """
    folder = Path(root).resolve()
    if not folder.is_dir():
        raise NotFound(f"there is no folder {root}", code="workspace-missing")
    decoded = Plan.decode(json.dumps(plan) if isinstance(plan, dict) else plan)
    inside = (folder / folder.name).is_dir()
    if decoded.case is None and (inside or not _names(decoded, folder.name)):
        head = msgspec.structs.asdict(decoded.head) | {"case": folder.name}
        del head["version"]
        decoded = Plan.of(decoded.operations, **head)
    single = (decoded.case or folder.name) == folder.name and not inside
    config = Config(workspace=Folders(projects=".", single=single))
    workspace = _Assumed(folder, Marker(1, "", ""), folder, config)
    with DiskWorld(workspace, lambda run, entry: None, lambda sha256: None) as world:
        return seal(simulate(decoded, world), config.policy, About("")).preview


def _names(plan: Plan, case: str) -> bool:
    """Whether a plan's first operation names a case by the first component of its path."""
    first = msgspec.to_builtins(plan.operations[0])
    given = next((first[key] for key in ("from", "path", "match", "to") if key in first), "")
    return str(given).partition("/")[0] == case


class _Assumed(Workspace):
    """A folder that nothing may be written to, so its mount is judged by its type."""

    def _probed(self, volume: str, anew: bool) -> Any:
        from treegate.engine.probe import assume

        return assume(str(self.projects))

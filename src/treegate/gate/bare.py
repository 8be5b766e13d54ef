"""Previews without a workspace: any folder, taken as the one case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from treegate.engine.config import Config, Folders
from treegate.engine.workspace import Marker, Workspace
from treegate.engine.world import DiskWorld
from treegate.errors import NotFound
from treegate.model.acts import simulate
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.seal import About, seal


def check(plan: bytes | str | dict[str, Any], root: Path | str) -> Preview:
    """The preview of a plan on a folder, under the default policy; a plan's `case` has to be the folder's name.

    Nothing is written, so what the mount can do is assumed from its type, not tried.
    """
    folder = Path(root).resolve()
    if not folder.is_dir():
        raise NotFound(f"there is no folder {root}", code="workspace-missing")
    document = json.dumps(plan) if isinstance(plan, dict) else plan
    decoded = Plan.decode(document)
    config = Config(workspace=Folders(projects=".", single=True))
    workspace = _Assumed(folder, Marker(1, "", ""), folder, config)
    with DiskWorld(workspace, lambda run, entry: None, lambda sha256: None) as world:
        return seal(simulate(decoded, world), config.policy, About("")).preview


class _Assumed(Workspace):
    """A folder that nothing may be written to, so its mount is judged by its type."""

    def _probed(self, volume: str, anew: bool) -> Any:
        from treegate.engine.probe import assume

        return assume(str(self.projects))

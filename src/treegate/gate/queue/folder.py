"""Where the queue of a workspace is."""

from __future__ import annotations

from treegate.engine.dropbox import Dropbox
from treegate.gate.core import Core


def dropbox(core: Core) -> Dropbox:
    """The folder of dropped plans; raises NotFound where the workspace is not mounted."""
    core.workspace.check_marker()  # nothing is made where a bucket is not mounted
    return Dropbox(core.workspace.root, tuple(core.workspace.folders.database.split("/")))

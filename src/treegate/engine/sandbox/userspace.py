"""An ordinary user's room: in namespaces of its own even such a user has a filesystem of a limited size.

It lies in memory, so a private copy in it is limited by what `Limits.copied` and `Limits.written` allow together, and
it is gone with the runner. See user_namespaces(7).
"""

from __future__ import annotations

import os

from treegate.engine.sandbox import mounting
from treegate.engine.sandbox.order import Limits


def enter(folder: str, limits: Limits) -> None:
    """Gives this process namespaces of its own, and mounts a filesystem at a folder; raises OSError.

    Everybody but the user of this process is nobody from here on.
    """
    user, group = os.geteuid(), os.getegid()
    mounting.unshare(mounting.NEW_USER | mounting.NEW_MOUNTS)
    for name, text in (("uid_map", f"{user} {user} 1"), ("setgroups", "deny"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    mounting.make_slave()
    room = f"size={limits.copied + limits.written},nr_inodes={2 * limits.entries},mode=0700"
    mounting.mount("tmpfs", folder, "tmpfs", mounting.NODEV | mounting.NOSUID, room)

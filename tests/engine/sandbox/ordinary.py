"""A program run as a user of this machine who is nobody in particular."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65534
TOP = Path(__file__).parents[3]

# In a mount namespace of its own, what lies in a folder that only root enters is laid open: Python, perhaps.
_LAID_OPEN = """
set -e
user=$1; shift
while [ "$1" != -- ]; do
  closed=$1 wanted=$2; shift 2
  keep=$(mktemp -d)
  mount --bind "$wanted" "$keep"
  mount -t tmpfs -o mode=0755 tmpfs "$closed"
  mkdir -p "$wanted"
  mount --bind "$keep" "$wanted"
done
shift
exec setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all "$@"
"""


def run(code: str, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """What a piece of Python says, run by this very interpreter as an ordinary user; root only."""
    opened: list[str] = []
    for wanted in dict.fromkeys((os.path.realpath(sys.base_prefix), str(TOP))):
        closed = next((path for path in reversed(Path(wanted).parents) if not path.stat().st_mode & 0o001), None)
        if closed is not None:
            opened += [str(closed), wanted]
    command = ["unshare", "--mount", "sh", "-c", _LAID_OPEN, "sh", str(NOBODY), *opened, "--"]
    command += [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, cwd=TOP, env={"PATH": os.environ["PATH"]}
    )

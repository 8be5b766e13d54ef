"""Orders: what a runner process is told to run, and what it tells of it, as values that cross between processes."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

SANDBOX_USER = 60_123  # the uid and gid that a command has where root starts it: nobody else's

EngineName = Literal["bwrap", "docker"]
ViewName = Literal["overlay", "copy"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a command may use; sizes in bytes, `seconds` of wall time, `processors` in cores."""

    seconds: float = 600.0
    memory: int = 1 << 30
    processors: float = 1.0
    processes: int = 256
    open_files: int = 1024
    output: int = 16 << 20  # of stdout and stderr together
    written: int = 1 << 30  # to its view of the cases
    entries: int = 250_000  # files, folders and links that it makes or touches there
    temporary: int = 256 << 20  # to /tmp
    copied: int = 1 << 30  # what a private copy may come to, where there is no overlay


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case that a command sees: its name, its folder here, and names directly in it that are not to be seen."""

    name: str
    folder: str
    hidden: tuple[str, ...] = (".treegate",)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One command to be run: everything that its runner needs to know. Folders are absolute paths."""

    id: str
    command: tuple[str, ...]
    cases: tuple[Case, ...]
    engine: EngineName
    scratch: str  # an own folder on a local disk, for what does not outlast the run
    blobs: str  # where contents are kept, under their SHA-256
    document: str  # where the plan's document is written
    image: str = ""  # of docker
    view: ViewName | Literal[""] = ""  # "" is the best that can be had
    tools: str = ""  # the folder seen as /tools; "" for none
    only_tools: tuple[str, ...] = ()  # of which only these files are seen, by their paths in it
    limits: Limits = Limits()
    reads: bool = False  # what was only read counts, too, for what others change meanwhile
    host_workspace: tuple[str, str] = ("", "")  # a folder here, and what the Docker daemon knows it as
    title: str = ""
    reason: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether the Docker daemon finds the workspace at another place, and nothing of what is mounted here."""
        return self.engine == "docker" and bool(self.host_workspace[1])


class Ended(StrEnum):
    """Why a command ended."""

    ITSELF = "itself"
    TIME = "time"
    OUTPUT = "output"
    MEMORY = "memory"
    CANCELLED = "cancelled"


class Started(msgspec.Struct, frozen=True, tag=True):
    """The command runs: on which engine and view, and what is to be known of the cases beforehand."""

    engine: EngineName
    view: ViewName
    warnings: tuple[str, ...] = ()


class Output(msgspec.Struct, frozen=True, tag=True):
    """A piece of what the command wrote."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class Exited(msgspec.Struct, frozen=True, tag=True):
    """The command ended, and nothing of it is left; a `status` above 128 is 128 and the signal, as in a shell."""

    status: int
    ended: Ended
    seconds: float
    cut: bool = False  # its output went on beyond the limit


class Finding(msgspec.Struct, frozen=True):
    """Something a command did that no plan can do, or that is to be known of it; `path` starts at the case."""

    code: str  # kebab-case, a row of model.problems.CODES
    path: str
    text: str


class Captured(msgspec.Struct, tag=True):
    """What the command did, written as the document of a plan; no `operations` where it did nothing."""

    operations: int
    findings: tuple[Finding, ...] = ()
    changed: tuple[str, ...] = ()  # paths, from projects/, that others changed since the command began
    changed_more: int = 0  # and so many that are not listed
    seconds: float = 0.0
    since: int = 0  # when the command began, as files are dated, in nanoseconds; 0: theirs tell nothing here


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The command could not be run, or what it did not be captured: in the words of an error of treegate."""

    code: str
    message: str
    hint: str = ""


Frame = Started | Output | Exited | Captured | Failed

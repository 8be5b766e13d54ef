"""The view of a daemon that does not see what this process mounts: one that lies on its own machine, as volumes.

It is for treegate in a container of its own (`sandbox.host_workspace`). The daemon mounts an overlay of each case,
and a helper, a container of the same image with our code in it, looks at what became of it. Where no overlay can be
had (the cases are root's, say), the helper makes private copies.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat as st
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import treegate
from treegate.engine.sandbox import daemon, docker, leftovers
from treegate.engine.sandbox.difference import Difference, Keeper
from treegate.engine.sandbox.docker import Mount, Spec
from treegate.engine.sandbox.inside import CHANGES
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Finding, Limits, Order, ViewName
from treegate.engine.sandbox.streaming import (
    Content,
    Full,
    Look,
    Message,
    Over,
    Piece,
    Seen,
    Stream,
    Take,
    Told,
    Wrong,
    difference,
)
from treegate.engine.sandbox.view import Owner, Unfit
from treegate.engine.sandbox.views import inside
from treegate.errors import TreegateError, UsageError

_OPTIONS = "redirect_dir=on,metacopy=on,index=off,xino=on,volatile"
_HELPERS_LIMITS = Limits(memory=1 << 30, processes=64, temporary=64 << 20)
_TO_LOOK = ("SYS_ADMIN", "DAC_READ_SEARCH")
_TO_COPY = (*_TO_LOOK, "CHOWN", "FOWNER", "DAC_OVERRIDE")
_PATIENCE = 5.0  # seconds
_NOBODY = f"{SANDBOX_USER}:{SANDBOX_USER}"
# What the helper starts as: takes our code from its input, and becomes it. An image without msgspec says so.
_BOOT = """
import os, sys
def exactly(n):
    parts = []
    while n:
        parts.append(os.read(0, n))
        n -= len(parts[-1]) or sys.exit(1)
    return b"".join(parts)
open("/tmp/treegate.zip", "wb").write(exactly(int.from_bytes(exactly(4), "big")))
sys.path.insert(0, "/tmp/treegate.zip")
from treegate.engine.sandbox import inside
inside.main()
"""


class DaemonView:
    """The cases of an order as the daemon shows them; closed in any case, it leaves nothing."""

    def __init__(self, order: Order, area: str) -> None:
        """Raises UsageError, Unfit."""
        self._order, self._area = order, area
        self._labels = {docker.SANDBOX_LABEL: order.id, docker.STATE_LABEL: leftovers.above(area)}
        self._base = f"treegate-{order.id}-{secrets.token_hex(4)}"
        self._full = False
        self._hand: docker.Hand | None = None
        self._when_full: Callable[[], None] = lambda: None
        self._held = contextlib.ExitStack()
        self._note = leftovers.note(area, order.id)
        self._docker = self._held.enter_context(daemon.connect())
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        self._place = self._docker.make_volume(f"{self._base}-changes", self._labels)
        if self._order.tools:
            self._docker.make_volume(f"{self._base}-tools", self._labels)
        self._carry()
        try:
            if self._order.view == "copy":
                raise Unfit("a private copy is wanted")
            self.name: ViewName = "overlay"
            seen = self._overlays()
        except Unfit as error:
            if self._order.view == "overlay":
                raise
            self.name = "copy"
            seen = self._look(copies=True)
            why = os.fsencode(f"this works on a private copy: {error}")
            seen = Seen(seen.user, seen.roots, (why, *seen.warnings))
        self.user = Owner(*seen.user)
        self.warnings = tuple(map(os.fsdecode, seen.warnings))
        for case, root in zip(self._order.cases, seen.roots, strict=True):
            _must_be(case, root)

    def mounts(self) -> tuple[Mount, ...]:
        """What the command's container is given."""
        found = [self._shown(number, case) for number, case in enumerate(self._order.cases)]
        if self._order.tools:
            found.append(Mount(source=f"{self._base}-tools", inside="/tools", volume=True))
        return tuple(found)

    def _shown(self, number: int, case: Case) -> Mount:
        there = inside(case, self._order.cases)
        if self.name == "copy":
            return Mount(source=f"{self._place}/copies/{case.name}", inside=there, read_only=False, inner=True)
        return Mount(source=self._volume(number), inside=there, read_only=False, volume=True)

    def folder(self, case: Case) -> str:
        """Nowhere that this process could see."""
        raise Unfit(f"{case.name} is seen by the Docker daemon alone")

    def when_full(self, act: Callable[[], None]) -> None:
        """What to do once more was written than may be."""
        self._when_full = act

    def watched(self) -> Sequence[DaemonView]:
        """Its helper, who may have something to say."""
        return (self,)

    def fileno(self) -> int:
        """A handle that can be read from when it has."""
        return self._stream.fileno()

    def take(self) -> None:
        """Hears it."""
        while self._stream.waits():
            if isinstance(self._heard(), Full):
                self._full = True
                self._when_full()

    def capture(self, keeper: Keeper, since: int, *, reads: bool = False) -> Iterator[Difference]:
        """What became of the cases."""
        self._stream.put(Take(since, reads))
        while not isinstance(message := self._heard(), Over):
            if isinstance(message, Content):
                self._keep(keeper, message)
            elif isinstance(message, Told):
                yield from map(difference, message.rows)
            elif isinstance(message, Full):
                self._full = True
        if self._full:
            text = "the command was ended, for it wrote more to its view than it may"
            yield Finding("sandbox-ended", self._order.cases[0].name, text)

    def _keep(self, keeper: Keeper, content: Content) -> None:
        """One content, which has to be what its name says."""
        left = content.size
        with tempfile.TemporaryFile(dir=self._area) as file:
            while left:
                piece = self._heard()
                if not isinstance(piece, Piece) or len(piece.data) > left:
                    raise _lost("it said something else than it was to")
                file.write(piece.data)
                left -= len(piece.data)
            file.flush()
            if keeper.keep(file.fileno()) != (content.sha256, content.size):
                raise _lost("it sent other contents than it named")

    def close(self) -> None:
        """Ends the helper, and lets the volumes go: by then the command's container is gone."""
        hand, self._hand = self._hand, None
        if hand is not None:
            hand.end()
        with contextlib.suppress(TreegateError):  # else it is for the sweep
            self._docker.clear(self._labels)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._note)
        self._held.close()

    # -- making

    def _carry(self) -> None:
        """Lays folders and tools into volumes, by a container that is made for that and never started."""
        mounts = [Mount(source=f"{self._base}-changes", inside=CHANGES, read_only=False, volume=True)]
        if self._order.tools:
            mounts.append(Mount(source=f"{self._base}-tools", inside="/tools", read_only=False, volume=True))
        image = self._docker.image(self._order.image or docker.IMAGE)
        spec = Spec(
            name=f"{self._base}-carrier", image=image, command=("true",), user=_NOBODY, mounts=tuple(mounts),
            labels=self._labels,
        )  # fmt: skip
        self._docker.create(spec, image)
        self._docker.put(spec.name, CHANGES, _layers(self._order.cases))
        if self._order.tools:
            self._docker.put(spec.name, "/tools", _tools(self._order.tools, self._order.only_tools))
        self._docker.remove(spec.name)

    def _overlays(self) -> Seen:
        for number, case in enumerate(self._order.cases):
            named = {
                "lowerdir": f"{self._there(case)}/.",
                "upperdir": f"{self._place}/{number}/upper",
                "workdir": f"{self._place}/{number}/work",
            }
            given = ",".join(f"{key}={_escaped(value)}" for key, value in named.items())
            options = {"type": "overlay", "device": "overlay", "o": f"{given},{_OPTIONS}"}
            self._docker.make_volume(self._volume(number), self._labels, options)
        return self._look(copies=False)

    def _volume(self, number: int) -> str:
        return f"{self._base}-view{number}"

    def _there(self, case: Case) -> str:
        """Where the daemon finds a case; raises UsageError."""
        here, there = self._order.host_workspace
        below = os.path.relpath(case.folder, os.path.realpath(here))
        if below.startswith(".."):
            raise UsageError(f"the case {case.name} lies outside the workspace", code="case-elsewhere")
        return os.path.normpath(os.path.join(there, below))

    def _look(self, *, copies: bool) -> Seen:
        """Starts the helper, and has it look; raises Unfit, UsageError."""
        mounts = [Mount(source=f"{self._base}-changes", inside=CHANGES, read_only=not copies, volume=True)]
        for number, case in enumerate(self._order.cases):
            mounts.append(Mount(source=self._there(case), inside=f"/lower/{number}"))
            if not copies:
                mounts.append(Mount(source=self._volume(number), inside=f"/seen/{number}", volume=True))
        hand = self._hand = docker.prepare()
        hand.go(
            Spec(
                name=f"{self._base}-{'copier' if copies else 'looker'}",
                image=self._order.image or docker.IMAGE,
                command=("python3", "-I", "-c", _BOOT),
                user="0:0",
                mounts=tuple(mounts),
                labels=self._labels,
                limits=_HELPERS_LIMITS,
                capabilities=_TO_COPY if copies else _TO_LOOK,
                asked=True,
            )
        )
        self._stream = Stream(hand.stdout.fileno(), hand.control)
        code = _code()
        with contextlib.suppress(BrokenPipeError):  # it could not be started, and says why
            hand.ask(len(code).to_bytes(4) + code)
            self._stream.put(_asked(self._order, copies=copies))
        seen = self._first(hand)
        assert isinstance(seen, Seen)
        return seen

    def _first(self, hand: docker.Hand) -> Message:
        """What it says first; one that could not be started has not mounted what it was to."""
        try:
            return self._heard()
        except (EOFError, Unfit) as error:
            told = _end_of(hand)
            said = os.read(hand.stderr.fileno(), 1 << 16) if isinstance(error, EOFError) else b""
            self._hand = None
            hand.end()
            if isinstance(error, Unfit):
                raise
            raise _not_begun(told, said) from None

    def _heard(self) -> Message:
        message = self._stream.get()
        if isinstance(message, Wrong):
            if message.unfit:
                raise Unfit(os.fsdecode(message.message))
            raise UsageError(os.fsdecode(message.message), code=message.code, hint=os.fsdecode(message.hint))
        return message


def _asked(order: Order, *, copies: bool) -> Look:
    cases = tuple((os.fsencode(case.name), tuple(map(os.fsencode, case.hidden))) for case in order.cases)
    return Look(cases, copies, order.limits)


def _end_of(hand: docker.Hand) -> docker.Told | None:
    """How a helper ended, that had nothing to say."""
    while isinstance(told := hand.told(_PATIENCE), docker.Started | docker.Cleared):
        pass
    return told


def _not_begun(told: object, said: bytes) -> Exception:
    """Why a helper said nothing: its views could not be mounted, or its image lacks something."""
    if isinstance(told, docker.Undone):
        return Unfit(told.message) if told.code == "docker-refused" else docker.as_error(told)
    text = said.decode(errors="replace").strip().rpartition("\n")[2]
    hint = f"the image needs Python 3.11 and msgspec: {docker.BUILD}"
    return UsageError(f"the helper did not start in the image: {text}", code="image-broken", hint=hint)


def _lost(why: str) -> UsageError:
    return UsageError(f"the helper in the container is not to be trusted: {why}", code="docker-lost")


def _must_be(case: Case, root: tuple[int, int]) -> None:
    """Raises UsageError unless the daemon shows the very folder that is meant."""
    facts = os.stat(case.folder)
    if (facts.st_dev, facts.st_ino) != root:
        text = f"what the Docker daemon finds in the place of the case {case.name} is another folder"
        hint = "sandbox.host_workspace has to be where the workspace is on the daemon's machine"
        raise UsageError(text, code="host-workspace-wrong", hint=hint)


def _escaped(path: str) -> str:
    r"""A path among the options of an overlay: `\`, `,` and `:` are the kernel's own."""
    return "".join(f"\\{one}" if one in "\\,:" else one for one in path)


def _layers(cases: Sequence[Case]) -> bytes:
    """Folders for what is changed of each case: the case's own mode, owner and time, and marks at what is hidden."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, case in enumerate(cases):
            facts = os.stat(case.folder)
            archive.addfile(_entry(str(number), tarfile.DIRTYPE, 0o755))
            archive.addfile(_entry(f"{number}/work", tarfile.DIRTYPE, 0o700))
            upper = _entry(f"{number}/upper", tarfile.DIRTYPE, st.S_IMODE(facts.st_mode))
            upper.uid, upper.gid = facts.st_uid, facts.st_gid
            seconds, rest = divmod(facts.st_mtime_ns, 10**9)
            upper.pax_headers = {"mtime": f"{seconds}.{rest:09}"}
            marks = [_entry(f"{number}/upper/{name}", tarfile.CHRTYPE, 0) for name in _hidden(case)]
            for one in (upper, *marks):
                archive.addfile(one)
    return made.getvalue()


def _hidden(case: Case) -> list[str]:
    return [name for name in case.hidden if os.path.lexists(os.path.join(case.folder, name))]


def _tools(folder: str, only: Sequence[str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in only or sorted(os.listdir(folder)):
            archive.add(os.path.join(folder, name), name, filter=_nobodys)
    return made.getvalue()


def _nobodys(one: tarfile.TarInfo) -> tarfile.TarInfo | None:
    one.uid = one.gid = 0
    one.uname = one.gname = ""
    return one if one.isdir() or one.isreg() else None


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode = kind, mode
    return made


def _code() -> bytes:
    """What the helper runs, of our own code, as an archive that Python imports from."""
    made, top = io.BytesIO(), Path(treegate.__file__).parent
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in [*top.glob("*.py"), *(top / "engine").rglob("*.py"), *(top / "model").rglob("*.py")]:
            archive.write(path, f"treegate/{path.relative_to(top)}")
    return made.getvalue()

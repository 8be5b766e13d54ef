"""The backend: what deepagents asks of files, answered from one case as it would be after the pending changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepagents.backends.protocol import (
    BackendProtocol,
    DeleteResult,
    EditResult,
    FileDownloadResponse,
    FileUploadResponse,
    GlobResult,
    GrepResult,
    LsResult,
    ReadResult,
    WriteResult,
)
from deepagents.backends.utils import InvalidGlobPatternError, compile_grep_include_glob

from treegate.client import Client
from treegate.errors import TreegateError, of_system
from treegate.gate import Gate
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.deepagents import answers, contents, names
from treegate.interfaces.deepagents.pending import Pending
from treegate.interfaces.deepagents.view import FILE, FOLDER, View
from treegate.model import paths

CHANNEL = "deepagents"


class TreegateBackend(BackendProtocol):
    """The files of one case, for an agent that changes none of them.

    `/` is the case. Reads see it as it would be after the pending changes; writes, edits, deletes and moves collect
    into one draft plan, which `submit` hands in. Nothing on disk changes before people approved that. No link is
    followed. `door` is a Gate or a Client; whoever it acts for, the backend may only propose. Raises Denied where a
    service's token is not an author's. Several threads may use it.
    """

    most_binary = contents.MOST_BINARY

    def __init__(self, door: Gate | Client, case: str, *, title: str = "", reason: str = "") -> None:
        self.desk = Desk(door, channel=CHANNEL)
        self.case = case
        self._pending = Pending(self.desk, case, title=title, reason=reason)

    # -- reading

    def ls(self, path: str) -> LsResult:
        """What a folder would hold; folders end in `/`."""
        return self._answered(lambda: self._ls(path), lambda text: LsResult(error=text), answers.plain)

    def _ls(self, path: str) -> LsResult:
        folder, view = names.within(path), self._view()
        kind = view.kind(folder)
        if kind != FOLDER:
            found = "path_not_found" if kind is None else "not_a_directory"
            return LsResult(error=f"Path '{path}': {found}")
        return LsResult(entries=sorted(map(answers.entry, view.entries(folder)), key=lambda one: one["path"]))

    def read(self, file_path: str, offset: int = 0, limit: int = 2000) -> ReadResult:
        """Some lines of a text file; all of another one, in base64."""
        return self._answered(
            lambda: self._read(file_path, offset, limit), lambda text: ReadResult(error=text), answers.plain
        )

    def _read(self, file_path: str, offset: int, limit: int) -> ReadResult:
        view, path = self._view(), names.within(file_path)
        kind = view.kind(path)
        if kind != FILE:
            return ReadResult(error=answers.no_file(file_path, kind))
        return contents.read(view, path, file_path, offset, limit, self.most_binary)

    def grep(
        self, pattern: str, path: str | None = None, glob: str | None = None, *, max_count: int | None = None
    ) -> GrepResult:
        """The lines that hold a text, literally; a long line is told by its first characters."""
        return self._answered(
            lambda: self._grep(pattern, path, glob, max_count), lambda text: GrepResult(error=text, matches=[])
        )

    def _grep(self, pattern: str, path: str | None, glob: str | None, max_count: int | None) -> GrepResult:
        if not pattern:
            return GrepResult(error="Error: there is no text to search for", matches=[])
        base, view = names.within(path or "/"), self._view()
        if view.kind(base) is None:
            return GrepResult(matches=[])
        fits = compile_grep_include_glob(glob) if glob else None
        return answers.lines(
            view.lines(pattern, base, glob, answers.most_lines(max_count, fits)), base, fits, max_count
        )

    def glob(self, pattern: str, path: str | None = None) -> GlobResult:
        """The regular files that a pattern means, below a folder."""
        return self._answered(lambda: self._glob(pattern, path), lambda text: GlobResult(error=text), answers.plain)

    def _glob(self, pattern: str, path: str | None) -> GlobResult:
        fits = compile_grep_include_glob(pattern)
        base, view = names.within(path or "/"), self._view()
        if view.kind(base) != FOLDER:
            return GlobResult(matches=[])
        return answers.files(view.files(base), base, fits)

    def download_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """What files would hold, byte for byte."""
        return [self._download(path) for path in paths]

    def _download(self, path: str) -> FileDownloadResponse:
        def found() -> FileDownloadResponse:
            view, within = self._view(), names.within(path)
            kind = view.kind(within)
            if kind != FILE:
                return FileDownloadResponse(path=path, error=answers.standard_kind(kind))
            return FileDownloadResponse(path=path, content=view.whole(within, contents.MOST_WHOLE)[1])

        return self._answered(found, lambda text: FileDownloadResponse(path=path, error=text), answers.standard)

    # -- changing

    def write(self, file_path: str, content: str) -> WriteResult:
        """A file that holds a text, new or in place of the one that is there; folders are made as needed."""

        def wrote() -> WriteResult:
            self._put(file_path, contents.encoded(content))
            return WriteResult(path=file_path)

        return self._answered(wrote, lambda text: WriteResult(error=text))

    def edit(self, file_path: str, old_string: str, new_string: str, replace_all: bool = False) -> EditResult:
        """Exact replacements in a text file; the ends of its lines stay what they are."""

        def edited() -> EditResult:
            with self._pending.lock:
                return self._edited(file_path, old_string, new_string, replace_all)

        return self._answered(edited, lambda text: EditResult(error=text))

    def _edited(self, file_path: str, old: str, new: str, replace_all: bool) -> EditResult:
        path, view = names.within(file_path), self._view()
        kind = view.kind(path)
        if kind != FILE:
            return EditResult(error=f"Error: {answers.no_file(file_path, kind)}")
        made = contents.edited(view, path, old, new, replace_all)
        if isinstance(made, str):
            return EditResult(error=made)
        self._pending.put(path, contents.encoded(made[0]), exists=True)
        return EditResult(path=file_path, occurrences=made[1])

    def delete(self, file_path: str) -> DeleteResult:
        """What is at a path goes; a folder with all that it holds."""

        def deleted() -> DeleteResult:
            with self._pending.lock:
                path = self._place(file_path)
                kind = self._view().kind(path)
                if kind is None:
                    return DeleteResult(error=f"Error: '{file_path}' not found")
                self._pending.delete(path, folder=kind == FOLDER)
                return DeleteResult(path=file_path)

        return self._answered(deleted, lambda text: DeleteResult(error=text))

    def move(self, source: str, target: str) -> WriteResult:
        """What is at one path is at another; a target that ends in `/` is the folder that it is moved into."""

        def moved() -> WriteResult:
            origin, place = self._place(source), names.within(target)
            if target.endswith("/"):
                place = paths.joined(place, paths.split(origin)[1])
            self._pending.move(origin, place)
            return WriteResult(path=names.shown(place))

        return self._answered(moved, lambda text: WriteResult(error=text))

    def upload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Files that hold some bytes, each new or in place of the one that is there."""
        return [self._upload(path, content) for path, content in files]

    def _upload(self, path: str, content: bytes) -> FileUploadResponse:
        def uploaded() -> FileUploadResponse:
            self._put(path, content)
            return FileUploadResponse(path=path)

        return self._answered(uploaded, lambda text: FileUploadResponse(path=path, error=text), answers.standard)

    def _put(self, file_path: str, data: bytes) -> None:
        if file_path.endswith("/"):
            raise names.BadPath(f"{file_path!r} is a folder's path", hint="name the file itself, such as /Notes/a.md")
        with self._pending.lock:
            path = self._place(file_path)
            kind = self._view().kind(path)
            if kind == FOLDER:
                raise answers.IsFolder(f"{file_path!r} is a folder", hint="give the path of a file in it")
            if kind not in (FILE, None):
                text = f"{file_path!r} is no regular file, and no link is written through"
                raise names.BadPath(text, hint="delete it first, or give another path")
            self._pending.put(path, data, exists=kind is not None)

    # -- the draft

    def pending(self) -> dict[str, Any]:
        """The plan that the changes are so far."""
        return self._pending.plan()

    def preview(self) -> dict[str, Any]:
        """What the changes would do, in numbers and patterns, and what is wrong with them; raises TreegateError."""
        return answers.preview(self.desk.door, self._pending)

    def discard(self) -> dict[str, Any]:
        """Forgets the changes, and withdraws their plan where it waits; raises TreegateError."""
        return self._pending.discard()

    def submit(self, title: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """Hands the changes in for people to decide on; what is wrong with them is told under `error`.

        They stay what reads see until the plan was carried out or withdrawn; further ones go into its next revision.
        What a person rejected is not handed in again.
        """
        return self._pending.submit(title, reason)

    def status(self, wait: float = 0.0) -> dict[str, Any]:
        """Where the changes and their plan stand; waits so many seconds for a decision. Raises TreegateError."""
        return self._pending.status(wait)

    # -- how

    def _view(self) -> View:
        self.desk.renew()
        return View(self.desk.door, self.case, self._pending.base())

    def _place(self, path: str) -> str:
        """The path of what may be changed: not the case itself."""
        found = names.within(path)
        if not found:
            raise names.BadPath("the case itself is not changed", hint="give the path of something in it")
        return found

    @staticmethod
    def _answered(
        ask: Callable[[], answers.Answer],
        fail: Callable[[str], answers.Answer],
        tell: Callable[[TreegateError], str] = answers.told,
    ) -> answers.Answer:
        """An answer, also to what went wrong."""
        try:
            return ask()
        except InvalidGlobPatternError as error:
            return fail(str(error))
        except TreegateError as error:
            return fail(tell(error))
        except OSError as error:
            return fail(tell(of_system(error)))

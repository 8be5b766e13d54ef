"""The backend: every method of the protocol, called as it is and by its async twin."""

from __future__ import annotations

import base64
import inspect
import os

import pytest
from deepagents.backends.protocol import BackendProtocol, FileDownloadResponse, FileUploadResponse
from deepwork import Called, Office, paths, settled, tree

from treegate.errors import Denied
from treegate.interfaces.deepagents.backend import TreegateBackend
from treegate.model.actors import Role


def text_of(found: object) -> str:
    data = found.file_data  # type: ignore[attr-defined]
    assert data is not None, found
    return str(data["content"])


def test_every_method_of_the_protocol_is_there(backend: TreegateBackend):
    own = {name for name, one in inspect.getmembers(BackendProtocol, callable) if not name.startswith("_")}
    sync = {name for name in own if f"a{name}" in own}
    assert len(sync) == 9
    assert sync <= set(vars(TreegateBackend))


# --- ls


def test_a_folder_is_listed_in_the_order_of_its_paths(files: Called):
    assert paths(files.ls("/")) == ["/.env", "/.github/", "/Notes/", "/Scans/", "/a.txt"]
    assert paths(files.ls("/Notes/")) == ["/Notes/deep/", "/Notes/todo.md"]


def test_entries_say_what_they_are(files: Called):
    found = {one["path"]: one for one in files.ls("/").entries}
    assert found["/Notes/"]["is_dir"] is True
    assert found["/a.txt"]["is_dir"] is False
    assert found["/a.txt"]["size"] == 17
    assert found["/a.txt"]["modified_at"].startswith("2020-09-13T12:26:40")


def test_a_folder_is_listed_as_it_would_be(files: Called):
    files.write("/Notes/new/x.md", "x")
    files.delete("/Notes/deep")
    assert paths(files.ls("/Notes")) == ["/Notes/new/", "/Notes/todo.md"]
    assert paths(files.ls("/Notes/new")) == ["/Notes/new/x.md"]


def test_an_empty_folder_holds_nothing(files: Called, office: Office):
    office.path("Smith/Empty").mkdir()
    assert files.ls("/Empty").entries == []


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/nope", "Path '/nope': path_not_found"),
        ("/a.txt", "Path '/a.txt': not_a_directory"),
        ("/a.txt/x", "Path '/a.txt/x': path_not_found"),
        ("relative", "absolute"),
        ("/../Jones", "lead out"),
        ("/.treegate", ".treegate"),
    ],
)
def test_what_is_no_folder_is_not_listed(files: Called, path: str, error: str):
    found = files.ls(path)
    assert found.entries is None
    assert error in found.error


# --- read


def test_a_text_is_read_by_lines(files: Called):
    found = files.read("/a.txt", 1, 1)
    assert text_of(found) == "beta\n"
    assert (found.total_lines, found.start_line, found.end_line, found.next_offset) == (3, 2, 2, 2)
    whole = files.read("/a.txt")
    assert text_of(whole) == "alpha\nbeta\ngamma\n"
    assert whole.next_offset is None


def test_degenerate_windows_are_no_errors(files: Called):
    assert files.read("/a.txt", -5, 1).start_line == 1
    assert files.read("/a.txt", 0, 0).no_lines_requested is True
    assert files.read("/a.txt", 0, -3).start_line is None
    assert "exceeds file length (3 lines)" in files.read("/a.txt", 3).error


def test_an_empty_file_is_read_as_that(files: Called):
    files.write("/empty.txt", "")
    found = files.read("/empty.txt")
    assert found.error is None
    assert text_of(found) == ""
    assert found.total_lines is None


def test_what_is_no_text_is_read_in_base64(files: Called, office: Office):
    data = bytes(range(256))
    office.put("Smith/blob.bin", data)
    for path, content in (("/blob.bin", data), ("/Scans/1.pdf", b"%PDF one")):
        found = files.read(path).file_data
        assert found["encoding"] == "base64"
        assert base64.b64decode(found["content"]) == content


def test_a_file_of_several_pieces_is_read_whole(files: Called, office: Office):
    text = "".join(f"line {number:07}\n" for number in range(400_000))
    office.put("Smith/long.txt", text)
    assert text_of(files.read("/long.txt", 399_999, 5)) == "line 0399999\n"
    assert files.download_files(["/long.txt"])[0].content == text.encode()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/nope", "not found"),
        ("/Notes", "is a folder"),
        ("/", "is a folder"),
        ("/link", "links are not followed"),
        ("/into/secret.txt", "not found"),
        ("/pipe", "no regular file"),
        ("/../Jones/secret.txt", "lead out"),
        ("/.treegate/x", ".treegate"),
        ("a.txt", "not absolute"),
    ],
)
def test_what_is_no_file_of_the_case_is_not_read(files: Called, office: Office, path: str, error: str):
    office.put("Jones/secret.txt", "secret")
    office.path("Smith/link").symlink_to(office.path("Smith/a.txt"))
    office.path("Smith/into").symlink_to(office.path("Jones"))
    os.mkfifo(office.path("Smith/pipe"))
    found = files.read(path)
    assert found.file_data is None
    assert error in found.error


# --- write


def test_a_written_file_is_read_back_and_not_on_disk(files: Called, office: Office):
    before = office.tree()
    assert files.write("/New/folder/x.txt", "hello\n").path == "/New/folder/x.txt"
    assert text_of(files.read("/New/folder/x.txt")) == "hello\n"
    assert office.tree() == before


def test_a_file_that_is_there_is_replaced(files: Called):
    assert files.write("/a.txt", "new").error is None
    assert text_of(files.read("/a.txt")) == "new"
    assert files.backend.pending()["operations"] == [{"op": "replace", "path": "a.txt", "content": "new"}]


def test_texts_are_written_as_they_are(files: Called):
    for number, text in enumerate(("", "\n\n\n", "Größe 👋 世界\r\nx", "\ufeffbom", "$VAR `x` \\ \"q\" 'q'\t")):
        assert files.write(f"/t{number}", text).error is None
        assert files.download_files([f"/t{number}"])[0].content == text.encode()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/../x", "lead out"),
        ("/Notes", "is a folder"),
        ("/", "is a folder's path"),
        ("/a.txt/x", "is not a folder"),
        ("/into/x", "link"),
        ("/into", "no link is written through"),
        ("/pipe", "no regular file"),
        ("/.treegate/x", ".treegate"),
        ("x", "not absolute"),
        ("/nul\0", "NUL"),
    ],
)
def test_what_may_not_be_written_is_refused_and_leaves_no_trace(files: Called, office: Office, path: str, error: str):
    office.path("Smith/into").symlink_to(office.path("Jones"))
    os.mkfifo(office.path("Smith/pipe"))
    found = files.write(path, "x")
    assert found.path is None
    assert error in found.error
    assert files.backend.pending()["operations"] == []


def test_a_text_that_is_no_unicode_is_refused(files: Called):
    assert "not Unicode" in files.write("/x", "half \ud83d").error


def test_what_policy_forbids_is_refused_at_once_with_what_to_do(office: Office):
    (office.state / "treegate.toml").write_text('[policy.protect]\npaths = ["Notes/**"]\n')
    backend = TreegateBackend(office.reopen(), "Smith")
    for refused in (backend.write("/Notes/todo.md", "x"), backend.delete("/Notes"), backend.move("/Notes", "/N")):
        assert "Hint:" in refused.error
    assert backend.pending()["operations"] == []
    assert backend.write("/other", "x").error is None


# --- edit


def test_an_edit_replaces_what_it_names(files: Called):
    found = files.edit("/a.txt", "beta", "BETA")
    assert (found.error, found.path, found.occurrences) == (None, "/a.txt", 1)
    assert text_of(files.read("/a.txt")) == "alpha\nBETA\ngamma\n"


def test_edits_build_on_what_was_written_before(files: Called):
    files.write("/n.txt", "x x x")
    assert "3 times" in files.edit("/n.txt", "x", "y").error
    assert files.edit("/n.txt", "x", "y", True).occurrences == 3
    assert files.edit("/n.txt", "y y", "z").occurrences == 1
    assert text_of(files.read("/n.txt")) == "z y"
    assert files.backend.pending()["operations"] == [{"op": "create", "path": "n.txt", "content": "z y"}]


def test_the_ends_of_lines_stay_what_they_are(files: Called, office: Office):
    office.put("Smith/dos.txt", b"one\r\ntwo\r\nthree\r\n")
    assert files.edit("/dos.txt", "one\ntwo", "1\n2").error is None
    assert files.download_files(["/dos.txt"])[0].content == b"1\r\n2\r\nthree\r\n"


@pytest.mark.parametrize(
    ("path", "old", "error"),
    [
        ("/nope", "x", "not found"),
        ("/Notes", "x", "is a folder"),
        ("/a.txt", "zeta", "not found in file"),
        ("/a.txt", "", "cannot be empty"),
        ("/a.txt", "same", "nothing to change"),
        ("/blob", "x", "binary"),
        ("/link", "alpha", "links are not followed"),
        ("/../x", "x", "lead out"),
    ],
)
def test_what_cannot_be_edited_stays(files: Called, office: Office, path: str, old: str, error: str):
    office.put("Smith/blob", b"\xff\xfe\x00x")
    office.path("Smith/link").symlink_to("a.txt")
    found = files.edit(path, old, "same")
    assert found.occurrences is None
    assert error in found.error
    assert files.backend.pending()["operations"] == []


# --- delete


def test_a_deleted_file_is_gone_for_reads_alone(files: Called, office: Office):
    assert files.delete("/a.txt").path == "/a.txt"
    assert "not found" in files.read("/a.txt").error
    assert office.path("Smith/a.txt").exists()


def test_a_folder_goes_with_all_that_it_holds(files: Called):
    assert files.delete("/Notes/").error is None
    assert files.ls("/Notes").error == "Path '/Notes': path_not_found"
    assert paths(files.glob("*.md")) == []


def test_a_link_goes_and_not_what_it_leads_to(files: Called, office: Office):
    office.put("Jones/kept.txt", "kept")
    office.path("Smith/into").symlink_to(office.path("Jones"))
    assert files.delete("/into").error is None
    settled(office, files.backend)
    assert not office.path("Smith/into").is_symlink()
    assert office.path("Jones/kept.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("path", "error"),
    [("/nope", "not found"), ("/", "not changed"), ("/../Jones", "lead out"), ("a.txt", "not absolute")],
)
def test_what_is_not_there_is_not_deleted(files: Called, path: str, error: str):
    assert error in files.delete(path).error
    assert files.backend.pending()["operations"] == []


# --- glob


@pytest.mark.parametrize(
    ("pattern", "base", "found"),
    [
        ("*.md", None, ["/Notes/deep/er.md", "/Notes/todo.md"]),
        ("*.md", "/Notes/deep", ["/Notes/deep/er.md"]),
        ("/*.txt", "/", ["/a.txt"]),
        ("/*.md", "/", []),
        ("Notes/*.md", "/", ["/Notes/todo.md"]),
        ("Notes/**/*.md", None, ["/Notes/deep/er.md", "/Notes/todo.md"]),
        ("*.{pdf,txt}", "/", ["/Scans/1.pdf", "/Scans/2.pdf", "/a.txt"]),
        ("[!1].pdf", "/Scans/", ["/Scans/2.pdf"]),
        ("?.pdf", "/", ["/Scans/1.pdf", "/Scans/2.pdf"]),
        ("*.yml", "/", ["/.github/workflows/ci.yml"]),
        ("**/*.yml", "/", []),
        (".env", "/", ["/.env"]),
        ("Notes", "/", []),
        ("*.none", "/", []),
        ("*", "/nope", []),
    ],
)
def test_globs_mean_what_deepagents_says(files: Called, pattern: str, base: str | None, found: list[str]):
    assert paths(files.glob(pattern, base)) == found


def test_globs_see_the_case_as_it_would_be(files: Called):
    files.write("/x/new.md", "")
    files.delete("/Notes/deep")
    files.backend.move("/Notes/todo.md", "/done.md")
    assert paths(files.glob("*.md")) == ["/done.md", "/x/new.md"]


def test_links_and_pipes_are_no_files(files: Called, office: Office):
    office.path("Smith/link.txt").symlink_to("a.txt")
    os.mkfifo(office.path("Smith/pipe.txt"))
    assert paths(files.glob("*.txt")) == ["/a.txt"]


@pytest.mark.parametrize(("pattern", "base"), [("../*", "/"), ("*", "/../Jones"), ("{1..9999}{1..9999}", "/")])
def test_patterns_that_lead_out_are_refused(files: Called, pattern: str, base: str):
    found = files.glob(pattern, base)
    assert found.matches is None
    assert found.error


# --- grep


def test_a_text_is_found_literally_with_its_lines(files: Called):
    found = files.grep("two [x]").matches
    assert found == [{"path": "/Notes/todo.md", "line": 2, "text": "two [x]"}]
    assert files.grep("t.o").matches == []


@pytest.mark.parametrize(
    ("base", "glob", "found"),
    [
        (None, None, ["/.env", "/.github/workflows/ci.yml", "/Notes/deep/er.md", "/Notes/todo.md", "/Scans/1.pdf"]),
        ("/Notes", None, ["/Notes/deep/er.md", "/Notes/todo.md"]),
        ("/Notes/todo.md", None, ["/Notes/todo.md"]),
        ("/Notes/todo.md", "*.md", ["/Notes/todo.md"]),
        ("/", "*.md", ["/Notes/deep/er.md", "/Notes/todo.md"]),
        ("/", "*.{md,pdf}", ["/Notes/deep/er.md", "/Notes/todo.md", "/Scans/1.pdf"]),
        ("/", "Notes/*", ["/Notes/todo.md"]),
        ("/", "**/*.md", ["/Notes/deep/er.md", "/Notes/todo.md"]),
        ("/", "*.yml", ["/.github/workflows/ci.yml"]),
        ("/", ".env", ["/.env"]),
        ("/nope", None, []),
    ],
)
def test_a_text_is_sought_where_it_is_asked_for(files: Called, base: str | None, glob: str | None, found: list[str]):
    assert sorted(paths(files.grep("one", base, glob))) == found


def test_a_search_sees_the_case_as_it_would_be(files: Called):
    files.edit("/a.txt", "beta", "needle")
    files.write("/n.txt", "x\nneedle\n")
    files.delete("/Notes")
    assert sorted(paths(files.grep("needle"))) == ["/a.txt", "/n.txt"]
    assert paths(files.grep("two [x]")) == []


@pytest.mark.parametrize(("most", "count", "cut"), [(1, 1, True), (3, 3, False), (9, 3, False), (0, 0, True)])
def test_a_cap_is_one_on_all_matches(files: Called, most: int, count: int, cut: bool):
    for glob in ("*.txt", "{*.txt,*.none}"):
        found = files.grep("a", "/", glob, max_count=most)
        assert (len(found.matches), found.truncated) == (count, cut)


@pytest.mark.parametrize(
    ("pattern", "base", "glob"), [("", "/", None), ("x", "/../Jones", None), ("x", "/", "../*"), ("x", "rel", None)]
)
def test_a_search_that_cannot_be_is_an_error(files: Called, pattern: str, base: str, glob: str | None):
    assert files.grep(pattern, base, glob).error


# --- upload and download


def test_bytes_go_in_and_come_out(files: Called, office: Office):
    sent = [("/u/1.bin", bytes(range(256))), ("/u/2.txt", b"text"), ("/a.txt", b"\xff")]
    assert files.upload_files(sent) == [FileUploadResponse(path=path) for path, _ in sent]
    assert files.download_files([path for path, _ in sent]) == [
        FileDownloadResponse(path=path, content=data) for path, data in sent
    ]
    assert not office.path("Smith/u").exists()


def test_each_upload_has_its_own_answer(files: Called):
    found = files.upload_files([("rel", b""), ("/ok", b"1"), ("/Notes", b""), ("/../x", b""), ("/a.txt/x", b"")])
    assert [one.error for one in found][:4] == ["invalid_path", None, "is_directory", "invalid_path"]
    assert "is not a folder" in found[4].error


def test_each_download_has_its_own_answer(files: Called, office: Office):
    office.path("Smith/link").symlink_to("a.txt")
    found = files.download_files(["/nope", "/Notes", "rel", "/link", "/a.txt"])
    assert [one.error for one in found] == [
        *("file_not_found", "is_directory", "invalid_path", "invalid_path"),
        None,
    ]


# --- names


def test_names_of_any_bytes_are_told_so_that_they_can_be_asked_for(files: Called, office: Office):
    office.put(os.fsdecode(b"Smith/caf\xe9/in\xff.md"), "odd one")
    office.put("Smith/raw:x", "literal")
    office.put("Smith/new\nline.txt", "lines")
    assert "/raw:caf%E9/" in paths(files.ls("/"))
    assert "/raw:raw%3Ax" in paths(files.ls("/"))
    assert paths(files.glob("*.md", "/raw:caf%E9")) == ["/raw:caf%E9/raw:in%FF.md"]
    assert paths(files.grep("odd", "/raw:caf%E9")) == ["/raw:caf%E9/raw:in%FF.md"]
    assert text_of(files.read("/raw:caf%E9/raw:in%FF.md")) == "odd one"
    assert text_of(files.read("/new\nline.txt")) == "lines"


def test_names_of_any_bytes_are_changed_as_others(files: Called, office: Office):
    office.put(os.fsdecode(b"Smith/caf\xe9/in\xff.md"), "odd one")
    assert files.edit("/raw:caf%E9/raw:in%FF.md", "odd", "even").error is None
    assert files.backend.move("/raw:caf%E9", "/Café").error is None
    assert files.write("/Café/raw:%FE", "made").error is None
    assert files.delete("/a.txt").error is None
    shown = tree(files.backend)
    settled(office, files.backend)
    assert tree(files.backend) == shown
    assert office.path("Smith/Café").joinpath(os.fsdecode(b"in\xff.md")).read_text() == "even one"


@pytest.mark.parametrize("path", ["/raw:abc", "/raw:caf%e9", "/raw:%2Fetc", "/raw:%zz", "/raw:..", "/\udce9"])
def test_a_name_has_one_spelling(files: Called, path: str):
    assert "Hint:" in files.read(path).error


# --- who


def test_the_agent_of_whoever_owns_the_workspace_is_an_author(backend: TreegateBackend):
    backend.write("/x", "")
    told = backend.submit()
    with pytest.raises(Denied):
        backend.desk.door.approve(told["plan"], told["digest"])


def test_an_author_who_may_not_see_a_case_sees_nothing_of_it(office: Office):
    gate = office.person("ann", Role.AUTHOR, cases=["Jones"])
    other = TreegateBackend(gate, "Smith")
    assert other.download_files(["/a.txt"])[0].error == "permission_denied"
    assert "no access" in other.ls("/").error
    assert other.write("/x", "").path is None


def test_a_token_that_ends_meanwhile_ends_the_agent(office: Office):
    backend = TreegateBackend(office.person("agent", Role.AUTHOR), "Smith")
    assert backend.ls("/").entries
    office.gate.revoke_token("agent")
    for error in (
        backend.ls("/").error,
        backend.read("/a.txt").error,
        backend.write("/b.txt", "b").error,
        backend.delete("/a.txt").error,
        backend.download_files(["/a.txt"])[0].error,
        backend.upload_files([("/b.txt", b"b")])[0].error,
    ):
        assert error is not None
        assert "has ended" in error or error == "permission_denied"


def test_an_edit_right_after_the_plan_was_carried_out_is_made_of_what_is_there(office: Office):
    """Two files swap names; whoever reads before and edits at once after it edits what has that name now."""
    office.put("Smith/b.txt", "content of b")
    office.put("Smith/a.txt", "content of a")
    backend = TreegateBackend(office.gate, "Smith")
    for source, target in (("/a.txt", "/c.txt"), ("/b.txt", "/a.txt"), ("/c.txt", "/b.txt")):
        assert backend.move(source, target).error is None
    done = backend.submit()
    office.gate.approve(done["plan"], done["digest"])
    assert text_of(backend.read("/a.txt")) == "content of b"
    office.gate.apply(done["plan"])
    assert text_of(backend.read("/a.txt")) == "content of b"
    assert backend.edit("/a.txt", "content", "CONTENT").error is None
    assert text_of(backend.read("/a.txt")) == "CONTENT of b"
    assert text_of(backend.read("/b.txt")) == "content of a"


@pytest.mark.parametrize("path", ["/new/", "/a.txt/", "/Notes/"])
def test_a_folder_s_path_is_no_file_s(backend: TreegateBackend, path: str):
    assert "is a folder" in str(backend.write(path, "x").error)

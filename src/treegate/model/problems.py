"""Problems: findings about a plan, as values; and the table of every code there is.

docs/problems.md is made from this table. A code never changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from treegate.model.effects import Text, tagged

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: contract section 2.

    `operation` counts from 1; `pointer` is RFC 6901; `suggestion` is a ready replacement operation, or None; it
    means "drop the operation" where `suggests` is true. `also` names further operations that have part in it.
    """

    code: str
    severity: Severity
    operation: int | None = None
    pointer: str = ""
    path: Text | None = None
    message: str
    hint: str = ""
    suggestion: dict[str, Any] | None = None
    suggests: bool = False
    also: tuple[int, ...] = ()


class Code(NamedTuple):
    """A row of the table: how grave, what it means, and what to do (also the default hint)."""

    severity: Severity
    meaning: str
    hint: str


MOST_PROBLEMS = 10_000  # beyond this a list helps nobody; the last one says how many more there are

E: Severity = "error"
W: Severity = "warning"

CODES: dict[str, Code] = {
    # the document
    "not-json": Code(E, "The document is not JSON, or not UTF-8.", "send one JSON object, UTF-8, as `treegate schema plan` describes it"),
    "unknown-key": Code(E, "A key that a plan of version 1 does not have.", "remove it, or see `treegate schema plan` for the keys there are"),
    "missing-key": Code(E, "A key that must be there is missing.", "add it"),
    "repeated-key": Code(E, "A key stands twice in one object, so readers would disagree about its value.", "keep one of the two"),
    "wrong-type": Code(E, "A value has another type or lies outside what is allowed.", "see `treegate schema plan`"),
    "wrong-keys": Code(E, "Keys that do not go together, or one of several that is needed is missing.", "see docs/plan.md for the operation"),
    "unknown-operation": Code(E, "There is no such operation.", "use one of mkdir, move, rename, copy, create, replace, delete, restore, symlink, set"),
    "near-miss": Code(E, "The operation is written the way another tool would; the plan's own form is suggested.", "take the suggestion"),
    "more-problems": Code(E, "There are more problems than a list of them can help with.", "mend those that are listed, then check again"),
    "plan-too-large": Code(E, "The plan has more operations than one plan may have.", "split it into several plans"),
    # paths
    "path-malformed": Code(E, "The path is empty, absolute, or has an empty component or a NUL.", "write it relative to the case, with single slashes"),
    "path-escapes": Code(E, "The path has a `.` or `..` component.", "write the plain path"),
    "path-reserved": Code(E, "The path leads into a folder that is treegate's own.", "leave `.treegate` alone"),
    "raw-malformed": Code(E, "With `raw`, paths are percent-encoded bytes; this one is not.", "write each byte outside A-Z a-z 0-9 . _ - as %XX"),
    "unknown-case": Code(E, "There is no such case.", "name a folder that is directly under `projects/`"),
    "case-untouchable": Code(E, "A plan never makes, renames or deletes a case.", "name something inside the case"),
    # sources
    "source-missing": Code(E, "There is nothing at the source path at that point of the plan.", "check the spelling"),
    "source-taken": Code(E, "An earlier operation moved or deleted what this one needs.", "name the place where it is by then"),
    "work-done-twice": Code(E, "An earlier operation did this already.", "drop the operation"),
    "nothing-to-do": Code(W, "The operation changes nothing.", "drop the operation"),
    "type-mismatch": Code(E, "The entry is not of the kind that the operation works on.", "use the operation for that kind"),
    "special-file": Code(E, "A FIFO, socket or device; treegate works on files, folders and symbolic links.", "leave it where it is"),
    "several-hard-links": Code(W, "The file has other names (hard links); each is an entry of its own, and only the named one is touched.", "nothing, if that is meant"),
    "expect-mismatch": Code(E, "The source is not what `expect` says.", "look at the file again"),
    "no-match": Code(E, "The glob matches nothing.", "check it against the case's listing"),
    "wrong-count": Code(E, "The glob does not match as many entries as `count` says.", "look at what it matches"),
    "bad-glob": Code(E, "The glob or the template cannot be read.", "see docs/plan.md for what may stand in one"),
    "vault-missing": Code(E, "The run's vault has no such entry (any more).", "see `treegate vault list`"),
    "blob-missing": Code(E, "No such blob was uploaded.", "upload it first, or put the content into the plan"),
    # destinations
    "destination-exists": Code(E, "Something is at the destination already.", "choose another name, or say `if_exists`"),
    "destination-is-folder": Code(E, "The destination is an existing folder.", "end it in `/` to move into the folder"),
    "same-target": Code(E, "Two sources would come to lie at one path.", "give each its own name"),
    "parent-is-file": Code(E, "A folder is needed where there is a file.", "choose another folder"),
    "parent-missing": Code(E, "The folder is not there and this operation does not make it.", "make it with `mkdir` first"),
    "link-in-path": Code(E, "A symbolic link stands where a folder is needed; links are never followed.", "name the real folder"),
    "folder-into-itself": Code(E, "A folder cannot be moved or copied into itself.", "choose another destination"),
    "folder-not-empty": Code(E, "The folder is not empty.", 'say `"recursive": true` to delete what it holds too'),
    "folders-never-merge": Code(E, "The destination folder exists; folders are not merged.", "move what the folder holds, with `match`"),
    "mount-inside": Code(E, "Another filesystem is mounted inside the folder.", "move what lies beside the mount point instead"),
    "other-filesystem": Code(E, "Source and destination are on different filesystems; a move cannot be one act.", "copy, and delete once the copy is checked"),
    "link-outside": Code(E, "The link would point outside the case.", "point it at something in the case"),
    # names
    "name-forbidden": Code(E, "The name cannot be kept by this mount.", "choose another name"),
    "name-discouraged": Code(W, "The name will cause trouble elsewhere.", "choose a plainer name"),
    "name-reserved": Code(E, "The name is that of a device on some system.", "choose another name"),
    "name-not-utf8": Code(W, "The name is not UTF-8.", "rename it with `raw`, so that every program can show it"),
    "name-control": Code(W, "The name holds a control character.", "choose a plainer name"),
    "name-unseen": Code(W, "The name holds a character that does not show.", "choose a plainer name"),
    "name-edge": Code(W, "The name begins or ends in a space, or ends in a dot.", "choose a plainer name"),
    "name-hidden": Code(W, "The name begins with a dot, so most listings hide it.", "leave out the dot, if that was not meant"),
    "name-too-long": Code(E, "The name has more bytes than this mount takes.", "shorten it"),
    "path-too-long": Code(E, "The path has more bytes than this mount takes.", "shorten it, or choose a folder nearer the top"),
    "case-collision": Code(W, "Two names in one folder differ only in upper and lower case.", "choose a name that differs in letters"),
    "unicode-collision": Code(W, "Two names in one folder look alike and differ only in Unicode form.", "choose another name"),
    "names-collide": Code(E, "The mount takes the two names for one.", "choose another name"),
    # oddities
    "extension-lost": Code(W, "The file loses or changes its extension.", "keep the extension, if that was not meant"),
    "date-lost": Code(W, "The date that stood in the name is gone.", "keep the date, if that was not meant"),
    "folder-nearly-named": Code(W, "A new folder is named nearly like one that exists.", "use the existing one, if it was meant"),
    "link-will-dangle": Code(W, "The relative link will point at nothing.", "move what it points at too, or make the link anew"),
    "pattern-broken": Code(W, "All others from this folder go elsewhere.", "look at this one"),
    # what policy says
    "path-not-allowed": Code(E, "Policy does not allow changes here.", "ask an admin, or leave it"),
    "path-protected": Code(E, "Policy protects this path.", "leave it as it is"),
    "limit-passed": Code(E, "The plan's net effect is larger than policy allows.", "split the plan, or ask an admin to raise the limit"),
    "day-limit-passed": Code(E, "With what this author did in the case in the last 24 hours, and what waits, it is more than policy allows in a day.", "wait until there is room again, or ask an admin to raise the limit"),
    "undo-conflict": Code(E, "What the run left here was changed since.", "leave this path out: `treegate undo RUN --path ...` for the others"),
    "scan-needed": Code(W, "A rule asks for totals, so the whole case was counted.", "nothing"),
    # what the mount says
    "no-permission": Code(E, "The operating system will not let treegate change this.", "run as a user who may, or ask for the permission"),
    "immutable": Code(E, "The entry is marked immutable or append-only.", "lift the mark with chattr first"),
    "read-only": Code(E, "The filesystem is mounted read-only.", "mount it for writing"),
    "no-reflink": Code(E, "Policy asks for backups that share blocks, and this mount cannot.", 'ask an admin to set policy.backup.before_moves to "copy" or "off"'),
    "no-space": Code(E, "There is not enough space for the new contents.", "free some space"),
    "no-inodes": Code(E, "There are not enough inodes for the new entries.", "free some inodes"),
    # of the command that the plan came of
    "sandbox-hard-link": Code(W, "The command made a hard link, or wrote to a file that has several; a plan makes copies.", "nothing, if a copy will do"),
    "sandbox-special-file": Code(W, "The command made a FIFO, socket or device, or the case holds one; treegate leaves those out.", "have the command write files"),
    "sandbox-setuid": Code(W, "The command set a set-user-ID or set-group-ID bit, which no plan sets.", "set it by hand, if it is meant"),
    "sandbox-xattr": Code(W, "The command changed extended attributes, which no plan changes.", "set them by hand, if they are meant"),
    "sandbox-time": Code(W, "The command gave something a time in a year that has not four digits.", "set the time that is meant"),
    "sandbox-link-outside": Code(W, "The command made a link that leads out of its case, which no plan makes.", "have it point at something in the case, by a relative path"),
    "sandbox-reserved": Code(W, "The command touched what has a name of treegate's own; that is left out.", "have it use another name"),
    "sandbox-case-folder": Code(W, "The command changed the folder of the case itself, which no plan touches.", "nothing, if that was not meant"),
    "sandbox-weak-identities": Code(W, "This filesystem does not tell entries apart for certain, so a rename may have been taken for a deletion and a new file.", "look at the deletions with care"),
    "sandbox-changed": Code(W, "Others changed this after the command began: what it did rests on what was there before.", "look at both, or run the command again"),
    "sandbox-ended": Code(W, "The command was ended before it was done, so this may be half of what it was to do.", "run it again with more time, or as its message says"),
    "sandbox-failed-command": Code(W, "The command ended with another exit status than 0, so this may not be all that it was to do.", "read its output first"),
    "restored-in-vain": Code(E, "Something is restored with its folder and deleted by the same plan.", "delete it with a plan of its own"),
    "weak-mount": Code(E, "This mount cannot make changes durable.", 'an admin may set `weak_mounts = "allow"` in [policy]'),
    "not-readable": Code(E, "The folder or file cannot be read.", "see to its permissions"),
}  # fmt: skip


def problem(
    code: str,
    message: str,
    operation: int | None = None,
    pointer: str = "",
    *,
    path: str | None = None,
    hint: str = "",
    severity: Severity | None = None,
    suggestion: dict[str, Any] | None = None,
    drop: bool = False,
    also: tuple[int, ...] = (),
) -> Problem:
    """A problem of a known code; `drop` suggests to leave the operation out."""
    row = CODES[code]
    return Problem(
        code=code,
        severity=severity or row.severity,
        operation=operation,
        pointer=pointer,
        path=None if path is None else tagged(path),
        message=message,
        hint=hint or row.hint,
        suggestion=suggestion,
        suggests=drop or suggestion is not None,
        also=also,
    )


def reference() -> str:
    """The table of codes as Markdown, for docs/problems.md."""
    rows = [f"| `{code}` | {row.severity} | {row.meaning} | {row.hint} |" for code, row in CODES.items()]
    return "\n".join(["| code | severity | meaning | what to do |", "|---|---|---|---|", *rows]) + "\n"

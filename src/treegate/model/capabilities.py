"""What one mount promises: found out by trying (engine.probe), read by the simulation and by every preview."""

from __future__ import annotations

import msgspec


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the filesystem under a case, and between the case and its vault, does and does not do.

    The defaults describe a good local disk (ext4, xfs, btrfs).
    """

    filesystem: str = "ext4"  # type name as the kernel gives it
    writable: bool = True
    noreplace: bool = True  # renameat2 RENAME_NOREPLACE
    exchange: bool = True  # renameat2 RENAME_EXCHANGE
    hard_links: bool = True  # link(2): a no-clobber fallback for files
    rename_across: bool = True  # rename between two folders, and into the vault
    directory_rename: bool = True  # a folder with contents renames in one call, atomically
    durable_fsync: bool = True  # fsync of a file makes it durable
    directory_fsync: bool = True
    stable_inodes: bool = True
    birth_times: bool = True
    folds_case: bool = False
    folds_unicode: bool = False
    reflinks: bool = False
    symlinks: bool = True
    xattrs: bool = True
    keeps_modes: bool = True
    keeps_times: bool = True
    name_max: int = 255  # bytes in a name
    path_max: int = 4096  # bytes in a path, counted from the root of the filesystem tree
    name_rules: tuple[str, ...] = ("posix",)  # what names must obey here: posix, gcs, s3, azure, windows

    def weaknesses(self) -> list[tuple[str, str]]:
        """(code, sentence) of each promise that is weaker here than on a good local disk, for people."""
        return [(code, text) for code, lacks, text in _WEAKER if lacks(self)]


_WEAKER = (
    (
        "no-noreplace",
        lambda c: not c.noreplace,
        "a name taken by someone else in the instant of the move is noticed "
        "by a check just before it, not prevented by the filesystem",
    ),
    (
        "no-exchange",
        lambda c: not c.exchange,
        "two entries cannot be swapped in one act: a replaced file is missing "
        "for an instant, and a swap takes a parking place",
    ),
    (
        "folder-moves-not-atomic",
        lambda c: not c.directory_rename,
        "a folder is moved file by file here: a crash in between leaves it in two places until the run is recovered",
    ),
    (
        "fsync-not-durable",
        lambda c: not c.durable_fsync,
        "what was written is not certain to survive a power cut when the run says it is done",
    ),
    (
        "folder-fsync-missing",
        lambda c: not c.directory_fsync,
        "a move is not certain to survive a power cut when the run says it is done",
    ),
    (
        "inodes-unstable",
        lambda c: not c.stable_inodes,
        "entries are recognised by size, time and content instead of by inode",
    ),
    ("modes-not-kept", lambda c: not c.keeps_modes, "file modes cannot be set here"),
    ("times-not-kept", lambda c: not c.keeps_times, "file times cannot be set here"),
    ("names-fold-case", lambda c: c.folds_case, "names that differ only in case are the same file here"),
    (
        "names-fold-unicode",
        lambda c: c.folds_unicode,
        "names that differ only in Unicode form are the same file here",
    ),
)

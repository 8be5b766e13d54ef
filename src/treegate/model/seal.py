"""Sealing: an outcome becomes a preview, whose digest is what a person approves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from treegate.model import excerpt
from treegate.model import policy as policies
from treegate.model.approvals import asked
from treegate.model.backups import Backups, backups, not_shared, size_of, told
from treegate.model.capabilities import Capabilities
from treegate.model.daily import Day, Share, over_day
from treegate.model.effects import check_case
from treegate.model.lines import Lines
from treegate.model.listing import Listing, write
from treegate.model.net import Net
from treegate.model.notice import as_problems, concerned, notices
from treegate.model.policy import Gatekeeper, Policy
from treegate.model.preview import Backup, Counts, Preview, Weakness, digest_of
from treegate.model.problems import MOST_PROBLEMS, Problem, problem
from treegate.model.rows import Rows, number_entries
from treegate.model.simulate import Outcome, unreadable
from treegate.model.subject import subject_of
from treegate.model.tree import DIR


class About(NamedTuple):
    """What a preview says of its plan besides the plan itself."""

    workspace: str
    id: str = ""
    revision: int = 1
    author: str = ""
    undo_of: str = ""  # the run that the plan takes back, where the gate itself made it
    found: tuple[Problem, ...] = ()  # what is to be known of it besides, of the command that it came of, say


class Sealed(NamedTuple):
    """A preview and the rows of its step table; no rows where the plan has errors."""

    preview: Preview
    rows: Rows | None


def seal(
    outcome: Outcome,
    policy: Policy,
    about: About,
    keep: Callable[[list[bytes]], None] = lambda chunk: None,
    day: Callable[[str], Day] | None = None,
) -> Sealed:
    """Seals an outcome; `keep` is given each chunk of encoded effects in display order.

    `day` says what counts against the author's day in a case; it is asked only for cases that lose something.
    """
    gatekeeper = Gatekeeper(policy)
    net = Net(outcome)
    net.count_folders()
    found = notices(net, gatekeeper)
    number_entries(net)
    lines = Lines(net, found)
    listing = write(lines, keep)
    cases = _cases(net)
    weak = _weaknesses(net.forest.cases, cases)
    shares = _shares(net)
    copies, unread = _backups(net, policy)
    problems = [
        *outcome.problems,
        *about.found,
        *as_problems(net, found),
        *_limits(net, listing.counts, shares, policy, about),
        *_day(shares, policy, about, day),
        *_room(net, copies),
        *not_shared(net, copies),
        *unread,
        *_too_weak(weak, policy),
    ]
    preview = _preview(lines, policy, about, listing, cases, weak, shares, _bounded(problems), told(net, copies))
    if not preview.valid:
        return Sealed(preview, None)
    mounts = [net.forest.cases[case] for case in cases if case in net.forest.cases]
    rows = Rows(
        net,
        exchange=all(mount.exchange for mount in mounts),
        folds=any(mount.folds_case or mount.folds_unicode for mount in mounts),
        concerned=lambda node: concerned(net, gatekeeper, node),
        backups=copies,
    )
    return Sealed(preview, rows)


def _cases(net: Net) -> list[str]:
    """The cases that the difference touches, sorted; raises PlanError."""
    entered = {node.parent for node in (*net.new, *net.restored, *net.set)} | {to for _, to in net.pairs}
    left = {node.home for node in net.deleted} | {home for home, _ in net.pairs}
    cases = {net.case(net.path(folder)) for folder in entered if folder is not None}
    cases |= {net.case(folder.where) for folder in left if folder is not None}
    if not cases and net.outcome.plan.case:
        cases = {net.outcome.plan.case}
    for case in cases:
        check_case(case)
    return sorted(cases)


def _weaknesses(mounts: Mapping[str, Capabilities], cases: list[str]) -> list[Weakness]:
    found: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for weakness in mounts.get(case, Capabilities()).weaknesses():
            found.setdefault(weakness, []).append(case)
    return [Weakness(code, cases, message) for (code, message), cases in found.items()]


def _too_weak(weak: list[Weakness], policy: Policy) -> Iterator[Problem]:
    """The weaknesses that policy does not take."""
    for weakness in weak:
        if weakness.code == "fsync-not-durable" and policy.weak_mounts == "refuse":
            yield problem("weak-mount", f"{', '.join(weakness.cases)}: {weakness.message}")


def _shares(net: Net) -> list[Share]:
    """What each case loses."""
    found: dict[str, list[int]] = {}
    for node in net.gone:
        sums, held = found.setdefault(net.case(node.home_path()), [0, 0, 0]), net.held(node)
        sums[0] += held.files
        sums[1] += held.size
    for node in net.replaced:
        found.setdefault(net.case(net.path(node)), [0, 0, 0])[2] += 1
    return [
        Share(case=case, deletes=deletes, delete_bytes=size, replacements=replaced)
        for case, (deletes, size, replaced) in sorted(found.items())
        if deletes or replaced
    ]


def _day(shares: list[Share], policy: Policy, about: About, day: Callable[[str], Day] | None) -> Iterator[Problem]:
    """The limits of the author's day that the plan would pass; taking a run back is limited by nothing."""
    if day is None or about.undo_of:
        return
    for share in shares:
        for over in over_day(policy.limits.per_day, about.author, share, day(share.case)):
            yield problem("day-limit-passed", over.sentence, hint=over.hint, path=over.case)


def _limits(net: Net, counts: Counts, shares: list[Share], policy: Policy, about: About) -> list[Problem]:
    """The limits that the net difference passes; a plan that takes back a run's own work is not held to them."""
    deletes = {share.case: share.deletes for share in shares}
    tally = policies.Counts(
        operations=len(net.outcome.plan.operations),
        files=counts.files,
        deletes=counts.deleted_files,
        delete_bytes=counts.deleted_bytes,
        replacements=counts.replaced,
        case_deletes=deletes,
    )
    if _counts_cases(policy, counts, about):
        try:
            files = {case: net.forest.tree.totals(case).files for case, count in deletes.items() if count}
        except OSError as error:
            fault = unreadable(error)
            return [problem(fault.code, f"the case cannot be counted: {fault.message}", path=fault.path)]
        tally = tally._replace(case_files=files, case_deletes={case: deletes[case] for case in files})
    passed = policies.over_limits(policy, tally, undoing=bool(about.undo_of))
    return [problem("limit-passed", limit.sentence, hint=limit.hint) for limit in passed]


def _counts_cases(policy: Policy, counts: Counts, about: About) -> bool:
    """Whether a rule asks how many files the cases hold in all; then a preview costs as much as they are large."""
    return policies.needs_case_files(policy, policies.Counts(deletes=counts.deleted_files)) and not about.undo_of


def _counted(policy: Policy, counts: Counts, shares: list[Share], about: About) -> Iterator[str]:
    """What had to be counted besides what the plan touches, and for which rule."""
    cases = [share.case for share in shares if share.deletes]
    if cases and _counts_cases(policy, counts, about):
        named = ", ".join(map(repr, cases[:5])) + (f" and {len(cases) - 5} more" if len(cases) > 5 else "")
        yield f"all files of {named} were counted, for policy.limits.delete_share asks what part of them goes"


def _backups(net: Net, policy: Policy) -> tuple[Backups, list[Problem]]:
    """The copies to be made before anything moves; what cannot be looked at is a problem."""
    try:
        return backups(net, policy.backup.before_moves), []
    except OSError as error:
        fault = unreadable(error)
        return Backups(), [problem(fault.code, f"it cannot be backed up: {fault.message}", path=fault.path)]


def _room(net: Net, copies: Backups) -> list[Problem]:
    """Whether what the plan brings, backups and all, fits on the filesystems that it goes to."""
    needs: dict[str, tuple[str, int, int]] = {}
    for node in net.new:
        case = net.case(net.path(node))
        volume = net.forest.volumes.get(case, "")
        first, size, entries = needs.get(volume, (case, 0, 0))
        held = net.held(node)
        needs[volume] = first, size + held.size, entries + held.files + (node.kind is DIR)
    for case, files in copies.by_case(net).items():
        volume = net.forest.volumes.get(case, "")
        first, size, entries = needs.get(volume, (case, 0, 0))
        needs[volume] = first, size + (size_of(files) if copies.full else 0), entries + len(files)
    found = []
    for case, size, entries in needs.values():
        free_bytes, free_inodes = net.forest.tree.free(case)
        if size > free_bytes:
            text = f"the new contents need {size:,} bytes; {free_bytes:,} are free under {case!r}"
            found.append(problem("no-space", text, path=case))
        if 0 < free_inodes < entries:
            text = f"the new entries need {entries:,} inodes; {free_inodes:,} are free under {case!r}"
            found.append(problem("no-inodes", text, path=case))
    return found


def _bounded(problems: list[Problem]) -> list[Problem]:
    """The problems in operation order; beyond the bound, errors go before warnings, and the others are counted."""
    problems.sort(key=lambda found: found.operation or 0)
    more = len(problems) - MOST_PROBLEMS
    if more <= 0:
        return problems
    kept = sorted(problems, key=lambda found: found.severity)[: MOST_PROBLEMS - 1]
    left = problem(
        "more-problems",
        f"{more + 1:,} more problems are not listed",
        severity="error" if _any_error(kept) else "warning",
    )
    return [*sorted(kept, key=lambda found: found.operation or 0), left]


def _any_error(problems: list[Problem]) -> bool:
    return any(found.severity == "error" for found in problems)


def _preview(
    lines: Lines,
    policy: Policy,
    about: About,
    listing: Listing,
    cases: list[str],
    weak: list[Weakness],
    shares: list[Share],
    problems: list[Problem],
    backup: Backup | None,
) -> Preview:
    plan = lines.net.outcome.plan
    head = plan.head
    errors = sum(found.severity == "error" for found in problems)
    implied, implied_count = excerpt.implied(lines.net)
    preview = Preview(
        workspace=about.workspace,
        plan=about.id,
        revision=about.revision,
        plan_digest=plan.digest,
        title=head.title or "",
        reason=head.reason or "",
        requested_by=head.requested_by or "",
        thread_url=head.thread_url or "",
        author=about.author,
        cases=cases,
        on_stale="fail" if head.on_stale is UNSET else head.on_stale,
        summary=summary(listing.counts, cases, errors),
        operations=len(plan.operations),
        counts=listing.counts,
        sections=excerpt.sections(lines),
        oddities=excerpt.oddities(lines),
        oddity_count=len(lines.oddities),
        patterns=list(excerpt.patterns(lines)),
        pattern_count=len(lines.patterns),
        implied=implied,
        implied_count=implied_count,
        by_case=shares,
        problems=problems,
        errors=errors,
        warnings=len(problems) - errors,
        approvals=asked(policy.approval, subject_of(lines, listing.counts, about.author, cases, bool(weak))),
        weak=weak,
        effects_digest=listing.digest,
        policy_digest=policies.digest_of(policy),
        undo_of=about.undo_of,
        backup=backup,
        notes=list(_counted(policy, listing.counts, shares, about)),
    )
    return msgspec.structs.replace(preview, digest=digest_of(preview))


_WORDS = (
    ("moved", "move", "moves"), ("made", "folder made", "folders made"), ("created", "file created", "files created"),
    ("copied", "copied", "copied"), ("linked", "link made", "links made"), ("restored", "restored", "restored"),
    ("set", "setting changed", "settings changed"),
)  # fmt: skip


def summary(counts: Counts, cases: list[str], errors: int) -> str:
    """One sentence: what happens, how much goes away, and where."""
    parts = []
    for kind, one, many in _WORDS:
        count = getattr(counts, kind)
        if count:
            parts.append(f"{count:,} {one if count == 1 else many}")
    parts.append(f"{counts.deleted_files:,} deleted" if counts.deleted_files else f"{counts.deleted:,} deleted")
    parts.append(f"{counts.replaced:,} replaced")
    if counts.crossing:
        parts.append(f"{counts.crossing:,} leave{'s' if counts.crossing == 1 else ''} the case")
    where = cases[0] if len(cases) == 1 else f"{len(cases)} cases" if cases else "nothing"
    text = f"In {where}: {'; '.join(parts)}"
    if errors:
        text += f"; {errors:,} error{'' if errors == 1 else 's'} to mend first"
    return text + "."

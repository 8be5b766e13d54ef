"""Sealing: an outcome becomes a preview, whose digest is what a person approves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from treegate.model import policy as policies
from treegate.model.capabilities import Capabilities
from treegate.model.effects import Effect, Text, tagged
from treegate.model.lines import Lines, Shape
from treegate.model.net import Net, new_below
from treegate.model.notice import as_problems, concerned, notices
from treegate.model.plan import Plan
from treegate.model.policy import Gatekeeper, Policy
from treegate.model.preview import (
    CHUNK,
    SHOWN,
    Approvals,
    Counts,
    Oddity,
    Pattern,
    Preview,
    Section,
    Weakness,
    digest_of,
)
from treegate.model.problems import MOST_PROBLEMS, Problem, problem
from treegate.model.rows import Rows, number_entries
from treegate.model.simulate import Outcome, unreadable
from treegate.model.table import Row
from treegate.model.tree import Kind, Node

_encode = msgspec.json.Encoder(order="sorted").encode
MOST_PATTERNS = 200  # that the model itself carries: the rarest, and the largest few; the others are counted
MOST_LARGEST = 10


class About(NamedTuple):
    """What a preview says of its plan besides the plan itself."""

    workspace: str
    id: str = ""
    revision: int = 1
    author: str = ""
    undo_of: str = ""  # the run that the plan takes back, where the gate itself made it


class Sealed(NamedTuple):
    """A preview and the rows of its step table; no rows where the plan has errors."""

    preview: Preview
    rows: Rows | None


def seal(
    outcome: Outcome, policy: Policy, about: About, keep: Callable[[list[bytes]], None] = lambda chunk: None
) -> Sealed:
    """Seals an outcome; `keep` is given each chunk of encoded effects in display order."""
    gatekeeper = Gatekeeper(policy)
    net = Net(outcome)
    net.count_folders()
    found = notices(net, gatekeeper)
    number_entries(net)
    lines = Lines(net, found)
    cases = _cases(net)
    weak = _weaknesses(net.forest.cases, cases, policy)
    problems = [*outcome.problems, *as_problems(net, found)]
    shown, tally = _Shown(lines), _Tally()
    effects_digest = _write(lines, keep, shown, tally)
    counts = tally.counts(sum(net.held(node).size for node in net.new), len(lines.crossings))
    problems += _limits(net, counts, policy, about, len(outcome.plan.operations))
    problems += _room(net)
    problems += [_too_weak(weakness) for weakness in weak if weakness.code == "fsync-not-durable"] * (
        policy.weak_mounts == "refuse"
    )
    problems = _bounded(problems)
    preview = _preview(outcome.plan, lines, policy, about, counts, cases, weak, problems, shown, effects_digest)
    rows: Rows | None = None
    if preview.valid:
        mounts = [net.forest.cases[case] for case in cases if case in net.forest.cases]
        rows = Rows(
            net,
            exchange=all(mount.exchange for mount in mounts),
            folds=any(mount.folds_case or mount.folds_unicode for mount in mounts),
            concerned=lambda node: concerned(net, gatekeeper, node),
        )
    return Sealed(preview, rows)


def table_rows(sealed: Sealed) -> list[Row]:
    """All rows of a sealed preview's table."""
    return [] if sealed.rows is None else list(sealed.rows)


def _cases(net: Net) -> list[str]:
    """The cases that the difference touches, sorted."""
    entered = {node.parent for node in (*net.new, *net.moved, *net.restored, *net.set)}
    left = {node.home for node in (*net.moved, *net.deleted)}
    cases = {net.case(net.path(folder)) for folder in entered if folder is not None}
    cases |= {net.case(folder.where) for folder in left if folder is not None}
    if not cases and net.outcome.plan.case:
        cases = {net.outcome.plan.case}
    return sorted(cases)


def _weaknesses(mounts: Mapping[str, Capabilities], cases: list[str], policy: Policy) -> list[Weakness]:
    found: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for weakness in mounts.get(case, Capabilities()).weaknesses():
            found.setdefault(weakness, []).append(case)
    return [Weakness(code, cases, message) for (code, message), cases in found.items()]


def _too_weak(weakness: Weakness) -> Problem:
    return problem("weak-mount", f"{', '.join(weakness.cases)}: {weakness.message}")


class _Tally:
    """The counts of a preview, taken while its effects are written."""

    def __init__(self) -> None:
        self._found: dict[str, list[int]] = {}  # kind -> how many, with how many files and bytes

    def take(self, effect: Effect) -> None:
        """Adds one effect."""
        found = self._found.get(effect.effect)
        if found is None:
            found = self._found[effect.effect] = [0, 0, 0]
        found[0] += 1
        found[1] += effect.files
        found[2] += effect.size

    def counts(self, new_bytes: int, crossing: int) -> Counts:
        """What it all comes to."""
        found = self._found
        nothing = [0, 0, 0]
        _, moved_files, moved_bytes = found.get("moved", nothing)
        _, deleted_files, deleted_bytes = found.get("deleted", nothing)
        return Counts(
            **{kind: count for kind, (count, _, _) in found.items()},
            effects=sum(count for count, _, _ in found.values()),
            files=sum(files for _, files, _ in found.values()),
            moved_files=moved_files,
            deleted_files=deleted_files,
            moved_bytes=moved_bytes,
            deleted_bytes=deleted_bytes,
            new_bytes=new_bytes,
            crossing=crossing,
        )


def _limits(net: Net, counts: Counts, policy: Policy, about: About, operations: int) -> list[Problem]:
    """The limits that the net difference passes; a plan that takes back a run's own work is not held to them."""
    deletes: dict[str, int] = {}
    for node in net.gone:
        case = net.case(node.home_path())
        deletes[case] = deletes.get(case, 0) + net.held(node).files
    tally = policies.Counts(
        operations=operations,
        files=counts.files,
        deletes=counts.deleted_files,
        delete_bytes=counts.deleted_bytes,
        replacements=counts.replaced,
        case_deletes=deletes,
    )
    if policies.needs_case_files(policy, tally) and not about.undo_of:
        try:
            files = {case: net.forest.tree.totals(case).files for case, count in deletes.items() if count}
        except OSError as error:
            fault = unreadable(error)
            return [problem(fault.code, f"the case cannot be counted: {fault.message}", path=fault.path)]
        tally = tally._replace(case_files=files, case_deletes={case: deletes[case] for case in files})
    passed = policies.over_limits(policy, tally, undoing=bool(about.undo_of))
    return [problem("limit-passed", limit.sentence, hint=limit.hint) for limit in passed]


def _room(net: Net) -> list[Problem]:
    """Whether what the plan brings fits on the filesystems that it goes to."""
    needs: dict[str, tuple[str, int, int]] = {}
    for node in net.new:
        case = net.case(net.path(node))
        volume = net.forest.volumes.get(case, "")
        first, size, entries = needs.get(volume, (case, 0, 0))
        held = net.held(node)
        needs[volume] = first, size + held.size, entries + held.files + (node.kind is Kind.DIR)
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
    plan: Plan,
    lines: Lines,
    policy: Policy,
    about: About,
    counts: Counts,
    cases: list[str],
    weak: list[Weakness],
    problems: list[Problem],
    shown: _Shown,
    effects_digest: str,
) -> Preview:
    head = plan.head
    errors = sum(found.severity == "error" for found in problems)
    asked = policies.approvals(policy)
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
        summary=summary(counts, cases, errors),
        operations=len(plan.operations),
        counts=counts,
        sections=shown.sections(),
        oddities=shown.oddities,
        oddity_count=len(lines.oddities),
        patterns=shown.patterns,
        pattern_count=len(lines.patterns),
        implied=shown.implied,
        implied_count=shown.implied_count,
        problems=problems,
        errors=errors,
        warnings=len(problems) - errors,
        approvals=Approvals(
            required=asked.required,
            own=asked.own,
            expires=policies.write_duration(asked.expires),
            why=[f"policy.approval.required = {asked.required}"],
        ),
        weak=weak,
        effects_digest=effects_digest,
        policy_digest=hashlib.sha256(_encode(policies.canonical(policy))).hexdigest(),
        undo_of=about.undo_of,
    )
    return msgspec.structs.replace(preview, digest=digest_of(preview))


class _Shown:
    """What of the full list the model itself carries, picked out while the list is written."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        grave = (("deletions", lines.deletions), ("replacements", lines.replacements), ("crossings", lines.crossings))
        self._sections = [(kind, len(nodes), list[Effect]()) for kind, nodes in grave]
        self.oddities: list[Oddity] = []
        self._odd_counts: dict[str, int] = {}
        self.patterns: list[Pattern] = []
        self.implied: list[Text] = []
        self.implied_count = 0
        self._ends: list[int] = []
        end = 0
        for _, count, _ in self._sections:
            end += count
            self._ends.append(end)
        self.plain_from = end + len(lines.oddities)

    def take(self, effect: Effect, position: int) -> None:
        """Looks at one effect as it is written; `position` counts from 0."""
        if effect.implied:
            self.implied_count += 1
            if len(self.implied) < SHOWN:
                self.implied.append(effect.path)
        if position >= self.plain_from:
            return
        for end, (_, _, effects) in zip(self._ends, self._sections, strict=True):
            if position < end:
                if len(effects) < SHOWN:
                    effects.append(effect)
                return
        _, code, note = self.lines.oddities[position - self._ends[-1]]
        count = self._odd_counts[code] = self._odd_counts.get(code, 0) + 1
        if count <= SHOWN:  # of each code, so that a flood of one does not hide the others
            self.oddities.append(Oddity(code=code, note=note, effect=effect))

    def sections(self) -> list[Section]:
        return [Section(kind=kind, count=count, effects=effects) for kind, count, effects in self._sections if count]

    def pattern(self, id: str, shape: Shape, nodes: list[Node], first: int) -> None:
        """Notes a pattern, whose effects begin at position `first`."""
        net = self.lines.net
        held = [net.held(node) for node in nodes]
        self.patterns.append(
            Pattern(
                id=id,
                effect=shape.effect,
                source=None if shape.source is None else tagged(_glob(shape)),
                to=tagged(_into(net, shape, nodes)),
                count=len(nodes),
                files=sum(one.files for one in held),
                size=sum(one.size for one in held),
                first=first,
                examples=[self.lines.effect(node, first + n) for n, node in enumerate(nodes[:3], 1)],
            )
        )


def _glob(shape: Shape) -> str:
    """Where the effects of a pattern come from, as a glob."""
    source = shape.source
    assert source is not None
    folder = "vault" if source.where.startswith("/") else source.where
    tail = "*/" if shape.ext == "/" else f"*{shape.ext}" if shape.ext else "*"
    return f"{folder}/{tail}" if folder else tail


def _into(net: Net, shape: Shape, nodes: list[Node]) -> str:
    if shape.to is None:
        return ""
    return (net.path(shape.to) if shape.to.parent is not None else shape.to.name) + "/"


def _write(lines: Lines, keep: Callable[[list[bytes]], None], shown: _Shown, tally: _Tally) -> str:
    """Writes the full list in chunks and returns the digest over it and over the facts of what it touches."""
    digest = hashlib.sha256()
    chunk: list[bytes] = []
    covered: list[bytes] = []  # by the digest: each line, and the facts that it rests on
    old = lines.net.replaced
    for position, node in enumerate(lines.nodes()):
        effect = lines.effect(node, position + 1)
        line = _encode(effect)
        chunk.append(line)
        covered += (line, node.facts or b"")
        if node in old:
            covered.append(old[node].facts or b"")
        if position < shown.plain_from or effect.implied:
            shown.take(effect, position)
        tally.take(effect)
        if len(chunk) == CHUNK:
            keep(chunk)
            digest.update(b"".join(covered))
            chunk = []
            covered.clear()
    digest.update(b"".join(covered))
    if chunk:
        keep(chunk)
    _digest_rest(lines, digest.update)
    first = shown.plain_from
    rarest = MOST_PATTERNS - MOST_LARGEST
    for index, (shape, nodes) in enumerate(lines.patterns):
        if index < rarest or index >= len(lines.patterns) - MOST_LARGEST:
            shown.pattern(f"p{index + 1}", shape, nodes, first)
        first += len(nodes)
    return digest.hexdigest()


def _digest_rest(lines: Lines, update: Callable[[bytes], object]) -> None:
    """What the effects rest on besides their own facts: deleted folders' contents, sources of copies, `expect`s."""
    net = lines.net
    for node, totals in net.totals.items():
        if net.is_removed(node):
            update(b"\0folder" + str(node.number).encode() + totals.digest)
    for node in net.new:
        for each in (node, *new_below(node)):
            made = each.made
            if made is not None and made.source is not None:
                update(b"\0source" + str(node.number).encode() + (made.source.facts or b""))
    for node, sha256 in net.outcome.expected.items():
        update(b"\0expect" + str(node.number).encode() + sha256.encode())


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

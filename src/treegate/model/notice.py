"""What is worth telling once all operations were carried out: about names, links, folders, mounts and policy.

Each check looks at the net difference, so a detour through a bad name is no
problem. Warnings also mark their entry as odd, which brings it to the top.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from treegate.model import paths
from treegate.model.capabilities import Capabilities
from treegate.model.forest import Fault
from treegate.model.names import fold_key
from treegate.model.neighbours import Neighbours
from treegate.model.net import Net
from treegate.model.operations import Move, Rename
from treegate.model.policy import Gatekeeper, Refusal
from treegate.model.problems import Problem, Severity, problem
from treegate.model.repair import suggested
from treegate.model.tree import DIR, FILE, LINK, Node

MOST_OF_A_CODE = 1000  # findings of one code that are listed; the rest is counted


class Notice(NamedTuple):
    """A finding about one entry."""

    code: str
    node: Node
    message: str
    path: str
    hint: str = ""
    severity: Severity | None = None
    better: str = ""  # a better final path, as the plan writes it


def notices(net: Net, gatekeeper: Gatekeeper) -> list[Notice]:
    """Everything there is to say about the net difference."""
    found: list[Notice] = []
    for check in (_renamed, _hard_links, _collisions, _near_folders, _links, _folders, _restored, _obstacles):
        found.extend(_bounded(check(net)))
    found.extend(_bounded(_policy(net, gatekeeper)))
    return found


def as_problems(net: Net, found: Iterable[Notice]) -> list[Problem]:
    """The notices as problems of the operation that last touched the entry."""
    made = []
    for notice in found:
        operation = notice.node.operations[-1] if notice.node.ops else None
        made.append(
            problem(
                notice.code,
                notice.message,
                operation or None,
                f"/operations/{operation - 1}" if operation else "",
                path=notice.path,
                hint=notice.hint,
                severity=notice.severity,
                suggestion=_suggestion(net, notice, operation),
                also=notice.node.operations[:-1],
            )
        )
    return made


def _suggestion(net: Net, notice: Notice, operation: int | None) -> dict[str, Any] | None:
    """The operation with the better path, where one operation alone gave the path that it has."""
    if not notice.better or not operation or len(notice.node.operations) > 1:
        return None
    plan = net.outcome.plan
    given = plan.operations[operation - 1]
    case = f"{plan.case}/" if plan.case else ""
    if isinstance(given, Rename):
        return suggested(given, {"name": paths.split(notice.better)[1]})
    if isinstance(given, Move) and isinstance(given.source, str):
        return suggested(given, {"to": notice.better.removeprefix(case)})
    return None


def _bounded(found: Iterable[Notice]) -> Iterable[Notice]:
    """At most so many of each code, and then one that says how many more there are."""
    counts: dict[str, int] = {}
    last: dict[str, Notice] = {}
    for notice in found:
        counts[notice.code] = counts.get(notice.code, 0) + 1
        if counts[notice.code] <= MOST_OF_A_CODE:
            yield notice
        else:
            last[notice.code] = notice
    for code, notice in last.items():
        more = counts[code] - MOST_OF_A_CODE
        yield notice._replace(message=f"{more:,} more like this, such as: {notice.message}")


_LINKS = struct.Struct("<I").unpack_from
_ONE_LINK = b"\1\0\0\0"  # in packed facts, from 4 to 8
_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?!\d)")


def _renamed(net: Net) -> Iterable[Notice]:
    """Extensions and dates that a file's name loses."""
    for node in net.moved:
        name, was = node.name, node.home_name
        if name == was or node.kind is not FILE:
            continue
        if not name.endswith(was[was.rfind(".") :]) and _loses(ext := paths.extension(was), name):
            now = paths.extension(name)
            lost = f": {ext} becomes {now}" if now else f" without {ext}"
            text = f"{was!r} becomes {name!r}{lost}"
            yield Notice("extension-lost", node, text, net.path(node), better=net.path(node) + ext)
        date = _DATE.search(was) if "20" in was or "19" in was else None
        if date is not None and _digits(date.group()) not in _digits(net.path(node)):
            text = f"the date {date.group()} of {was!r} is not in {name!r}"
            yield Notice("date-lost", node, text, net.path(node))


def _loses(ext: str, name: str) -> bool:
    """Whether a name lacks an extension that is one: short, and no number."""
    return len(ext) <= 6 and not ext[1:].isdigit() and not name.casefold().endswith(ext.casefold())


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _hard_links(net: Net) -> Iterable[Notice]:
    set_too = set(net.set)
    moved = set(net.moved) if set_too else set()
    for node in (*net.moved, *net.deleted, *(node for node in net.set if node not in moved)):
        if node.facts is not None and node.facts[4:8] != _ONE_LINK and node.kind is FILE:
            links = _LINKS(node.facts, 4)[0]
            path = net.home(node)
            name = "one other name" if links == 2 else f"{links - 1} other names"
            text = f"{path!r} has {name}" + (", which the setting changes too" if node in set_too else "")
            yield Notice("several-hard-links", node, text, path)


def _collisions(net: Net) -> Iterable[Notice]:
    """Names that differ only in case or in Unicode form from another in their folder."""
    arrived: dict[Node, list[Node]] = {}
    for (_, to), nodes in net.pairs.items():
        arrived.setdefault(to, []).extend(nodes)
    for node in (*net.new, *net.restored):
        if node.parent is not None:
            arrived.setdefault(node.parent, []).append(node)
    for folder, nodes in arrived.items():
        names = net.forest.names(folder)
        if _all_differ(names):
            continue
        by_key: dict[str, list[str]] = {}
        for name in names:
            by_key.setdefault(_key(name), []).append(name)
        for node in nodes:
            for other in by_key[_key(node.name)]:
                if other != node.name:
                    yield _collision(net, node, other)


def _all_differ(names: Collection[str]) -> bool:
    """Whether no two names have one key; in one go where all are ASCII, as they mostly are."""
    joined = "\0".join(names)
    keys = set(joined.lower().split("\0")) if joined.isascii() else {_key(name) for name in names}
    return len(keys) >= len(names)


def _key(name: str) -> str:
    return name.lower() if name.isascii() else fold_key(name, case=True, unicode=True)


def _collision(net: Net, node: Node, other: str) -> Notice:
    path = net.path(node)
    capabilities = net.forest.cases.get(net.case(path), Capabilities())
    only_form = fold_key(node.name, case=False, unicode=True) == fold_key(other, case=False, unicode=True)
    folds = (capabilities.folds_unicode or not only_form) and (capabilities.folds_case or only_form)
    text = f"{path!r} and {other!r} in the same folder differ only in " + ("Unicode form" if only_form else "case")
    if folds:
        return Notice("names-collide", node, text + ", and this mount takes them for one", path)
    return Notice("unicode-collision" if only_form else "case-collision", node, text, path)


def _near_folders(net: Net) -> Iterable[Notice]:
    """New folders named nearly like one that is there, as `Correspondance` beside `Correspondence`."""
    new = [(node, node.parent) for node in net.new if node.parent is not None and _is_made_folder(node)]
    asked = Counter(parent for _, parent in new)
    beside: dict[Node, Neighbours] = {}
    for node, parent in new:
        if parent not in beside:
            beside[parent] = Neighbours(_folders_before(net, parent), asked[parent])
        near = beside[parent].nearest(node.name)
        if near is not None and not _differ_in_number(node.name, near):
            text = f"the new folder {node.name!r} is named nearly like {near!r}"
            yield Notice("folder-nearly-named", node, text, net.path(node))


def _is_made_folder(node: Node) -> bool:
    return node.kind is DIR and node.made is not None and node.made.effect == "made"


def _folders_before(net: Net, parent: Node) -> list[str]:
    """The folders in a folder that the plan does not make itself; new ones are compared with these only."""
    return [
        name
        for name, found in net.forest.names(parent).items()
        if found is DIR or (isinstance(found, Node) and found.kind is DIR and found.made is None)
    ]


def _differ_in_number(one: str, other: str) -> bool:
    """Names such as 2023 and 2024, or Box 1 and Box 2, are different on purpose."""
    return _digits(one) != _digits(other)


def _links(net: Net) -> Iterable[Notice]:
    """Links that leave the case, and relative ones that will point at nothing."""
    for node in (*net.new, *net.moved_besides, *net.restored):
        if node.kind is not LINK:
            continue
        path = net.path(node)
        try:
            target = node.made.target if node.made is not None else net.forest.tree.target(node.home_path())
        except OSError:
            continue  # it went away just now: the run will see it as stale
        if paths.leads_out(path, target):
            if node.made is not None and node.made.effect == "linked":
                yield Notice("link-outside", node, f"{path!r} would point at {target!r}, outside the case", path)
        elif not _is_there(net, paths.pointed_at(path, target)):
            yield Notice("link-will-dangle", node, f"{path!r} points at {target!r}, and nothing will be there", path)


def _is_there(net: Net, path: str) -> bool:
    above, name = paths.split(path)
    try:
        if not above:
            return path in net.forest.cases
        return net.forest.child(net.forest.folder(above), name) is not None
    except Fault as fault:
        return fault.code == "link-in-path"  # it leads on through another link: not for this check to follow


def _folders(net: Net) -> Iterable[Notice]:
    """What lies in folders that go as a whole and cannot go with them."""
    for node, fault in net.unreadable:
        yield Notice(fault.code, node, fault.message, node.home_path())
    for node, totals in net.totals.items():
        path = node.home_path()
        for mount in totals.mounts:
            text = f"another filesystem is mounted at {paths.joined(path, mount)!r}"
            yield Notice("mount-inside", node, text, paths.joined(path, mount))
        if totals.specials:
            first = paths.joined(path, totals.specials[0])
            text = f"{path!r} holds {len(totals.specials)} FIFO, socket or device entries, such as {first!r}"
            yield Notice("special-file", node, text, first)
        if totals.multilinks:
            text = f"{path!r} holds {totals.multilinks:,} files that have other names"
            yield Notice("several-hard-links", node, text, path)


def _restored(net: Net) -> Iterable[Notice]:
    """What would go from one vault to another, and never was in the tree: nothing could say where it belongs."""
    replaced = set(net.replaced.values())
    for node in (node for node in net.restored_in_vain if node not in replaced):
        text = f"{net.home(node)!r} is restored with its folder and deleted by the same plan"
        yield Notice("restored-in-vain", node, text, net.home(node))


def _obstacles(net: Net) -> Iterable[Notice]:
    """What the operating system would refuse: asked once for each folder that is left or entered."""
    tree = net.forest.tree
    ends: dict[tuple[Node | None, Node | None], list[Node]] = dict(net.pairs.items())
    for node in (*net.restored, *net.deleted, *net.new):
        ends.setdefault((node.home, node.parent), []).append(node)
    known: dict[Node, tuple[str, str] | None] = {}
    for pair, nodes in ends.items():
        for folder in pair:
            if folder is None or folder.made is not None or folder.where.startswith("/"):
                continue
            if folder not in known:
                known[folder] = tree.obstacle(folder.where)
            if (obstacle := known[folder]) is not None:
                yield from (Notice(obstacle[0], node, obstacle[1], folder.where) for node in nodes)
    for node in net.whole_folders():
        home = node.home
        if home is None or node.parent is home or home.where.startswith("/"):
            continue
        if (obstacle := tree.obstacle(home.where, node.home_name)) is not None:
            yield Notice(obstacle[0], node, obstacle[1], node.home_path())


def _policy(net: Net, gatekeeper: Gatekeeper) -> Iterable[Notice]:
    """Paths that policy protects or does not allow; what lies in folders that go as a whole counts too."""
    for (home, to), nodes in net.pairs.items():
        if refused := gatekeeper.refused_in(home.where, {node.home_name for node in nodes}):
            yield from (_refusal(gatekeeper, n, n.home_path()) for n in nodes if n.home_name in refused)
        if refused := gatekeeper.refused_in(net.folder(to), {node.name for node in nodes}):
            yield from (_refusal(gatekeeper, n, net.path(n)) for n in nodes if n.name in refused)
    for node in (*net.deleted, *net.set):
        if (refusal := gatekeeper.refusal(node.home_path())) is not None:
            yield _refused(node, refusal)
    for node in (*net.new, *net.restored, *net.set):
        implied = node.made is not None and node.made.implied
        if (refusal := gatekeeper.refusal(net.path(node), implied=implied)) is not None:
            yield _refused(node, refusal)
    for node in (*net.moved_besides, *net.deleted, *net.restored):
        if node.kind is DIR:
            yield from _refused_inside(net, gatekeeper, node)


def _refusal(gatekeeper: Gatekeeper, node: Node, path: str) -> Notice:
    refusal = gatekeeper.refusal(path)
    assert refusal is not None, "it was asked before"
    return _refused(node, refusal)


def _refused(node: Node, refusal: Refusal) -> Notice:
    return Notice(refusal.code, node, refusal.sentence, refusal.path, refusal.hint)


def _refused_inside(net: Net, gatekeeper: Gatekeeper, node: Node) -> Iterable[Notice]:
    homes = [] if node in net.restored else [node.home_path()]
    finals = [] if net.is_removed(node) else [net.path(node)]
    for path in (*homes, *finals):
        if not gatekeeper.concerns(path):
            continue
        for below, _ in net.forest.tree.walk(node.home_path()):
            refusal = gatekeeper.refusal(f"{path}/{below}")
            if refusal is not None:
                yield _refused(node, refusal)
                break  # the first says it; a folder of thousands would say it thousands of times


def concerned(net: Net, gatekeeper: Gatekeeper, node: Node) -> bool:
    """Whether what is inside a folder that moves must be the same at apply, for a rule might concern an addition."""
    return gatekeeper.concerns(node.home_path()) or gatekeeper.concerns(net.path(node))

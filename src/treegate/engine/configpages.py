"""What people read of the settings: each as it holds, the default file, the reference page."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from treegate.engine.config import SETTINGS, Config, value_of
from treegate.model.policy import NOT_YET


class Shown(msgspec.Struct, frozen=True):
    """One setting as it holds: its value as TOML, and "default" or where it was set."""

    key: str
    value: str
    origin: str


def show(config: Config) -> list[Shown]:
    """Every setting in the order of the table, with where its value comes from."""
    return [
        Shown(
            setting.key, setting.kind.write(value_of(config, setting.key)), config.origins.get(setting.key, "default")
        )
        for setting in SETTINGS
    ]


def default_toml(changes: Mapping[str, object] | None = None) -> str:
    """A treegate.toml in which every key stands commented out with its default; `changes` are set in it.

    A comment begins with `# `, a key or section that is commented out with `#` alone. Raises ValueError or
    KeyError for a change that the file could not hold.
    """
    changed = dict(changes or {})
    lines = [
        "# What stands here commented out is the default. docs/configuration.md says more.",
        "# A variable wins over this file: TREEGATE_POLICY_LIMITS_DELETES=20. Secrets never stand here.",
    ]
    section = ""
    for setting in SETTINGS:
        if setting.section != section:
            section = setting.section
            used = any(key.rpartition(".")[0] == section for key in changed)
            lines += ["", f"{'' if used else '#'}[{section}]"]
        value = changed.pop(setting.key, setting.default)
        mark = "" if value != setting.default else "#"
        lines += [f"# {setting.meaning}", f"{mark}{setting.key.rpartition('.')[2]} = {setting.kind.write(value)}"]
    if changed:
        raise KeyError(f"no such key: {', '.join(changed)}")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The tables of docs/configuration.md, in Markdown."""
    lines = []
    section = None
    for setting in SETTINGS:
        if setting.section != section:
            section = setting.section
            title = f"`[{section}]`" if section else "At the top of the file"
            lines += ["", f"## {title}", "", "| key | takes | default | meaning |", "|---|---|---|---|"]
        key, default = setting.key.rpartition(".")[2], setting.kind.write(setting.default)
        lines.append(f"| `{key}` | {setting.kind.described} | `{default}` | {setting.meaning} |")
    lines += ["", "## Not in this version", "", "These keys are known and refused, for nothing acts on them yet:", ""]
    lines += [f"- `{key}`: {what}" for key, what in NOT_YET.items()]
    return "\n".join(lines).lstrip("\n") + "\n"

"""What tools take, as pydantic models: LangChain describes and checks arguments by these."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model

from treegate.interfaces.agent.tool import Tool
from treegate.model.effects import Raw

_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "description")


@cache
def model_of(tool: Tool) -> type[BaseModel]:
    """The model of a tool's arguments; what it refuses, the tool itself would refuse, too."""
    hints = get_type_hints(tool.takes, include_extras=True)
    fields: dict[str, Any] = {
        field.name: (_plain(hints[field.name]), _field(hints[field.name], field))
        for field in msgspec.structs.fields(tool.takes)
    }
    return create_model(f"{tool.name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)


def _plain(hint: Any) -> Any:
    """A type without what msgspec says of it; a path that is not UTF-8 is an object here."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if hint == str | Raw:
        return str | dict[str, str]
    return hint


def _field(hint: Any, field: msgspec.structs.FieldInfo) -> Any:
    said = {}
    if get_origin(hint) is Annotated:
        meta = next(one for one in get_args(hint)[1:] if isinstance(one, msgspec.Meta))
        said = {name: value for name in _BOUNDS if (value := getattr(meta, name)) is not None}
    if field.default is not msgspec.NODEFAULT:
        return Field(default=field.default, **said)
    if field.default_factory is not msgspec.NODEFAULT:
        return Field(default=field.default_factory(), **said)  # pydantic makes a copy for each
    return Field(**said)

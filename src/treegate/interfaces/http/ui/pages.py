"""Pages: a template and its values made HTML; everything that comes from outside is escaped and inert."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from treegate.model.actors import Actor
from treegate.model.names import visible

_environment = Environment(
    loader=PackageLoader("treegate.interfaces.http.ui"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_environment.filters["visible"] = visible


def render(request: Request, who: Actor | None, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody; `csrf` is what each form in it sends back."""
    values = {"who": who, "csrf": getattr(request.state, "csrf", ""), "path": request.url.path} | values
    return HTMLResponse(_environment.get_template(template).render(values), status)

"""Pages: a template and its values made HTML; everything that comes from outside is escaped and inert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from treegate.model.actors import Actor
from treegate.model.effects import Text, untagged
from treegate.model.names import visible
from treegate.render import words


def _text(path: Text) -> str:
    """A path as it is shown: whatever it holds does nothing."""
    return visible(untagged(path))


def _ago(at: int) -> str:
    """A time (ms) as seen from now."""
    return words.age(datetime.fromtimestamp(at / 1000, UTC), datetime.now(UTC))


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _day(at: int) -> str:
    """A time (ms) as a day: 27 Feb 2027."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%d %b %Y").lstrip("0")


_environment = Environment(
    loader=PackageLoader("treegate.interfaces.http.ui"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_environment.filters |= {"visible": visible, "text": _text, "ago": _ago, "moment": _moment, "day": _day}


def render(request: Request, who: Actor | None, template: str, http: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody; `csrf` is what each form in it sends back."""
    values = {"who": who, "csrf": getattr(request.state, "csrf", ""), "path": request.url.path} | values
    return HTMLResponse(_environment.get_template(template).render(values), http)

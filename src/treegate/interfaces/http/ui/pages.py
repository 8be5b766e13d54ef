"""Pages: a template and its values made HTML; everything that comes from outside is escaped and inert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from treegate.gate import Gate
from treegate.model.actors import Actor
from treegate.model.effects import Text, untagged
from treegate.model.names import visible
from treegate.render import history, words


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


def _clock(at: int) -> str:
    """A time (ms) in full, for people; what is no time (any more) as it is."""
    return history.moment(at)


def case_page(case: str) -> str:
    """The address of a case's page; whatever bytes its name is of, the address is readable."""
    return f"/ui/cases/{quote(visible(case), safe='')}"


PLACES = (  # where the head of every page leads: the address, its name, the key after `g`; the last not for everybody
    ("/ui/", "Inbox", "i"),
    ("/ui/runs", "Runs", "r"),
    ("/ui/commands", "Commands", "m"),
    ("/ui/cases", "Cases", "c"),
    ("/ui/audit", "Audit", "a"),
    ("/ui/health", "Health", "h"),
)

_environment = Environment(
    loader=PackageLoader("treegate.interfaces.http.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
_environment.filters |= {
    "visible": visible,
    "text": _text,
    "ago": _ago,
    "moment": _moment,
    "day": _day,
    "clock": _clock,
    "case_page": case_page,
    "number": words.number,
    "size": words.size,
    "query": urlencode,
}
_environment.globals |= {"words": words}


def render(request: Request, who: Actor | None, template: str, http: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody; `csrf` is what each form in it sends back."""
    path = request.url.path
    shared = {"who": who, "csrf": getattr(request.state, "csrf", ""), "path": path, "here": _place(path)}
    gate: Gate | None = None if who is None else request.app.state.service.gate.acting_as(who)
    shared["attention"] = gate is not None and gate.needs_a_person()
    shared["places"] = PLACES if gate is not None and gate.sees_condition() else PLACES[:-1]
    return HTMLResponse(_environment.get_template(template).render(shared | values), http)


def _place(path: str) -> str:
    """Which of the places a page belongs to; a plan is of the inbox."""
    return next((place for place, _, _ in PLACES[1:] if path.startswith(place)), PLACES[0][0])

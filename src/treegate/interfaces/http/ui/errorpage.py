"""An error as a page; whoever has to log in first is sent there."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import Stale, TreegateError
from treegate.interfaces.http.ui import pages

TITLES = {
    401: "Please log in",
    403: "Not allowed",
    404: "Not found",
    409: "This has moved on",
    422: "That is not right yet",
}


def answer(request: Request, error: TreegateError) -> Response:
    """The page that tells an error."""
    if error.http_status == 401 and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/ui/login?next={quote(here)}", 303)
    title = "The plan or the tree moved on" if isinstance(error, Stale) else TITLES.get(error.http_status, "An error")
    back = request.url.path.rpartition("/")[0] + "/" if request.method != "GET" else "/ui/"
    back = back.rstrip("/") if back.count("/") > 2 else back
    who = getattr(request.state, "who", None)
    return pages.render(request, who, "error.html", error.http_status, error=error, title=title, back=back)

"""The address of a service: whether it is one, and safe to send a token to."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from treegate.errors import UsageError

INSECURE = "TREEGATE_INSECURE"  # 1: a token may go to another machine in the clear


def checked(url: str) -> str:
    """The address of a service, without its last slash; raises UsageError where it is none, or not safe."""
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError as error:
        raise _no_server(url, str(error)) from None
    if found.scheme not in {"http", "https"} or not found.hostname:
        raise _no_server(url, "it begins with https:// or http://, and names a host")
    if found.username is not None or found.query or found.fragment:
        raise _no_server(found.hostname, "it names a host, a port perhaps, and nothing secret")
    if found.scheme == "http" and not is_here(found.hostname) and os.environ.get(INSECURE) != "1":
        tunnel = f"ssh -L {port or 80}:127.0.0.1:{port or 80} {found.hostname}"
        raise UsageError(
            f"http://{found.hostname} is another machine, and the token would go there for all to read",
            code="insecure-server",
            hint=f"use https://, or a tunnel such as {tunnel}; {INSECURE}=1 sends it all the same",
            next="treegate status --server https://…",
        )
    return url.rstrip("/").removesuffix("/ui")  # the address of the pages will do, too


def _no_server(url: str, why: str) -> UsageError:
    text = f"{url!r} is not the address of a service: {why}"
    return UsageError(text, code="server-invalid", next="treegate status --server http://127.0.0.1:8473")


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

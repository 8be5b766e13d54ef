"""Allow: which methods a path has (RFC 9110, sections 10.2.1 and 15.5.6). The framework knows those of one route."""

from __future__ import annotations

import re
from functools import cache
from typing import Any


def methods(document: dict[str, Any], path: str) -> list[str]:
    """Which methods a path of an OpenAPI document has; HEAD wherever GET is."""
    fit = (item for template, item in document["paths"].items() if _pattern(template).fullmatch(path))
    found = {method.upper() for item in fit for method in item}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"{\w+}", template)))

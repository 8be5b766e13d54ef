"""/check and /plans: handed in, looked at, decided on."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from treegate.interfaces.http import answers
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["plans"])


@router.post("/check")
async def check(request: Request, who: Who, service: TheService) -> Response:
    """The preview of a plan, stored nowhere."""
    return answers.json(await service.crew.call(who, "check", await request.body()))


@router.post("/plans", status_code=201)
async def submit(request: Request, who: Who, service: TheService, draft: bool = False) -> Response:
    """Stores a plan and its preview."""
    made = await service.crew.call(who, "submit", await request.body(), draft=draft)
    return answers.json(made, 201, {"Location": f"/plans/{made.id}"})


@router.get("/plans/{id}")
async def plan(id: str, who: Who, service: TheService) -> Response:
    """Where a plan stands."""
    return answers.json(service.gate.acting_as(who).plan(id))

"""Asking why, and doing what the answer says."""

from typing import Any

import httpx

from tests.factories import SCHEDULES, address, task_address

Json = dict[str, Any]


async def why(client: httpx.AsyncClient, thing: Json) -> Json:
    """Return why a task, a run or a schedule stands where it stands; what is open has a reason."""
    if "schedule_id" in thing and "cron" in thing:
        where = f"{SCHEDULES}/{thing['schedule_id']}/why"
    else:
        where = task_address(thing, "why") if "task_id" in thing else address(thing, "why")
    response = await client.get(where)
    assert response.status_code == 200, response.text
    told: Json = response.json()
    assert told["reasons"], told
    assert told["reasons"][0]["text"] in told["summary"]
    return told


async def codes(client: httpx.AsyncClient, thing: Json) -> list[str]:
    """Return the codes of its reasons, in their order."""
    return [reason["code"] for reason in (await why(client, thing))["reasons"]]


async def first(client: httpx.AsyncClient, thing: Json, code: str) -> Json:
    """Return its most decisive reason, which has this code."""
    told = await why(client, thing)
    assert told["reasons"][0]["code"] == code, told
    reason: Json = told["reasons"][0]
    return reason


async def only(client: httpx.AsyncClient, thing: Json, code: str) -> Json:
    """Return its one reason, which has this code."""
    told = await why(client, thing)
    assert [reason["code"] for reason in told["reasons"]] == [code], told
    reason: Json = told["reasons"][0]
    return reason


async def one(client: httpx.AsyncClient, thing: Json, code: str) -> Json:
    """Return its one reason of this code, among others."""
    told = await why(client, thing)
    (reason,) = [reason for reason in told["reasons"] if reason["code"] == code]
    found: Json = reason
    return found


async def do(client: httpx.AsyncClient, reason: Json) -> None:
    """Make the call that would change it."""
    fix = reason["fix"]
    response = await client.request(fix["method"], fix["path"], json=fix["body"])
    assert response.is_success, response.text

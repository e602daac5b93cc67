"""FastAPI for the benchmark: the routes that bench/src/api measures, with the usual cache and drivers."""

import asyncio
import base64
import hashlib
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
import orjson
import redis.asyncio
from cachetools import TTLCache
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Query, Response

KEPT_SECONDS = {"tests": 300, "leaderboards": 300, "notifications": 30, "sessions": 24 * 3600}
LOCAL_SECONDS = 60
KEPT = 50_000
LIMIT = 20
JSON_TYPE = "application/json"
SHARED = "public, max-age=15"
OWN = "private, no-cache"

queries = {file.stem: file.read_text() for file in Path(os.environ["QUERIES"]).glob("*.sql")}
stores = {}


@asynccontextmanager
async def lifespan(_):
    size = int(os.environ["POOL_SIZE"]) // int(os.environ["WORKERS"])
    stores["redis"] = redis.asyncio.from_url(os.environ["REDIS_URL"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=size, max_size=size) as pool:
        stores["pool"] = pool
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


def dump(value) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


async def rows(name: str, *values) -> list:
    return await stores["pool"].fetch(queries[name], *values)


def with_json(row, column: str) -> dict:
    """The row, with a column of JSON as PostgreSQL wrote it."""
    return dict(row) | {column: orjson.Fragment(row[column])}


class Kept:
    """What is kept in this process for a minute, over Redis, over PostgreSQL; one load at a time for a key."""

    def __init__(self, name: str, load, decode):
        self.seconds = KEPT_SECONDS[name]
        self.prefix = f"{os.environ['REDIS_PREFIX']}:fastapi:{name}:"
        self.local = TTLCache(KEPT, min(LOCAL_SECONDS, self.seconds))
        self.loading = {}
        self.load = load
        self.decode = decode

    async def get(self, key: str):
        found = self.local.get(key)
        if found is not None:
            return found
        loading = self.loading.get(key)
        if loading is None:
            loading = self.loading[key] = asyncio.create_task(self.fetch(key))
            loading.add_done_callback(lambda _: self.loading.pop(key, None))
        return await asyncio.shield(loading)

    async def fetch(self, key: str):
        encoded = await stores["redis"].get(self.prefix + key)
        if encoded is None:
            loaded = await self.load(key)
            if loaded is None:
                return None
            encoded = dump(loaded)
            await stores["redis"].set(self.prefix + key, encoded, ex=self.seconds)
        value = self.local[key] = self.decode(encoded)
        return value


def body(encoded: bytes) -> tuple[bytes, str]:
    tag = base64.urlsafe_b64encode(hashlib.sha1(encoded).digest()).decode()
    return encoded, f'"{tag}"'


async def load_session(token_hash: str):
    found = await rows("session", bytes.fromhex(token_hash))
    return dict(found[0]) if found else None


def summary(row) -> dict:
    test = dict(row)
    time_limit = test.pop("time_limit")
    return test if time_limit is None else test | {"time_limit": orjson.Fragment(time_limit)}


async def load_tests(limit: str):
    return {"items": [summary(row) for row in await rows("tests", int(limit))], "next_cursor": None}


async def load_sheet(test: str):
    found, questions = await asyncio.gather(rows("test", test), rows("questions", test))
    if not found:
        return None
    sheet = summary(found[0]) | {"question_count": len(questions)}
    if "time_limit" in sheet:  # What a timed test asks comes with its start.
        return sheet | {"passage": None, "questions": []}
    return sheet | {"questions": [with_json(row, "choices") for row in questions]}


async def load_top(key: str):
    test, limit = key.split(" ")
    entries, total = await asyncio.gather(rows("top", test, int(limit)), rows("total", test))

    def place(row):
        user = row["display_name"] and {"id": row["user_id"], "display_name": row["display_name"]}
        return {"rank": row["rank"], "user": user, "score": row["score"]}

    return {"entries": [place(row) for row in entries], "total": total[0]["total"]}


async def load_notifications(user: str):
    found = await rows("notifications", user, LIMIT)
    return {"items": [with_json(row, "data") for row in found], "next_cursor": None}


sessions = Kept("sessions", load_session, orjson.loads)
tests = Kept("tests", load_tests, body)
sheets = Kept("tests", load_sheet, body)
tops = Kept("leaderboards", load_top, orjson.loads)
notifications = Kept("notifications", load_notifications, body)


async def signed_in(authorization: Annotated[str, Header()] = "") -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer":
        try:
            secret = base64.urlsafe_b64decode(token + "=")
        except ValueError:
            raise HTTPException(401) from None
        session = await sessions.get(hashlib.sha256(secret).hexdigest())
        if session is not None and session["expires_at"] > time.time():
            return session["user_id"]
    raise HTTPException(401)


Caller = Annotated[str, Depends(signed_in)]
Limit = Annotated[int, Query(ge=1, le=100)]
IfNoneMatch = Annotated[str | None, Header()]


def send(found, if_none_match: str | None, control: str) -> Response:
    if found is None:
        raise HTTPException(404)
    content, etag = found
    headers = {"etag": etag, "cache-control": control}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=JSON_TYPE, headers=headers)


def answer(value) -> Response:
    return Response(dump(value), media_type=JSON_TYPE)


@app.get("/api/tests")
async def list_tests(limit: Limit = LIMIT, if_none_match: IfNoneMatch = None):
    return send(await tests.get(str(limit)), if_none_match, SHARED)


@app.get("/api/tests/{test}")
async def show_test(test: UUID, if_none_match: IfNoneMatch = None):
    return send(await sheets.get(str(test)), if_none_match, SHARED)


@app.get("/api/notifications")
async def list_notifications(caller: Caller, if_none_match: IfNoneMatch = None):
    return send(await notifications.get(caller), if_none_match, OWN)


@app.get("/api/leaderboard")
async def leaderboard(caller: Caller, test_id: UUID, limit: Limit = LIMIT):
    standing = await rows("standing", test_id, caller)
    top = await tops.get(f"{test_id} {limit}")
    return answer(top | {"me": dict(standing[0]) if standing else None})


@app.get("/api/attempts")
async def list_attempts(caller: Caller, limit: Limit = LIMIT):
    found = await rows("attempts", caller, limit)
    return answer({"items": [with_json(row, "feedback") for row in found], "next_cursor": None})


@app.get("/api/attempts/{attempt}")
async def show_attempt(caller: Caller, attempt: UUID):
    found = await rows("attempt", caller, attempt)
    if not found:
        raise HTTPException(404)
    return answer(with_json(found[0], "feedback"))


@app.post("/api/models/{slug}/vote")
async def vote(caller: Caller, slug: str, value: Annotated[Literal[1, 0, -1], Body(embed=True)]):
    async with stores["pool"].acquire() as connection, connection.transaction():
        await connection.execute(queries["cast_vote"], caller, slug, value)
        counts = dict(await connection.fetchrow(queries["own_vote"], caller, slug))
    own = {"value": counts.pop("value"), "cast_at": counts.pop("cast_at")}
    return answer({"model": slug, "vote": own, "counts": counts})

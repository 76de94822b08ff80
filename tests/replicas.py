"""A second service on the same database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from tests.conftest import PATIENT, make_client


@asynccontextmanager
async def running_app(url: str, **settings: Any) -> AsyncIterator[FastAPI]:
    """Give an application of its own on the database at ``url``, running."""
    application = create_app(Settings(database_url=url, **{"housekeeping_seconds": 0.2} | PATIENT | settings))
    async with application.router.lifespan_context(application):
        yield application


@asynccontextmanager
async def replica(url: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of another replica of the service on the database at ``url``."""
    async with running_app(url, **settings) as application, make_client(application) as client:
        yield client

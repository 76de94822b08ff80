"""What the service says to a person who has started it in a terminal."""

from collections.abc import Iterator
from pathlib import Path

from app.db.embedded import default_data_dir
from app.settings import Settings


def write_greeting(settings: Settings, version: str, *, has_keys: bool) -> Iterator[str]:
    """Yield six lines: where the page, the API, its documentation and the data are, and who may use it."""
    url = f"http://{settings.host}:{settings.port}"
    yield f"Milepost {version} serves until Ctrl-C"
    yield f"  page  {url}/"
    yield f"  API   {url}/v1/workflow-runs"
    yield f"  docs  {url}/docs"
    yield f"  data  {_place_of_data(settings)}"
    yield f"  keys  {_who_may(has_keys=has_keys)}"


def _place_of_data(settings: Settings) -> str:
    if settings.database_url:
        return "in the database of MILEPOST_DATABASE_URL"
    return str(Path(settings.data_dir or default_data_dir()).expanduser().resolve())


def _who_may(*, has_keys: bool) -> str:
    if has_keys:
        return "each call needs one: Authorization: Bearer KEY"
    return "none is needed: open to everybody who reaches it; `milepost keys create me` makes the first and closes it"

"""Whether a page of another site can have made a browser send a request: only keys tell its user from the page."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from app.errors import CrossSite
from app.settings import Settings, split_names

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+?)\.?(?::\d*)?")
_FROM_HERE = frozenset({"same-origin", "none"})
"""Of `Sec-Fetch-Site`: a page of ours, or the user of the browser itself."""


@dataclass(frozen=True, slots=True)
class OwnSite:
    """By which names the service is called, where nobody proves with a key who calls.

    A page of another site can make a browser send requests (it says so in `Origin` and `Sec-Fetch-Site`), and can have
    its own name resolve to this machine, so that it may read the answers too (the browser sends that name as `Host`).
    Names without a dot and addresses cannot be made to resolve by a stranger.
    """

    names: frozenset[str]
    is_on_network: bool
    """Whether addresses, and names without a dot, are taken that are not those of loopback."""
    guests: frozenset[str] = frozenset()
    """Origins of other sites whose pages may call."""

    @classmethod
    def of(cls, settings: Settings) -> "OwnSite":
        """Return what ``settings`` say of the names."""
        names = (settings.host, *(settings.allowed_hosts or "").split(","))
        guests = frozenset(split_names(settings.cors_origins))
        return cls(frozenset(name.strip().lower() for name in names), settings.listens_beyond_loopback(), guests)

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise CrossSite unless a program, or a page of this site, sent these headers."""
        sent: dict[str, list[str]] = {"host": [], "origin": [], "sec-fetch-site": []}
        for name, value in headers:
            if (values := sent.get(name.decode("latin-1"))) is not None:
                values.append(value.decode("latin-1").strip())
        if not sent["host"] or not all(self._is_ours(host) for host in sent["host"]):
            raise CrossSite("without API keys the service must be called by an address or name of its own")
        if not _is_same_origin(sent) and not self._is_of_guest(sent["origin"]):
            raise CrossSite("a page of another site made a browser send this, and there are no API keys")

    def _is_of_guest(self, origins: list[str]) -> bool:
        return bool(origins) and self.guests.issuperset(origins)

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found[1]
        if name in self.names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            address = ip_address(name.strip("[]"))
        except ValueError:
            return self.is_on_network and "." not in name
        return self.is_on_network or address.is_loopback


def _is_same_origin(sent: Mapping[str, list[str]]) -> bool:
    ours = {f"{scheme}://{host.lower()}" for scheme in ("http", "https") for host in sent["host"]}
    is_own = ours.issuperset(map(str.lower, sent["origin"]))
    return is_own and _FROM_HERE.issuperset(map(str.lower, sent["sec-fetch-site"]))

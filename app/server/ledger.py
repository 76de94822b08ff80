"""How much memory connections hold for peers that are slow, and who gives way when it is too much."""

from typing import Protocol


class Holder(Protocol):
    """A connection that holds bytes."""

    def can_give_way(self) -> bool:
        """Return whether what it holds can be given up."""

    def give_way(self) -> None:
        """Give up what it holds."""


class Ledger:
    """Bytes by who holds them. Over ``most`` bytes in total, who has held longest gives way."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[Holder, int] = {}
        self.total = 0

    def hold(self, holder: Holder, size: int) -> None:
        """Note that ``holder`` holds ``size`` bytes now; it may have to give way itself."""
        self.total += size - self._held.get(holder, 0)
        self._held[holder] = size
        while self.total > self._most:
            slowest = next((other for other in self._held if other.can_give_way()), None)
            if slowest is None:
                return
            self.release(slowest)
            slowest.give_way()

    def release(self, holder: Holder) -> None:
        """Note that ``holder`` holds nothing any more."""
        self.total -= self._held.pop(holder, 0)

"""Every state of a call has an exit timer; they all live here, and the driver keeps one timer for the earliest."""

from __future__ import annotations


class Deadlines:
    """Named moments in call seconds. A name has one moment; setting it again moves it."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self.next: float | None = None

    def set(self, name: str, when: float) -> None:
        """Wake the call at `when` under this name."""
        self._at[name] = when
        if self.next is None or when < self.next:
            self.next = when
        else:
            self.next = min(self._at.values())

    def clear(self, name: str) -> None:
        """Forget a name; nothing happens when it is not set."""
        if self._at.pop(name, None) is not None:
            self.next = min(self._at.values(), default=None)

    def clear_all(self) -> None:
        """Forget every name."""
        self._at.clear()
        self.next = None

    def is_set(self, name: str) -> bool:
        """Whether a moment stands under this name."""
        return name in self._at

    def take_due(self, now: float) -> str | None:
        """Take out the name whose moment came first, if it has come. What follows from one may clear the others."""
        if self.next is None or now < self.next:
            return None
        name = min(self._at, key=self._at.__getitem__)
        self.clear(name)
        return name

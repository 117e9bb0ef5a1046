"""Keys that the caller presses, collected until a pause or a terminator, told to the model as text, never logged."""

from __future__ import annotations

MAX_KEYS = 64
"""Keys of one entry; with that many it is complete."""


class Keys:
    """One entry at a time.

    Args:
        terminator: the key that completes an entry; empty: none does.
    """

    def __init__(self, terminator: str) -> None:
        self._terminator = terminator
        self._pressed: list[str] = []

    @property
    def is_collecting(self) -> bool:
        """Whether an entry has begun and is not complete."""
        return bool(self._pressed)

    def press(self, key: str) -> bool:
        """A key was pressed. True when it completes the entry: `take` it."""
        self._pressed.append(key)
        return key == self._terminator or len(self._pressed) >= MAX_KEYS

    def take(self) -> str:
        """The keys of the entry, as the sentence the model is told; the next key begins a new one."""
        pressed, self._pressed = self._pressed, []
        return f"The caller pressed {' '.join(pressed)}."

"""What a rehearsal is told of its call by a bridge in another process."""

from __future__ import annotations

from bridge import watch


async def test_transcript_of_a_bridge_that_has_left_is_empty(unused_tcp_port: int) -> None:
    """A bridge that drains leaves with its last call: the rehearsal still shows what it saw by itself."""
    transcript = watch.asked_of(f"http://127.0.0.1:{unused_tcp_port}", "a-token")

    assert transcript is not None
    assert [] == await transcript("CA0")

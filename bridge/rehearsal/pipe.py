"""How the embedded model's worker processes are spoken to: frames over standard input and output.

A frame is a JSON object and a body of bytes, after the lengths of both. A worker answers each request with one frame,
in order; an object with `error` says that it could not. It ends when its input does: that is when its parent does,
whatever ended it.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

LENGTHS = struct.Struct(">II")
"""Of the JSON text and of the body, in bytes."""
Frame: TypeAlias = "tuple[dict[str, object], bytes]"


def pack(header: dict[str, object], body: bytes) -> bytes:
    """Make a frame."""
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


def serve(handle: Callable[[dict[str, object], bytes], Frame]) -> None:
    """Answer requests until standard input ends. What else prints to standard output goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = sys.stdin.buffer
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while (request := _read(requests)) is not None:
            try:
                answers.write(pack(*_answer(handle, *request)))
                answers.flush()
            except BrokenPipeError:
                os._exit(0)  # nobody is there to answer to


def _read(requests: BinaryIO) -> Frame | None:
    """Return the next request; None at the end of the input, be it in the middle of a frame."""
    lengths = requests.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    header_bytes, body_bytes = LENGTHS.unpack(lengths)
    header, body = requests.read(header_bytes), requests.read(body_bytes)
    return (json.loads(header), body) if len(body) == body_bytes else None


def _answer(handle: Callable[[dict[str, object], bytes], Frame], header: dict[str, object], body: bytes) -> Frame:
    try:
        return handle(header, body)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it and the worker goes on
        return {"error": f"{type(error).__name__}: {error}"}, b""

"""A real Redis of a test's own, which can go away and come back."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Self

from tests.support import free_port

PROGRAM = shutil.which("redis-server")
MISSING = "there is no redis-server on this machine (Debian package redis-server)"
WITHIN_S = 10.0


class RedisServer:
    """A server on a free port of this machine; a context manager.

    Args:
        folder: where it runs.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, empty."""
        assert PROGRAM is not None, MISSING
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        self._process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL)
        gives_up_at = time.monotonic() + WITHIN_S
        while True:
            with closing(socket.socket()) as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < gives_up_at, "redis-server has not started"

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

"""Worker processes: requests and answers, faults, and that none of them stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bridge import children
from bridge.errors import BridgeError
from bridge.rehearsal.workers import Workers

ROOT = Path(__file__).parents[3]
SERVANT = """
import os, sys, time
from bridge.rehearsal import pipe

def handle(header, body):
    match header["do"]:
        case "echo":
            print("this goes to standard error")
            return {"pid": os.getpid()}, body
        case "fail":
            raise ValueError("as asked")
        case "die":
            os._exit(7)
        case "close":
            os.closerange(1, 64)
            time.sleep(0.2)
            os._exit(7)
        case "sleep":
            time.sleep(header["s"])
            return {}, b"slept"

if "--dead" in sys.orig_argv or os.environ.get("SERVANT_IS_DEAD"):
    os._exit(3)
pipe.serve(handle)
"""
ORPHAN = """
import asyncio, sys
from bridge.rehearsal.workers import Workers

async def main():
    workers = Workers("servant")
    await workers.start()
    print(workers.pids[0], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
Hire = Callable[..., AbstractAsyncContextManager[Workers]]


@pytest.fixture
def hire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hire:
    """Start workers that do as they are told; they are stopped afterwards."""
    (tmp_path / "servant.py").write_text(SERVANT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    @asynccontextmanager
    async def hired(*, size: int = 1, max_waiting: int = 8, time_limit_s: float = 20.0) -> AsyncIterator[Workers]:
        workers = Workers("servant", size=size, max_waiting=max_waiting, time_limit_s=time_limit_s)
        try:
            yield workers
        finally:
            await workers.close()

    return hired


async def gone(pid: int) -> bool:
    """Whether a process ends within five seconds; one that its parent has not waited for yet has ended too."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")  # noqa: ASYNC240 - the kernel answers at once
            if state.rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_worker_answers_in_its_own_process(hire: Hire) -> None:
    """A large body goes there and back; what the worker prints does not disturb."""
    async with hire() as workers:
        sound = bytes(range(256)) * 8000

        header, body = await workers.request({"do": "echo"}, sound)

        assert sound == body
        assert [header["pid"]] == workers.pids != [os.getpid()]


async def test_each_worker_serves_one_request_at_a_time(hire: Hire) -> None:
    """Two workers serve two requests, and both go on to the next ones."""
    async with hire(size=2) as workers:
        answers = await asyncio.gather(*(workers.request({"do": "echo"}, bytes([n])) for n in range(6)))

        assert [bytes([n]) for n in range(6)] == [body for _, body in answers]
        assert len(workers.pids) <= 2


async def test_failure_is_told_and_the_worker_goes_on(hire: Hire) -> None:
    """An exception in a worker is an error of the request alone."""
    async with hire() as workers:
        with pytest.raises(BridgeError, match="servant failed: ValueError: as asked"):
            await workers.request({"do": "fail"})
        pids = workers.pids

        await workers.request({"do": "echo"})

        assert pids == workers.pids


async def test_worker_that_dies_fails_its_request_and_is_replaced(hire: Hire) -> None:
    """The next request gets another process."""
    async with hire() as workers:
        with pytest.raises(BridgeError, match=r"servant died \(exit code 7\); the next request starts another"):
            await workers.request({"do": "die"})

        assert b"hello" == (await workers.request({"do": "echo"}, b"hello"))[1]


async def test_worker_that_takes_a_while_to_die_says_why_itself(hire: Hire) -> None:
    """What has closed its pipe is not killed for it: the exit code would be the killer's."""
    async with hire() as workers:
        with pytest.raises(BridgeError, match=r"servant died \(exit code 7\)"):
            await workers.request({"do": "close"})


async def test_worker_whose_replacement_dies_too_is_given_up(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot work is not started for ever."""
    monkeypatch.setenv("SERVANT_IS_DEAD", "1")
    async with hire() as workers:
        for _ in range(2):
            with pytest.raises(BridgeError, match=r"servant died \(exit code 3\)"):
                await workers.request({"do": "echo"})

        with pytest.raises(BridgeError, match="died twice in a row and is not started again"):
            await workers.request({"do": "echo"})


async def test_worker_that_takes_too_long_is_stopped_and_replaced(hire: Hire) -> None:
    """A request has a time limit; whoever is in its way is killed."""
    async with hire(time_limit_s=0.8) as workers:
        await workers.start()
        pids = workers.pids

        with pytest.raises(BridgeError, match=r"servant took longer than 0\.8 s and was stopped"):
            await workers.request({"do": "sleep", "s": 30})

        assert await gone(pids[0])
        assert [] == workers.pids


async def test_request_beyond_those_that_may_wait_is_refused(hire: Hire) -> None:
    """One is served, one waits, the third is told so at once."""
    async with hire(max_waiting=1) as workers:
        busy = [asyncio.create_task(workers.request({"do": "sleep", "s": 0.3})) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(BridgeError, match="servant is overloaded: 1 requests wait"):
            await workers.request({"do": "echo"})
        assert [b"slept"] * 2 == [body for _, body in await asyncio.gather(*busy)]


async def test_request_that_is_given_up_does_not_mix_up_answers(hire: Hire) -> None:
    """The answer nobody waits for is not taken for the next one's."""
    async with hire() as workers:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await workers.request({"do": "sleep", "s": 0.3})

        assert b"mine" == (await workers.request({"do": "echo"}, b"mine"))[1]


async def test_closing_lets_a_short_request_finish_and_starts_no_other(hire: Hire) -> None:
    """What is in progress is answered, what waits is told, and no process stays."""
    async with hire() as workers:
        await workers.request({"do": "echo"})
        pids = workers.pids
        asking, waiting = (asyncio.create_task(workers.request({"do": "sleep", "s": 0.2})) for _ in range(2))
        await asyncio.sleep(0.05)

        await workers.close()

        assert b"slept" == (await asking)[1]
        with pytest.raises(BridgeError, match="servant has been stopped"):
            await waiting
        assert await gone(pids[0])


async def test_closing_does_not_wait_for_a_long_request(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not end is killed, and its request fails."""
    monkeypatch.setattr("bridge.rehearsal.workers._STOP_S", 0.1)
    async with hire() as workers:
        await workers.request({"do": "echo"})
        asking = asyncio.create_task(workers.request({"do": "sleep", "s": 30}))
        await asyncio.sleep(0.05)

        await workers.close()

        with pytest.raises(BridgeError, match="servant died"):
            await asking
        assert [] == workers.pids


async def test_worker_does_not_mind_an_interrupt(hire: Hire) -> None:
    """Ctrl-C is for the parent, which stops its workers in its own time."""
    async with hire() as workers:
        await workers.request({"do": "echo"})

        os.kill(workers.pids[0], signal.SIGINT)

        assert b"still here" == (await workers.request({"do": "echo"}, b"still here"))[1]


async def test_worker_ends_when_its_parent_is_killed(hire: Hire, tmp_path: Path) -> None:
    """No process stays behind, even where nothing could be cleaned up."""
    del hire  # it has written the servant
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHAN), stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    worker = int(await parent.stdout.readline())

    await children.end(parent)

    assert await gone(worker)

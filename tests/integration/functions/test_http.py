"""The operator's functions by HTTP, against real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from pydantic import SecretStr

from bridge.call.plan import CallInfo, Plan
from bridge.clock import Clock
from bridge.edge import functions, functions_network
from bridge.edge.functions import FunctionRunner
from bridge.edge.functions_run import MAX_ARGUMENTS_BYTES, MAX_RESULT_BYTES
from bridge.edge.functions_signature import verify_signature
from bridge.errors import ConfigurationError
from bridge.settings import Collect, Function, Json

if TYPE_CHECKING:
    from tests.integration.functions.conftest import Request, Server, Start

PUBLIC = "93.184.215.14"
SCHEMA: Json = {
    "type": "object",
    "properties": {"number": {"type": "string", "maxLength": 8}},
    "required": ["number"],
    "additionalProperties": False,
}
GIVEN = {"number": "1234"}


class Names:
    """A resolver: the addresses of names, in turn where there are several lists."""

    def __init__(self, **addresses: list[list[str]]) -> None:
        self._addresses = {f"{name}.test": lists for name, lists in addresses.items()}

    async def __call__(self, host: str, _: int) -> list[str]:
        """The next list of a name's addresses; the last one stays."""
        if host not in self._addresses:
            raise OSError(-2, "no such name")
        lists = self._addresses[host]
        return lists.pop(0) if len(lists) > 1 else lists[0]


def lookup(url: str, **more: object) -> dict[str, Function]:
    """Settings of one function, which may be on loopback unless told otherwise."""
    values = {"name": "lookup", "url": url, "parameters": SCHEMA, "allow_private": True} | more
    return {"lookup": Function.model_validate(values).model_copy(update={"name": "lookup"})}


async def told(runner: FunctionRunner, plan: Plan, arguments: dict[str, object] | None = None) -> object:
    """What the model is told when it runs the function."""
    return json.loads(await runner.run(plan, "call_1", "lookup", GIVEN if arguments is None else arguments))


class TestRequest:
    """What the operator's server gets."""

    async def test_function_gets_arguments_and_call(self, server: Server, plan: Plan) -> None:
        """The request says which function, with what, and for which call."""
        server.answer("/", b'{"state": "shipped"}')

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await runner.run(plan, "call_1", "lookup", GIVEN)

        assert output == '{"state":"shipped"}'
        assert json.loads(server.requests[0].body) == {
            "function": "lookup",
            "arguments": GIVEN,
            "call": {
                "sid": plan.call_sid,
                "from": "+15550001111",
                "to": "+15550002222",
                "direction": "inbound",
                "agent": "reception",
                "parameters": {"tenant": "shop"},
            },
        }

    async def test_request_is_plain_json_with_an_idempotency_key(self, server: Server, plan: Plan) -> None:
        """The key names call and function call; nothing is accepted but uncompressed JSON, and no cookie is sent."""
        server.answer("/", b"{}", 200, "Set-Cookie: session=1")

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            await told(runner, plan)
            await told(runner, plan)

        first, second = server.requests
        assert first.method == "POST"
        assert first.headers["idempotency-key"] == f"{plan.call_sid}:call_1"
        assert first.headers["content-type"] == "application/json"
        assert first.headers["accept-encoding"] == "identity"
        assert "cookie" not in second.headers
        assert server.connections == 1

    async def test_odd_call_id_adds_no_header(self, server: Server, plan: Plan) -> None:
        """A call id with a line break, which a server could make up, stays within its header."""
        server.answer("/", b"{}")

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            await runner.run(plan, "x\r\nEvil: 1", "lookup", GIVEN)

        assert "evil" not in server.requests[0].headers

    async def test_receiver_verifies_the_signature(self, server: Server, plan: Plan) -> None:
        """With a secret the request is signed, and a receiver that knows it can tell."""
        server.answer("/", b"{}")

        async with FunctionRunner(
            lookup(server.at("/"), secret=SecretStr("s3cret")), Clock(), now=lambda: 1_763_700_000.9
        ) as runner:
            await told(runner, plan)

        request = server.requests[0]
        signature = request.headers["x-voicebridge-signature"]
        assert request.headers["x-voicebridge-timestamp"] == "1763700000"
        assert verify_signature("s3cret", request.body, timestamp="1763700000", signature=signature, now=1_763_700_010)
        assert b"s3cret" not in request.body

    async def test_without_secret_nothing_is_signed(self, server: Server, plan: Plan) -> None:
        """No secret, no signature."""
        server.answer("/", b"{}")

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            await told(runner, plan)

        assert "x-voicebridge-signature" not in server.requests[0].headers

    async def test_secret_digits_reach_the_function_only(self, server: Server, plan: Plan) -> None:
        """What the caller keyed in is an argument of the request, and not of the schema that the model sees."""
        server.answer("/", b'"ok"')
        schema = {**SCHEMA, "properties": {"number": {}, "pin": {}}, "required": ["number", "pin"]}
        settings = lookup(server.at("/"), parameters=schema, collect=Collect(argument="pin"))

        async with FunctionRunner(settings, Clock()) as runner:
            output = await runner.run(plan, "call_1", "lookup", GIVEN, secrets={"pin": "4711"})
            seen = runner.schemas["lookup"]

        assert output == '"ok"'
        assert json.loads(server.requests[0].body)["arguments"] == {"number": "1234", "pin": "4711"}
        assert seen == {**SCHEMA, "properties": {"number": {}}, "required": ["number"]}

    async def test_function_without_its_digits_is_not_run(self, server: Server, plan: Plan) -> None:
        """A function that asks for digits never runs without them, whatever the model makes up."""
        settings = lookup(server.at("/"), collect=Collect(), parameters={"type": "object"})

        async with FunctionRunner(settings, Clock()) as runner:
            output = await told(runner, plan, {"digits": "4711"})

        assert output == {"error": "the caller has keyed in no digits"}
        assert server.requests == []

    async def test_proxy_of_the_environment_is_not_used(
        self, server: Server, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Functions are reached directly, whatever the environment says."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        server.answer("/", b"1")

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan)

        assert output == 1


class TestArguments:
    """The model's arguments are validated before anything is sent."""

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({}, "the arguments are wrong: 'number' is a required property"),
            ({"number": 5}, "the arguments are wrong: number: 5 is not of type 'string'"),
            (
                {"number": "1", "x": 1},
                "the arguments are wrong: Additional properties are not allowed ('x' was unexpected)",
            ),
            ({"number": "x" * MAX_ARGUMENTS_BYTES}, "the arguments are wrong: they are longer than 8192 bytes"),
            ({"number": "\ud800"}, "the arguments are wrong: they are no JSON"),
        ],
    )
    async def test_wrong_arguments_are_told_to_the_model(
        self, server: Server, plan: Plan, arguments: dict[str, object], error: str
    ) -> None:
        """One sentence says what is wrong, and the server is not asked."""
        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan, arguments)

        assert output == {"error": error}
        assert server.requests == []

    async def test_flaw_is_not_repeated_at_length(self, server: Server, plan: Plan) -> None:
        """A long value does not come back to the model as a whole."""
        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await runner.run(plan, "call_1", "lookup", {"number": "x" * 8_000})

        assert len(output) < 300


class TestAnswers:
    """Whatever the operator's server answers, the model is told something."""

    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (200, b'{"a": [1, 2]}', {"a": [1, 2]}),
            (201, b"null", None),
            (204, b"", None),
            (200, b"", {"error": "the function's result is not JSON"}),
            (200, b"<html>", {"error": "the function's result is not JSON"}),
            (200, b'"\xff"', {"error": "the function's result is not JSON"}),
            (200, b"[" * 60_000, {"error": "the function's result is not JSON"}),
            (200, b"NaN", {"error": "the function's result is not JSON"}),
            (404, b'{"secret": 1}', {"error": "the function answered with HTTP status 404"}),
            (500, b"Traceback", {"error": "the function answered with HTTP status 500"}),
            (302, b"", {"error": "the function answered with HTTP status 302"}),
        ],
    )
    async def test_answer_becomes_output(
        self, server: Server, plan: Plan, status: int, body: bytes, expected: object
    ) -> None:
        """A result is passed on; of anything else only what kind of failure it is."""
        server.answer("/", body, status)

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan)

        assert output == expected

    async def test_endless_answer_is_cut_off(self, server: Server, plan: Plan) -> None:
        """A body that does not end is read no further than the limit."""
        stopped = asyncio.Event()

        async def pour(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while True:
                    writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                    await writer.drain()
            finally:
                stopped.set()

        server.answers["/"] = pour

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan)
            await asyncio.wait_for(stopped.wait(), 5)

        assert output == {"error": f"the function's result is longer than {MAX_RESULT_BYTES} bytes"}

    async def test_slow_answer_is_given_up(self, server: Server, plan: Plan) -> None:
        """After its time the model is told, and the connection is closed."""
        gone = asyncio.Event()

        async def keep_waiting(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1")
            await writer.drain()
            try:
                await writer.wait_closed()
            finally:
                gone.set()

        async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
            waiting = asyncio.create_task(keep_waiting(request, writer))
            await waiting

        server.answers["/"] = hang

        async with FunctionRunner(lookup(server.at("/"), timeout_s=1), Clock(10)) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function has not answered within 1 s"}
        assert runner.failures == {"timed_out": 1}

    async def test_absent_server_is_unreachable(self, plan: Plan, unused_port: int) -> None:
        """Nobody listens: the model is told, with nothing of the address."""
        async with FunctionRunner(lookup(f"http://127.0.0.1:{unused_port}/"), Clock()) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function could not be reached"}

    async def test_server_that_hangs_up_is_unreachable(self, server: Server, plan: Plan) -> None:
        """The connection ends before the answer does."""

        async def hang_up(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server.answers["/"] = hang_up

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function could not be reached"}

    async def test_failure_is_reported_without_words(self, server: Server, plan: Plan) -> None:
        """The log hears which function of which call failed and how, and nothing that was said."""
        server.answer("/", b"the caller's words", 418)
        reported: list[tuple[str, dict[str, object]]] = []

        async with FunctionRunner(
            lookup(server.at("/")), Clock(), report=lambda event, fields: reported.append((event, fields))
        ) as runner:
            await told(runner, plan)

        about = {"call_sid": plan.call_sid, "call_id": "call_1"}
        fields = about | {"function": "lookup", "reason": "status", "detail": "418"}
        assert reported == [("function.failed", fields)]

    async def test_runs_beyond_the_bound_are_refused_at_once(
        self, server: Server, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When as many run as may, the next one does not wait."""
        monkeypatch.setattr(functions, "MAX_RUNNING", 1)
        running, finish = asyncio.Event(), asyncio.Event()

        async def wait(_: Request, writer: asyncio.StreamWriter) -> None:
            running.set()
            await finish.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")

        server.answers["/"] = wait

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner, asyncio.TaskGroup() as tasks:
            first = tasks.create_task(told(runner, plan))
            await running.wait()
            second = await told(runner, plan)
            finish.set()

        assert second == {"error": "too many functions are running"}
        assert first.result() == 1

    async def test_unknown_function_is_an_error(self, plan: Plan) -> None:
        """A name that stands for nothing is answered too."""
        async with FunctionRunner({}, Clock()) as runner:
            output = await told(runner, plan)

        assert output == {"error": "there is no such function"}


class TestAddresses:
    """Where requests go, and where they never do."""

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%1", "fd00::1"])
    async def test_name_in_a_private_network_is_refused(self, plan: Plan, internet: list[str], address: str) -> None:
        """A name that leads inside is not even connected to."""
        settings = lookup("http://shop.test/", allow_private=False)

        async with FunctionRunner(settings, Clock(), resolve=Names(shop=[[PUBLIC, address]])) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function's address is in a private network"}
        assert internet == []

    async def test_connection_goes_to_the_checked_address(
        self, server: Server, plan: Plan, internet: list[str]
    ) -> None:
        """The name is asked once for a connection, so that a second answer cannot lead it elsewhere."""
        server.answer("/", b"1")
        names = Names(shop=[[PUBLIC], ["127.0.0.1"]])
        settings = lookup(f"http://shop.test:{server.port}/", allow_private=False)

        async with FunctionRunner(settings, Clock(), resolve=names) as runner:
            output = await told(runner, plan)

        assert output == 1
        assert internet == [PUBLIC]
        assert server.requests[0].headers["host"] == f"shop.test:{server.port}"

    async def test_private_connection_is_not_lent_to_another_function(self, server: Server, plan: Plan) -> None:
        """A connection that one function may have is not reused for one that may not."""
        server.answer("/", b"1")
        url = f"http://shop.test:{server.port}/"
        settings = lookup(url) | {"guarded": Function(name="guarded", url=url)}

        async with FunctionRunner(settings, Clock(), resolve=Names(shop=[["127.0.0.1"]])) as runner:
            await told(runner, plan)
            output = await runner.run(plan, "call_2", "guarded", {})

        assert json.loads(output) == {"error": "the function's address is in a private network"}

    async def test_next_address_is_tried(self, server: Server, plan: Plan) -> None:
        """Where the first address does not answer, the second may."""
        server.answer("/", b"1")
        settings = lookup(f"http://shop.test:{server.port}/")

        async with FunctionRunner(settings, Clock(), resolve=Names(shop=[["::1", "127.0.0.1"]])) as runner:
            output = await told(runner, plan)

        assert output == 1

    async def test_name_without_address_is_unreachable(self, plan: Plan) -> None:
        """A name nobody knows."""
        async with FunctionRunner(lookup("http://shop.test/"), Clock(), resolve=Names()) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function could not be reached"}

    async def test_system_resolver_is_used_by_default(self, server: Server, plan: Plan) -> None:
        """Without one of the test's, names are looked up as the system does."""
        server.answer("/", b"1")

        async with FunctionRunner(lookup(f"http://localhost:{server.port}/"), Clock()) as runner:
            output = await told(runner, plan)

        assert output == 1

    async def test_fault_of_the_resolver_is_answered_too(self, plan: Plan) -> None:
        """Whatever happens, the model has its output."""

        async def broken(host: str, port: int) -> list[str]:
            raise LookupError(host, port)

        async with FunctionRunner(lookup("http://shop.test/"), Clock(), resolve=broken) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function failed"}
        assert runner.failures == {"raised": 1}

    async def test_lookups_beyond_the_bound_fail(
        self, server: Server, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When as many names are being looked up as may, a further one has no address."""
        monkeypatch.setattr(functions_network, "LOOKUPS_WAITING", 0)

        async with FunctionRunner(lookup(f"http://localhost:{server.port}/"), Clock()) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function could not be reached"}

    @pytest.mark.parametrize(
        "url", ["http://localhost/", "http://10.0.0.1:8080/x", "http://[::1]/", "http://127.1.1.1/"]
    )
    async def test_plainly_private_address_is_refused_at_start(self, url: str) -> None:
        """The operator hears at start which setting to change."""
        with pytest.raises(ConfigurationError, match=r"functions.lookup.url: .*allow_private = true"):
            async with FunctionRunner(lookup(url, allow_private=False), Clock()):
                pass

    async def test_schema_that_refers_outside_is_refused_at_start(self) -> None:
        """A schema is complete, and nothing is fetched to validate."""
        settings = lookup("https://shop.test/", parameters={"type": "object", "$ref": "https://shop.test/schema"})

        with pytest.raises(ConfigurationError, match=r"functions.lookup.parameters: refers to"):
            async with FunctionRunner(settings, Clock()):
                pass


class TestRedirects:
    """Redirects are followed with the same care."""

    async def test_redirect_that_keeps_the_body_is_followed(self, server: Server, plan: Plan) -> None:
        """307 and 308 bring the same request elsewhere."""
        server.answer("/", b"", 307, "Location: /two")
        server.answer("/two", b"", 308, "Location: " + server.at("/three?x=1"))
        server.answer("/three?x=1", b'"there"')

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan)

        assert output == "there"
        assert [request.path for request in server.requests] == ["/", "/two", "/three?x=1"]
        assert server.requests[0].body == server.requests[2].body

    @pytest.mark.parametrize("location", ["/", "ftp://shop.test/", "http://", "http://[::1", "//:x/", ""])
    async def test_redirect_to_nowhere_is_given_up(self, server: Server, plan: Plan, location: str) -> None:
        """Circles and addresses that are none end in an error."""
        server.answer("/", b"", 307, f"Location: {location}")

        async with FunctionRunner(lookup(server.at("/")), Clock()) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function's address redirects where nobody may follow"}
        assert len(server.requests) <= 4

    async def test_redirect_into_a_private_network_is_refused(
        self, server: Server, plan: Plan, internet: list[str]
    ) -> None:
        """Each hop is checked like the first."""
        server.answer("/", b"", 307, f"Location: http://inside.test:{server.port}/")
        names = Names(shop=[[PUBLIC]], inside=[["10.0.0.5"]])
        settings = lookup(f"http://shop.test:{server.port}/", allow_private=False)

        async with FunctionRunner(settings, Clock(), resolve=names) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function's address is in a private network"}
        assert internet == [PUBLIC]


class TestTls:
    """Certificates are checked for the name, although the connection goes to an address."""

    async def test_server_with_the_right_certificate_is_asked(self, start: Start, plan: Plan) -> None:
        """The certificate is the name's."""
        ours, theirs = authorities("shop.test")
        server = await start(theirs)
        server.answer("/", b"1")
        settings = lookup(f"https://shop.test:{server.port}/")

        async with FunctionRunner(settings, Clock(), resolve=Names(shop=[["127.0.0.1"]]), tls=ours) as runner:
            output = await told(runner, plan)

        assert output == 1

    async def test_server_with_a_wrong_certificate_gets_nothing(self, start: Start, plan: Plan) -> None:
        """A certificate of another name, even of the address itself, will not do."""
        ours, theirs = authorities("127.0.0.1", "other.test")
        server = await start(theirs)
        settings = lookup(f"https://shop.test:{server.port}/")

        async with FunctionRunner(settings, Clock(), resolve=Names(shop=[["127.0.0.1"]]), tls=ours) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function could not be reached"}
        assert server.requests == []

    async def test_redirect_from_https_to_http_is_refused(self, start: Start, server: Server, plan: Plan) -> None:
        """What was asked in secret is not repeated in the clear."""
        ours, theirs = authorities("shop.test")
        secure = await start(theirs)
        secure.answer("/", b"", 307, "Location: " + server.at("/"))
        settings = lookup(f"https://shop.test:{secure.port}/")

        async with FunctionRunner(settings, Clock(), resolve=Names(shop=[["127.0.0.1"]]), tls=ours) as runner:
            output = await told(runner, plan)

        assert output == {"error": "the function's address redirects where nobody may follow"}
        assert server.requests == []


class TestBeforeCall:
    """A function that is asked about the caller before the agent speaks."""

    async def test_texts_and_numbers_become_variables(self, server: Server) -> None:
        """What cannot be spoken is left out, and the call's own names are not replaced."""
        server.answer("/", b'{"name": "Ada", "orders": 2, "vip": true, "tags": [], "none": null, "from": "x"}')
        info = CallInfo(call_sid="CA1", from_number="+15550001111")

        async with FunctionRunner(lookup(server.at("/"), parameters={}), Clock()) as runner:
            variables = await runner.run_before_call(info, "lookup")

        assert variables == {"name": "Ada", "orders": "2"}
        assert server.requests[0].headers["idempotency-key"] == "CA1:before_call"

    @pytest.mark.parametrize(("body", "failures"), [(b"[]", {}), (b"oops", {"not_json": 1})])
    async def test_call_goes_on_without_variables(self, server: Server, body: bytes, failures: dict[str, int]) -> None:
        """Whatever goes wrong, there are just no variables."""
        server.answer("/", body)

        async with FunctionRunner(lookup(server.at("/"), parameters={}), Clock()) as runner:
            variables = await runner.run_before_call(CallInfo(), "lookup")

        assert variables == {}
        assert runner.failures == failures

    async def test_caller_does_not_wait_for_the_functions_own_time(self, server: Server) -> None:
        """However long a function may take, the webhook must be answered."""

        async def hang(_: Request, writer: asyncio.StreamWriter) -> None:
            await writer.wait_closed()

        server.answers["/"] = hang

        async with FunctionRunner(lookup(server.at("/"), parameters={}, timeout_s=300), Clock(80)) as runner:
            variables = await asyncio.wait_for(runner.run_before_call(CallInfo(), "lookup"), 5)

        assert variables == {}
        assert runner.failures == {"timed_out": 1}


def authorities(*names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's trust in an authority of the test's, and a server with its certificate for `names`."""
    authority = trustme.CA()
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(theirs)
    return ours, theirs

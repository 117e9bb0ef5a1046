"""Settings that cannot work together are refused at start, each with its key and the way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.configuration import Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

OPENAI = '[model]\nprovider = "openai"\napi_key = "k"\n'
AZURE = '[model]\nprovider = "azure"\nurl = "wss://x.openai.azure.com"\nname = "d"\napi_key = "k"\n'
COMPATIBLE = '[model]\nprovider = "compatible"\nurl = "wss://v.example.com"\napi_key = "k"\n'
DESTINATION = '[destinations.x]\nto = "+15557654321"\n'

WRONG = {
    # server and carrier
    "plain public address": (
        '[server]\npublic_url = "http://bot.example.com"\n[twilio]\nauth_token = "t"\n',
        "server.public_url: must be https",
    ),
    "public address without a token": (
        '[server]\npublic_url = "https://bot.example.com"\n',
        "twilio.auth_token: is missing",
    ),
    "open host without a token": ('[server]\nhost = "0.0.0.0"\n', "twilio.auth_token: is missing"),
    "insecure in the open": (
        '[server]\nhost = "::"\n[twilio]\ninsecure = true\n',
        "twilio.insecure: is allowed on loopback only",
    ),
    "API key as account": ('[twilio]\naccount_sid = "SK123"\n', "twilio.account_sid: is not an account SID"),
    "workers without media port": ("[server]\nworkers = 2\n", "server.workers: need a media port each"),
    "media address without port": (
        '[server]\nmedia_url = "wss://m.example.com"\n',
        "server.media_url: is the address of a media port",
    ),
    "media address without worker": (
        '[server]\nworkers = 2\nmedia_port = 9000\nmedia_url = "wss://m.example.com"\n',
        "server.media_url: must contain {worker}",
    ),
    "media address in clear": ('[server]\nmedia_url = "ws://m"\n', "server.media_url: must be of the form wss://"),
    "port of a worker": (
        "[server]\nport = 9001\nmedia_port = 9000\nworkers = 2\n",
        "server.media_port: must leave server.port free",
    ),
    # what calls cost
    "highest cost without a price": (
        "[limits]\nmax_cost = 1.5\n",
        "limits.max_cost: needs what the model costs",
    ),
    # what is kept of calls
    "webhook without secret": (
        '[records]\nwebhook_url = "https://crm.example.com"\n',
        "records.webhook_secret: is missing",
    ),
    "webhook in clear": (
        '[records]\nwebhook_url = "http://crm.example.com"\nwebhook_secret = "s"\n',
        "records.webhook_url: must be https",
    ),
    "webhook without records": (
        '[records]\nkeep = false\nwebhook_url = "https://crm.example.com"\nwebhook_secret = "s"\n',
        "records.webhook_url: tells of records",
    ),
    "recording without REST": (
        '[recording]\non = true\n[twilio]\nauth_token = "t"\n',
        "recording.on: needs the carrier's REST interface",
    ),
    # the model
    "OpenAI without a key": ('[model]\nprovider = "openai"\n', "model.api_key: is missing: set it, or OPENAI_API_KEY"),
    "OpenAI in beta": (f'{OPENAI}dialect = "beta"\n', "model.dialect: OpenAI ended the beta dialect"),
    "OpenAI in beta by another name": (
        '[model]\nprovider = "compatible"\nurl = "wss://api.openai.com/v1/realtime"\ndialect = "beta"\n',
        "model.dialect: OpenAI ended the beta dialect",
    ),
    "OpenAI in clear": (f'{OPENAI}url = "ws://gateway.example.com"\n', "model.url: must begin with wss://"),
    "compatible without address": ('[model]\nprovider = "compatible"\n', "model.url: is missing"),
    "Azure without deployment": (
        '[model]\nprovider = "azure"\nurl = "wss://x.openai.azure.com"\napi_key = "k"\n',
        "model.name: is missing: Azure needs the name of your deployment",
    ),
    "Azure by subprotocol": (f'{AZURE}auth_mode = "subprotocol"\n', "model.auth_mode: must be header"),
    "address with a password": ('[model]\nurl = "wss://me:pw@example.com"\n', "model.url: is not a WebSocket address"),
    "key of two lines": (
        '[model]\nprovider = "openai"\napi_key = "a\\nb"\n',
        "model.api_key: must be one line without spaces",
    ),
    "header of two lines": (
        f'{OPENAI}extra_headers = {{x = "a\\nb"}}\n',
        "model.extra_headers.x: must have a plain name and one line",
    ),
    "organization with a space": (f'{OPENAI}organization = "a b"\n', "model.organization: must be one line"),
    "agent's address without a provider": (
        '[agents.a]\nurl = "wss://v.example.com"\n',
        "agents.a.url: needs to know who serves it",
    ),
    "agent's address with another's key": (
        f'{OPENAI}[agents.a]\nurl = "wss://elsewhere.example.com"\n',
        "agents.a.api_key: is missing: that of [model] is for api.openai.com",
    ),
    "agent's vendor without a key": ('[agents.a]\nvendor = "openai"\n', "agents.a.api_key: is missing"),
    "second endpoint that only rehearses": (
        f'{OPENAI}[model.standby]\nprovider = "embedded"\n',
        "model.standby.provider: must be openai, azure or compatible",
    ),
    "second endpoint without an address": (
        f'{OPENAI}[model.standby]\nprovider = "compatible"\n',
        "model.standby.url: is missing: compatible needs the address",
    ),
    "second endpoint without a key": (
        f'{OPENAI}[model.standby]\nprovider = "openai"\n',
        "model.standby.api_key: is missing",
    ),
    "second endpoint without a deployment": (
        f'{OPENAI}[model.standby]\nprovider = "azure"\nurl = "wss://r.openai.azure.com"\napi_key = "k"\n',
        "model.standby.name: is missing: Azure needs the name",
    ),
    "second endpoint with a header of two lines": (
        f'{OPENAI}[model.standby]\nprovider = "openai"\napi_key = "k"\nextra_headers = {{x = "a\\nb"}}\n',
        "model.standby.extra_headers.x: must have a plain name and one line",
    ),
    "connecting takes longer than the call waits": (
        f"{OPENAI}connect_timeout_s = 30\n",
        "model.connect_timeout_s: is longer than a call waits for a session at all",
    ),
    # agents
    "nobody": ("[agents]\n[lines]\n", "agents: holds nobody"),
    "two agents and no line": (
        "[agents.a]\n[agents.b]\n",
        'lines: is missing: say who answers, for example default = "a"',
    ),
    "unknown tool": ('[agents.a]\ntools = ["endcall"]\n', "agents.a.tools.0: 'endcall' is no tool"),
    "tool named twice": ('[agents.a]\ntools = ["end_call", "end_call"]\n', "agents.a.tools.1: names end_call again"),
    "forced tool that is not there": (
        '[agents.a]\ntool_choice = {type = "function", name = "f"}\n',
        "agents.a.tool_choice.name: 'f' is no tool of this agent",
    ),
    "forced server that is not there": (
        '[agents.a]\ntool_choice = {type = "mcp", server_label = "s"}\n',
        "agents.a.tool_choice.server_label: 's' is no tool of this agent",
    ),
    "open word": (
        '[agents.a]\ngreeting_message = "Hello {name}"\n',
        "agents.a.greeting_message: leaves {name} open, which nobody fills in: write {{name}}",
    ),
    "unknown function before the call": (
        '[agents.a]\nbefore_call = "crm"\n',
        "agents.a.before_call: 'crm' is no function of [functions]: there is none yet",
    ),
    "empty message": (
        '[agents.a]\nmessages = [{role = "user", content = " "}]\n',
        "agents.a.messages.0.content: is empty",
    ),
    # functions
    "Python function of a module that is not there": (
        '[functions.f]\npython = "json.no_such:look"\n',
        "functions.f.python: names the module json.no_such, which is not there: install it",
    ),
    "function without an implementation": ("[functions.f]\n", "functions.f: needs either url or python"),
    "function with two": (
        '[functions.f]\nurl = "https://x.example"\npython = "json:loads"\n',
        "functions.f: needs either url or python, not both",
    ),
    "function with a built-in name": (
        '[functions.end_call]\nurl = "https://x.example"\n',
        "functions.end_call: has the name of another tool",
    ),
    "function with a name of words": (
        '[functions."look it up"]\nurl = "https://x.example"\n',
        'functions."look it up": must be named with letters',
    ),
    "function with a wrong schema": (
        '[functions.f]\npython = "json:loads"\nparameters = {type = "object", properties = {n = {type = "text"}}}\n',
        "functions.f.parameters.properties.n.type: is not JSON Schema",
    ),
    "function with arguments in a list": (
        '[functions.f]\nurl = "https://x.example"\nparameters = {type = "array"}\n',
        "functions.f.parameters.type: must be 'object'",
    ),
    "Python function with a secret": (
        '[functions.f]\npython = "json:loads"\nsecret = "s"\n',
        "functions.f.secret: signs requests",
    ),
    "collecting less than nothing": (
        '[functions.f]\npython = "json:loads"\ncollect = {min_digits = 5, max_digits = 4}\n',
        "functions.f.collect.min_digits: must not be more than max_digits",
    ),
    "server with no address": ("[mcp.s]\n", "mcp.s: needs either server_url or connector_id"),
    # lines
    "line for nobody": (
        '[agents.kim]\n[lines]\ndefault = "kin"\n',
        "lines.default: 'kin' is no agent: did you mean kim?",
    ),
    "line that is no number": (
        '[lines]\n"0155" = "reception"\n',
        "lines.0155: must be default or a number in E.164 form",
    ),
    "hours nobody can read": (
        '[lines]\ndefault = {agent = "reception", hours = "nine to five"}\n',
        "lines.default.hours: Opening hours end with a time zone",
    ),
    "blocking of nonsense": (
        '[lines]\ndefault = {agent = "reception", block = ["bad people"]}\n',
        "lines.default.block: A blocked caller is",
    ),
    # destinations
    "place that is none": ('[destinations.x]\nto = "555"\n', "destinations.x.to: is none of +NUMBER"),
    "empty place": ('[destinations.x]\nto = ""\n', "destinations.x.to: is empty"),
    "refer to a number": (f'{DESTINATION}kind = "refer"\n', "destinations.x.kind: can be refer only for a sip:"),
    "refer with a whisper": (
        '[destinations.x]\nto = "sip:a@b"\nkind = "refer"\nwhisper = true\n',
        "destinations.x.whisper: is impossible with refer",
    ),
    "warm queue": (
        '[destinations.x]\nto = "queue:q"\nkind = "warm"\n',
        "destinations.x.kind: must be cold for a queue",
    ),
    "queue that rings": (
        '[destinations.x]\nto = "queue:q"\ntimeout_s = 20\n',
        "destinations.x.timeout_s: is impossible with a queue",
    ),
    "queue that is whispered to": (
        '[destinations.x]\nto = "queue:q"\nwhisper = true\n',
        "destinations.x.whisper: is impossible with a queue",
    ),
    "failure that leads nowhere": (
        f'{DESTINATION}on_failure = "y"\n',
        "destinations.x.on_failure: 'y' is no way to go on",
    ),
    "failure that is nearly its own name": (
        '[destinations.sales]\nto = "+15557654321"\non_failure = "sale"\n',
        "destinations.sales.on_failure: 'sale' is no way to go on: there is return, hang_up",
    ),
    "failure that leads round": (
        f'{DESTINATION}on_failure = "y"\n[destinations.y]\nto = "client:y"\non_failure = "x"\n',
        "destinations.x.on_failure: leads round in a circle: x > y > x",
    ),
    "failure that leads to itself": (
        f'{DESTINATION}on_failure = "x"\n',
        "destinations.x.on_failure: leads round in a circle: x > x",
    ),
    "destination with a taken word": (
        '[destinations.return]\nto = "+15557654321"\n',
        "destinations.return: cannot be named return",
    ),
    "caller's number that is none": (f'{DESTINATION}caller_id = "sales"\n', "destinations.x.caller_id: is neither"),
    "fallback to nowhere": (
        f'{DESTINATION}[fallback]\ndestination = "y"\n',
        "fallback.destination: 'y' is no destination: there is x",
    ),
    # files
    "clip that is not there": ('[fallback]\nhold_clip = "no.wav"\n', "fallback.hold_clip: names a file that is not"),
    "clip that is no sound": ('[fallback]\nhold_clip = "bridge.toml"\n', "fallback.hold_clip: is not a WAV file"),
    "dialogue that is not there": ('[rehearsal]\ndialogue = "no.toml"\n', "rehearsal.dialogue: names a file that is"),
    "tapes in a file": ('[tape]\ndirectory = "bridge.toml"\n', "tape.directory: names a file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_operator_combines_what_cannot_work(problems_of: Problems, name: str) -> None:
    """A combination that cannot work is one problem, under the key one would change."""
    text, expected = WRONG[name]

    (problem,) = problems_of(text)

    assert problem.startswith(expected)


RIGHT = {
    "token and public address": '[server]\npublic_url = "https://bot.example.com"\n[twilio]\nauth_token = "t"\n'
    'account_sid = "AC1"\n',
    "loopback public address": '[server]\npublic_url = "http://localhost:8080"\n[twilio]\ninsecure = true\n',
    "workers": '[server]\nworkers = 4\nmedia_port = 9000\nmedia_url = "wss://m.example.com/w{worker}"\n',
    "OpenAI": OPENAI,
    "Azure": f'{AZURE}[agents.a.input_audio_transcription]\nmodel = "words"\n',
    "Azure with a token of its own": '[model]\nprovider = "azure"\nurl = "wss://x.openai.azure.com"\nname = "d"\n'
    'extra_headers = {Authorization = "Bearer t"}\n[agents.a]\ninput_audio_transcription = false\n',
    "compatible beta": f'{COMPATIBLE}dialect = "beta"\n',
    "gateway on this machine": f'{OPENAI}url = "ws://127.0.0.1:4000/v1/realtime"\n',
    "agent with an endpoint of its own": f'{OPENAI}[agents.a]\nurl = "wss://eu.example.com"\napi_key = "k2"\n',
    "words that are filled in": '[agents.a]\ngreeting_message = "Hello {from}, {{yes}}, { no }"\n',
    "words from before the call": '[functions.crm]\npython = "json:loads"\n'
    '[agents.a]\nbefore_call = "crm"\ninstructions = "You talk to {customer_name}."\n',
    "queue": '[destinations.x]\nto = "queue:q"\nannounce = "One moment."\n',
    "refer": '[destinations.x]\nto = "sip:desk@pbx.example.com"\nkind = "refer"\n',
    "chain": f'{DESTINATION}on_failure = "y"\n[destinations.y]\nto = "client:y"\nkind = "warm"\n',
    "hours": '[lines]\ndefault = {agent = "reception", hours = "Mo-Fr 08:00-18:00 UTC", block = ["+1900*"]}\n',
    "MCP": '[mcp.shop]\nserver_url = "https://mcp.example.com"\n[agents.a]\ntools = ["shop"]\n'
    'tool_choice = {type = "mcp", server_label = "shop"}\n',
    "collected digits": '[functions.pay]\nurl = "https://pay.example.com"\nsecret = "s"\ncollect = {max_digits = 16}\n'
    '[agents.a]\ntools = ["pay"]\n',
}


@pytest.mark.parametrize("name", RIGHT)
def test_operator_combines_what_works(load_text: Load, name: str) -> None:
    """A combination that works is accepted without a word."""
    assert () == load_text(RIGHT[name]).warnings


REMARKS = {
    "REST without an account": ('[twilio]\nauth_token = "t"\n', "twilio.control"),
    "records of several bridges in a file": ('[shared]\nurl = "redis://127.0.0.1"\n', "storage.url"),
    "endpoint in clear": ('[model]\nprovider = "compatible"\nurl = "ws://v.example.com"\n', "model.url"),
    "model that is gone": (f'{OPENAI}[agents.a]\nparams.model = "gpt-4o-realtime-preview"\n', "agents.a.params.model"),
    "model that is going": (f'{OPENAI}name = "gpt-realtime"\n[agents.a]\n', "model.name"),
    "transfer without destinations": ('[agents.a]\ntools = ["transfer_call"]\n', "agents.a.tools"),
    "MCP in beta": (
        '[model]\ndialect = "beta"\n[mcp.s]\nconnector_id = "connector_x"\n[agents.a]\ntools = ["s"]\n',
        "agents.a.tools",
    ),
}


@pytest.mark.parametrize("name", REMARKS)
def test_operator_learns_what_is_accepted_but_not_done(load_text: Load, name: str) -> None:
    """What does not do all it says is accepted with a warning under its key."""
    text, key = REMARKS[name]

    assert [key] == [warning.key for warning in load_text(text).warnings]

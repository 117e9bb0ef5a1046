"""The tools a model is given."""

from __future__ import annotations

from jsonschema import Draft202012Validator
from pydantic import SecretStr

from bridge.call.tools import KEYED_IN, SEND_DIGITS, tools_of
from bridge.settings import Agent, Collect, Destination, Function, Json, Mcp, Model, Settings

SCHEMA: Json = {"type": "object", "properties": {"number": {"type": "string"}}}


def settings(*, dialect: str = "ga", **tables: object) -> Settings:
    """A configuration with some tables."""
    return Settings.model_validate({"model": Model.model_validate({"dialect": dialect}), **tables})


def names(tools: tuple[Json, ...]) -> list[object]:
    """What tools are called."""
    return [tool.get("name", tool.get("server_label")) for tool in tools]


def test_tools_come_in_the_agents_order() -> None:
    """Built in, the operator's own, and servers, as the agent names them."""
    agent = Agent(tools=("lookup", "end_call", "crm", "send_digits", "transfer_call"))
    given = settings(
        functions={"lookup": Function(url="https://shop.example.com/")},
        mcp={"crm": Mcp(server_url="https://crm.example.com/")},
        destinations={"sales": Destination(to="+15550001111")},
    )

    assert ["lookup", "end_call", "crm", "send_digits", "transfer_call"] == names(tools_of(agent, given, {}))


def test_function_has_the_schema_of_its_runner() -> None:
    """What it takes is known by whoever runs it, not by the settings."""
    given = settings(functions={"lookup": Function(python="shop:lookup", description="The state of an order.")})

    expected = {
        "type": "function",
        "name": "lookup",
        "description": "The state of an order.",
        "parameters": SCHEMA,
    }
    assert (expected,) == tools_of(Agent(tools=("lookup",)), given, {"lookup": SCHEMA})


def test_model_is_told_not_to_ask_for_secret_digits() -> None:
    """They are keyed in; whatever is spoken would be heard and kept."""
    given = settings(functions={"pay": Function(url="https://shop.example.com/", collect=Collect())})

    (tool,) = tools_of(Agent(tools=("pay",)), given, {})

    assert tool["description"] == KEYED_IN


def test_transfer_names_destinations_and_no_numbers() -> None:
    """The model chooses a name from an enum, and knows what each is for."""
    places = {
        "sales": Destination(to="+15550001111", description="prices and orders"),
        "night": Destination(to="queue:night"),
    }

    (tool,) = tools_of(Agent(tools=("transfer_call",)), settings(destinations=places), {})

    parameters = tool["parameters"]
    assert isinstance(parameters, dict)
    assert ["sales", "night"] == parameters["properties"]["destination"]["enum"]
    assert parameters["properties"]["destination"]["description"] == "sales: prices and orders; night"
    assert parameters["required"] == ["destination", "summary"]
    assert "+1555" not in str(tool)


def test_transfer_is_not_offered_without_destinations() -> None:
    """What cannot be done is not offered."""
    assert tools_of(Agent(tools=("transfer_call",)), settings(), {}) == ()


def test_refer_is_offered_to_callers_by_sip_only() -> None:
    """Nobody else can be given back to a SIP system."""
    given = settings(destinations={"desk": Destination(to="sip:desk@example.com", kind="refer")})
    agent = Agent(tools=("transfer_call",))

    assert tools_of(agent, given, {}) == ()
    assert names(tools_of(agent, given, {}, caller_by_sip=True)) == ["transfer_call"]


def test_server_is_described_to_the_model_with_its_secrets() -> None:
    """The model's server calls it by itself; nobody can be asked for approval on a phone."""
    crm = Mcp(
        server_url="https://crm.example.com/",
        description="customers",
        authorization=SecretStr("token"),
        headers={"X-Tenant": SecretStr("shop")},
        allowed_tools=("find",),
    )
    expected = {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://crm.example.com/",
        "server_description": "customers",
        "authorization": "token",
        "headers": {"X-Tenant": "shop"},
        "allowed_tools": ["find"],
        "require_approval": "never",
    }

    assert (expected,) == tools_of(Agent(tools=("crm",)), settings(mcp={"crm": crm}), {})


def test_connector_needs_no_address() -> None:
    """Of what is not set, nothing is said."""
    mail = Mcp(connector_id="connector_gmail")
    expected = {
        "type": "mcp",
        "server_label": "mail",
        "connector_id": "connector_gmail",
        "require_approval": "never",
    }

    assert (expected,) == tools_of(Agent(tools=("mail",)), settings(mcp={"mail": mail}), {})


def test_beta_is_given_no_servers() -> None:
    """The beta dialect does not know them."""
    given = settings(dialect="beta", mcp={"crm": Mcp(server_url="https://crm.example.com/")})

    assert tools_of(Agent(tools=("crm",)), given, {}) == ()


def test_keys_to_send_are_keys_of_a_phone() -> None:
    """The schema lets the model send what the bridge can, and nothing else."""
    parameters = SEND_DIGITS["parameters"]
    assert isinstance(parameters, dict)
    digits = Draft202012Validator(parameters)

    assert digits.is_valid({"digits": "1w23*#"})
    assert not digits.is_valid({"digits": "call +1555"})

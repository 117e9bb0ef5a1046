"""`[server]` and `[twilio]`: where the bridge listens, and the carrier."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bridge.settings.addresses import AccountSid, HttpUrl, MediaUrl, address
from bridge.settings.agent import Frozen


class Server(Frozen):
    """`[server]`: where the bridge listens and what it is called outside."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port of webhooks, media stream and operator API; 0: any free one."""
    public_url: HttpUrl = ""
    """The bridge as Twilio reaches it: the one truth for signatures, TwiML and callbacks."""
    admin_token: SecretStr = SecretStr("")
    """Bearer token of the operator API and console; without it they are off."""
    drain_s: Annotated[float, Field(ge=0, le=86_400)] = 300
    """How long calls may go on after SIGTERM."""
    media_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """A second port for the media stream: the fast door; 0: off. Worker *i* listens on `media_port + i`."""
    media_url: MediaUrl = ""
    """The media port's public `wss://` address where it differs from `public_url`; may contain `{worker}`."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes, one per core; more than one need `media_port`."""
    instance: Annotated[str, address(r"[\w.-]{1,64}", "must be letters, digits, dots and dashes")] = ""
    """This bridge's name in the stream's path, where several bridges or workers run; empty: made up then."""

    @property
    def stream_url(self) -> str:
        """Where a media stream is opened: the address that stands in the answer to a call, and that is signed."""
        base = self.media_url or "wss://" + self.public_url.partition("://")[2]
        return base.rstrip("/") + (f"/media/{self.instance}" if self.instance else "/media")


class Twilio(Frozen):
    """`[twilio]`: the carrier."""

    account_sid: AccountSid = ""
    """Account the calls belong to."""
    auth_token: SecretStr = SecretStr("")
    """Checks signatures and authorises REST; without it, webhooks are accepted only if `insecure`."""
    insecure: bool = False
    """No signatures are checked; refused unless `server.host` is loopback."""
    api_url: HttpUrl = "https://api.twilio.com"
    """REST interface: a Twilio region's, or a rehearsal's."""
    fallback_url: HttpUrl = ""
    """What `number point` has Twilio ask when the bridge fails; empty: the bridge's own, which may fail with it."""
    control: Literal["rest", "action"] = "rest"
    """How a call leaves its stream: `rest` updates it, `action` closes the stream and answers `<Connect action>`."""

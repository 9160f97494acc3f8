"""Pager services as they are set up: how to dial, the modem's commands, and the protocol's times and counts (PAG-1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class CountryCode(StrEnum):
    """What becomes of a number that begins with one (PAG-2)."""

    REFUSE = "refuse"
    STRIP = "strip"  # ours is taken off; another one is refused
    KEEP = "keep"  # for services that want it, never for a modem


@dataclass(frozen=True, slots=True)
class Dialling:
    """How a number becomes what a modem dials.

    dial_prefix: for an outside line; one without any digit, such as `,` or `-`, is none. long_distance_prefix: before
    numbers that do not begin with local_area_code; empty for none. local_digits: a number of so many digits, or fewer,
    has no area code. international_prefix: what stands for the `+` of a number with a country code. country_code: ours,
    for STRIP."""

    dial_prefix: str = "9"
    long_distance_prefix: str = "1"
    local_area_code: str = ""
    local_digits: int = 7
    international_prefix: str = "011"
    country: CountryCode = CountryCode.REFUSE
    country_code: str = ""


class Line(StrEnum):
    """Bits of a character, and who does its parity."""

    SEVEN_EVEN = "7E1"  # the serial port
    EIGHT_NONE = "8N1"  # nobody
    SEVEN_EVEN_HERE = "7E1-software"  # this program, where the port cannot


@dataclass(frozen=True, slots=True)
class ModemSettings:
    """port: a device, or an address pyserial knows (`socket://host:port`, `rfc2217://host:port`). speed: baud.

    The commands are those of a Hayes compatible modem. keys: presses keys in a call that is under way; X1 keeps the
    modem from waiting for a dial tone. answer: seconds a command may take. call: seconds until the far end must have
    answered. guard: seconds of silence around `+++`."""

    port: str = "COM1"
    speed: int = 300
    line: Line = Line.SEVEN_EVEN
    reset: str = "ATZ"
    init: str = "AT&FQ0V1"
    dial: str = "ATDT"
    keys: str = "ATX1DT"
    hangup: str = "ATH"
    restore: str = "AT&F"
    answer: float = 5.0
    call: float = 60.0
    guard: float = 1.2


@dataclass(frozen=True, slots=True)
class Timing:
    """TAP's, in seconds. t1: between two CR, until the terminal asks who calls. t2: for it to ask after the last one.
    t3: for its answers. t4: how long it waits for the next page. t5: for its goodbye. n1: CRs. n2: resends of a block.
    n3: logons."""

    t1: float = 2.0
    t2: float = 1.0
    t3: float = 10.0
    t4: float = 4.0
    t5: float = 8.0
    n1: int = 3
    n2: int = 3
    n3: int = 3


@dataclass(frozen=True, slots=True)
class TapSettings:
    """number: the terminal's; empty: each pager's own. escapes: control characters as SUB and another one (TAP 1.6);
    else they become spaces. most: characters of a text; the rest is cut. per_call: pages in one call.

    Numeric paging: first_delay, second_delay: seconds between dialling and the first set of keys, and between the first
    and the second. pin_first: the PIN is the first set. after_keys: seconds until the modem hangs up."""

    dialling: Dialling = field(default_factory=Dialling)
    modem: ModemSettings = field(default_factory=ModemSettings)
    timing: Timing = field(default_factory=Timing)
    number: str = ""
    escapes: bool = True
    most: int = 1000
    per_call: int = 20
    first_delay: float = 12.0
    second_delay: float = 4.0
    pin_first: bool = True
    after_keys: float = 2.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """pattern: the address, with `{number}` or `{pin}`. profile: the communication profile it leaves by."""

    pattern: str
    profile: str = ""
    subject: str = ""
    dialling: Dialling = field(default_factory=lambda: Dialling(country=CountryCode.KEEP))
    most: int = 160


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """url: https, or http on this machine. seconds: for an answer."""

    url: str = field(repr=False)
    dialling: Dialling = field(default_factory=lambda: Dialling(country=CountryCode.KEEP))
    most: int = 1600
    seconds: float = 30.0

"""[[pager]]: the services by which pages leave: a modem, an email gateway, a web service (PAG-1, PAG-2)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncengine.config.reading import Table, hint
from syncengine.errors import ConfigError
from syncengine.model.paging import (
    CountryCode,
    Dialling,
    GatewaySettings,
    Line,
    ModemSettings,
    TapSettings,
    Timing,
    WebhookSettings,
)
from syncengine.secrets import Secret

SECTION = "pager"
Settings = TapSettings | GatewaySettings | WebhookSettings

_ALWAYS = ("name", "connector", "default", "max_characters")
_NUMBERS = ("country", "country_code", "international_prefix")
_MODEM = {"reset": "modem_reset", "init": "modem_init", "dial": "modem_dial", "keys": "modem_keys",
          "hangup": "modem_hangup", "restore": "modem_restore"}  # fmt: skip
_TIMES, _COUNTS = ("t1", "t2", "t3", "t4", "t5"), ("n1", "n2", "n3")
_COMMAND = re.compile("[ -~]*")
_DIGITS = re.compile("[0-9]*")
_SPEEDS = (110, 300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
MOST_SECONDS, MOST_CHARACTERS = 600.0, 20_000


@dataclass(frozen=True)
class PagerConfig:
    """One service. secret: the password of a paging terminal, or what a web service's requests are signed with.
    default: where nobody names one."""

    name: str
    connector: str
    settings: Settings = field(repr=False)
    secret: Secret | None = None
    default: bool = False

    @property
    def secret_setting(self) -> str:
        """What the secret is called in the file; empty where there is none."""
        return _CONNECTORS[self.connector][1]

    @property
    def place(self) -> str:
        """Where its pages go, as it may be shown."""
        match self.settings:
            case TapSettings(modem=modem):
                return modem.port
            case GatewaySettings(pattern=pattern):
                return pattern
            case WebhookSettings(url=url):
                return url.partition("?")[0]


def pager_named(pagers: Sequence[PagerConfig], name: str) -> PagerConfig:
    """The service of exactly this name; the default one where it is empty. Raises ConfigError naming the near miss."""
    if not pagers:
        raise ConfigError("No pager service is configured.", fix="Add a [[pager]] with name and connector to the file.")
    found = [p for p in pagers if (p.name == name if name else p.default)] or (pagers if not name else ())
    if len(found) == 1:
        return found[0]
    names = [p.name for p in pagers]
    if not name:
        raise ConfigError(
            "None of the pager services is the default one.",
            where="[[pager]]",
            fix=f"Set default = true in one of {', '.join(names)}.",
        )
    raise ConfigError(
        f"There is no pager service {name!r}.", where="[[pager]]", fix=f"Names match exactly: {hint(name, names)}"
    )


def read_pagers(raw: Mapping[str, Any], taken: Collection[str], faults: list[str]) -> tuple[PagerConfig, ...]:
    """Of the whole file. taken: names that already mean something to log in to."""
    tables = raw.get(SECTION, [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        faults.append(f"{SECTION}: write each pager service as [[{SECTION}]]")
        return ()
    read = [_pager(Table(f"{SECTION}[{t.get('name', n)}]", t, faults)) for n, t in enumerate(tables, 1)]
    found = tuple(p for p in read if p is not None)
    names = [p.name for p in found]
    for name in sorted({n for n in names if n and (names.count(n) > 1 or n in taken)}):
        faults.append(f"{SECTION}: the name {name!r} is used twice, or by something else one can log in to")
    if sum(p.default for p in found) > 1:
        faults.append(f"{SECTION}: only one can be the default")
    return found


def _pager(table: Table) -> PagerConfig | None:
    name, connector = table.text("name"), table.text("connector")
    if not name:
        table.faults.append(f"{table.where}.name is missing")
    if connector not in _CONNECTORS:
        table.faults.append(f"{table.where}.connector: {connector!r} is no connector; {hint(connector, _CONNECTORS)}")
        return None
    known, secret, read = _CONNECTORS[connector]
    table.only((*_ALWAYS, *known))
    kept = table.secret(secret, name) if secret else None
    if connector == "webhook" and kept is None:
        table.faults.append(f"{table.where}.secret is missing: what requests are signed with")
    return PagerConfig(name, connector, read(table), kept, _flag(table, "default", otherwise=False))


# --- by connector ---


def _tap(table: Table) -> TapSettings:
    usual = TapSettings()
    return TapSettings(
        dialling=_dialling(table, usual.dialling, kept=False),
        modem=_modem(table),
        timing=_timing(table),
        number=table.text("number"),
        escapes=_flag(table, "escapes", otherwise=usual.escapes),
        most=table.count("max_characters", usual.most, least=10, most=MOST_CHARACTERS),
        per_call=table.count("pages_per_call", usual.per_call, least=1, most=1000),
        first_delay=_seconds(table, "first_delay", usual.first_delay),
        second_delay=_seconds(table, "second_delay", usual.second_delay),
        pin_first=_flag(table, "pin_first", otherwise=usual.pin_first),
        after_keys=_seconds(table, "after_keys", usual.after_keys),
    )


def _modem(table: Table) -> ModemSettings:
    usual = ModemSettings()
    port = table.text("modem_port", usual.port if os.name == "nt" else "")
    if not port:
        table.faults.append(f"{table.where}.modem_port is missing: the modem's device, such as /dev/ttyUSB0")
    if (speed := table.count("speed", usual.speed, least=1, most=_SPEEDS[-1])) not in _SPEEDS:
        table.faults.append(f"{table.where}.speed must be one of {', '.join(map(str, _SPEEDS))}")
    commands = {name: _like(table, key, _COMMAND, getattr(usual, name)) for name, key in _MODEM.items()}
    return ModemSettings(
        port=port,
        speed=speed,
        line=Line(table.word("line", list(Line), usual.line)),
        answer=table.seconds("answer_seconds", usual.answer, most=MOST_SECONDS),
        call=table.seconds("call_seconds", usual.call, most=MOST_SECONDS),
        guard=_seconds(table, "guard_seconds", usual.guard),
        **commands,
    )


def _timing(table: Table) -> Timing:
    usual, values = Timing(), table.values.get("timing", {})
    if not isinstance(values, dict):
        table.faults.append(f"{table.where}.timing must be a table such as {{ t3 = 10, n2 = 3 }}")
        return usual
    inner = Table(f"{table.where}.timing", values, table.faults)
    inner.only((*_TIMES, *_COUNTS))
    times: dict[str, Any] = {n: inner.seconds(n, getattr(usual, n), most=MOST_SECONDS) for n in _TIMES}
    counts = {n: inner.count(n, getattr(usual, n), least=1, most=100) for n in _COUNTS}
    return Timing(**times, **counts)


def _gateway(table: Table) -> GatewaySettings:
    pattern = table.text("address")
    rest = pattern.replace("{number}", "1").replace("{pin}", "1")
    if rest == pattern or not re.fullmatch(r"[\w.+-]+@[\w.-]+", rest, re.ASCII):
        table.faults.append(f'{table.where}.address must be one such as "{{number}}@pager.example.com"')
    usual = GatewaySettings(pattern)
    return GatewaySettings(
        pattern=pattern,
        profile=table.text("profile"),
        subject=table.text("subject"),
        dialling=_dialling(table, usual.dialling, kept=True),
        most=table.count("max_characters", usual.most, least=10, most=MOST_CHARACTERS),
    )


def _webhook(table: Table) -> WebhookSettings:
    url = table.text("url")
    if not url:
        table.faults.append(f"{table.where}.url is missing")
    usual = WebhookSettings(url)
    return WebhookSettings(
        url=url,
        dialling=_dialling(table, usual.dialling, kept=True),
        most=table.count("max_characters", usual.most, least=10, most=MOST_CHARACTERS),
        seconds=table.seconds("answer_seconds", usual.seconds, most=MOST_SECONDS),
    )


def _dialling(table: Table, usual: Dialling, *, kept: bool) -> Dialling:
    """kept: whether a country code may be."""
    ways = [way.value for way in CountryCode if kept or way is not CountryCode.KEEP]
    found = Dialling(
        dial_prefix=_like(table, "dial_prefix", _COMMAND, usual.dial_prefix),
        long_distance_prefix=_like(table, "long_distance_prefix", _DIGITS, usual.long_distance_prefix),
        local_area_code=_like(table, "local_area_code", _DIGITS, usual.local_area_code),
        local_digits=table.count("local_digits", usual.local_digits, most=20),
        international_prefix=_like(table, "international_prefix", _DIGITS, usual.international_prefix),
        country=CountryCode(table.word("country", ways, usual.country)),
        country_code=_like(table, "country_code", _DIGITS, usual.country_code),
    )
    if found.country is CountryCode.STRIP and not found.country_code:
        table.faults.append(f'{table.where}.country_code is missing: which one is taken off, such as "1"')
    return found


_CONNECTORS: Mapping[str, tuple[Collection[str], str, Callable[[Table], Settings]]] = {
    "tap": (
        (
            *("modem_port", "speed", "line", *_MODEM.values(), "answer_seconds", "call_seconds", "guard_seconds"),
            *("dial_prefix", "long_distance_prefix", "local_area_code", "local_digits", *_NUMBERS),
            *("number", "password", "escapes", "pages_per_call", "timing"),
            *("first_delay", "second_delay", "pin_first", "after_keys"),
        ),
        "password",
        _tap,
    ),
    "gateway": (("address", "profile", "subject", *_NUMBERS), "", _gateway),
    "webhook": (("url", "secret", "answer_seconds", *_NUMBERS), "secret", _webhook),
}
"""Connector → (its settings, which of them is a secret, what reads them)."""


# --- values ---


def _flag(table: Table, name: str, *, otherwise: bool) -> bool:
    value = table.values.get(name, otherwise)
    if not isinstance(value, bool):
        table.faults.append(f"{table.where}.{name} must be true or false")
        return otherwise
    return value


def _seconds(table: Table, name: str, otherwise: float) -> float:
    """0 is possible."""
    return 0.0 if table.values.get(name) == 0 else table.seconds(name, otherwise, most=MOST_SECONDS)


def _like(table: Table, name: str, pattern: re.Pattern[str], otherwise: str) -> str:
    value = table.text(name, otherwise)
    if pattern.fullmatch(value):
        return value
    words = "digits" if pattern is _DIGITS else "letters, digits and signs of ASCII"
    table.faults.append(f"{table.where}.{name} must be {words}")
    return otherwise

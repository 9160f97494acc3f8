"""Settings: the only reader of the configuration file and, with `secrets`, of the environment.

A wrong file is refused whole, with every error and the nearest valid name, before anything starts. Relative paths
are relative to the file. Secrets stay unresolved until a connection needs them (`secrets`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from syncengine.config.outbound import OutboundConfig, read_outbound
from syncengine.config.pagers import PagerConfig, read_pagers
from syncengine.config.policies import PoliciesConfig, policies_config
from syncengine.config.profiles import ProfileConfig, read_profiles
from syncengine.config.reading import hint, is_secret, secret_of
from syncengine.core.filters import read_only
from syncengine.errors import ConfigError, ItemError
from syncengine.model.agent import Changes
from syncengine.model.brakes import BRAKED, Brakes, Mode, brakes_of
from syncengine.model.directory import RecordType
from syncengine.model.filters import Condition, Filter, View
from syncengine.model.pim import CALENDAR_KINDS, MOST_BYTES, Kind, SaveMail, Scheduling
from syncengine.secrets import Secret
from syncengine.times import find_zone, local_zone

FILE = "config.toml"
SERVER = "server"
"""What the activity server is called among the PIMs: where to log in, and what has last succeeded."""
ALARM = "alarm"
"""What the mail server for alarms is called where to log in."""


@dataclass(frozen=True)
class UserConfig:
    """employee: the address the server knows the user by. addresses: all of the user's own (OWN-1).
    zone: whose wall clock floating times are read on."""

    employee: str
    addresses: tuple[str, ...]
    zone: ZoneInfo


@dataclass(frozen=True)
class ServerConfig:
    url: str = field(repr=False)
    generic_owner: str
    token: Secret | None = None
    attachments: str = ""  # folder of their contents; empty: beside the database's file, see `attachments_folder`
    max_attachment_mb: int = 100

    @property
    def attachments_folder(self) -> Path | None:
        """Where contents of attachments are; None where nobody said, and the database has no file."""
        if self.attachments:
            return Path(self.attachments)
        file = self.url.removeprefix("sqlite:///")
        beside = self.url.startswith("sqlite:///") and file not in ("", ":memory:")
        return Path(f"{file}.attachments") if beside else None


@dataclass(frozen=True)
class PimConfig:
    """share_new, share_existing: the kinds shared without being asked; of mail, those of correspondence that is
    processed automatically. folders, since (days), auth (one of AUTHS): of a mailbox on a server."""

    name: str
    connector: str
    path: str = ""
    url: str = field(default="", repr=False)
    username: str = ""
    password: Secret | None = None
    share_new: frozenset[Kind] = CALENDAR_KINDS
    share_existing: frozenset[Kind] = CALENDAR_KINDS
    mapping: str = "default"
    scheduling: Scheduling = Scheduling.SILENT
    folders: tuple[str, ...] = ()
    since: int | None = None
    auth: str = "password"
    save_mail: SaveMail = SaveMail.ATTACHMENTS
    most_bytes: int = MOST_BYTES  # of one file of a message
    interval: float | None = None  # minutes between runs of the agent; None: as for all


@dataclass(frozen=True)
class HistoryConfig:
    """days: how long reports of runs, and what they overwrote, are kept."""

    days: int = 90


@dataclass(frozen=True)
class VisibilityConfig:
    """preset: the mapping's filter the user has chosen. only: what it is narrowed to (VIS-3)."""

    preset: str = ""
    only: View = field(default_factory=View)


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class AgentConfig:
    """interval: minutes between runs of a PIM. changes: what scheduled runs carry. delay: seconds before each request
    to the activity server, by weekday (0: Monday), where there is any."""

    interval: float = 10.0
    changes: Changes = Changes.ALL
    delay: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AlarmConfig:
    """Whom to tell when nothing has succeeded for `after_hours`, or something waits for a person. smtp: the address of
    the mail server that takes `email`."""

    after_hours: float = 24.0
    command: tuple[str, ...] = ()
    email: str = ""
    sender: str = ""
    smtp: str = ""
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True)
class LogConfig:
    """Of the agent. file: empty for standard error. Its size is bounded: `megabytes`, and as much of older ones."""

    format: str = "text"
    file: str = ""
    level: str = "info"
    megabytes: int = 5


@dataclass(frozen=True)
class Config:
    path: Path
    user: UserConfig
    state: str
    server: ServerConfig
    pims: tuple[PimConfig, ...]
    brake: Brakes = field(default_factory=Brakes)
    folder: str = ""  # where activities are shown as files; nowhere by default
    visibility: VisibilityConfig = field(default_factory=VisibilityConfig)
    history: HistoryConfig = HistoryConfig()
    agent: AgentConfig = field(default_factory=AgentConfig)
    alarm: AlarmConfig | None = None
    log: LogConfig = field(default_factory=LogConfig)
    metrics: str = ""  # host:port where the agent tells Prometheus; nowhere by default
    outbound: OutboundConfig = field(default_factory=OutboundConfig)
    profiles: tuple[ProfileConfig, ...] = ()
    pagers: tuple[PagerConfig, ...] = ()
    policies: PoliciesConfig = field(default_factory=PoliciesConfig)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All that the configuration names."""
        alarm = self.alarm.password if self.alarm else None
        own = (self.server.token, *(pim.password for pim in self.pims), alarm)
        leaving = (*(s for p in self.profiles for s in p.secrets), *(pager.secret for pager in self.pagers))
        return tuple(s for s in (*own, *leaving) if s is not None)


def default_path() -> Path:
    """Where the configuration lies when nobody says otherwise."""
    import platformdirs  # noqa: PLC0415 - only without --config

    return Path(platformdirs.user_config_dir("syncengine")) / FILE


def shown_url(url: str) -> str:
    """An address as it may be shown: without user and password, before the host or in the query."""
    scheme, separator, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    if scheme.startswith("sqlite"):
        return url
    login, _, place = rest.rpartition("@")
    if "?" in login:  # a password may hold anything: where it ends cannot be told
        return f"{scheme}{separator}…"
    place, _, query = place.partition("?")
    shown = "&".join(part for part in query.split("&") if part and not _SECRET_NAME.search(unquote(part.split("=")[0])))
    return f"{scheme}{separator}{place}{'?' if shown else ''}{shown}"


_SECRET_NAME = re.compile("^user|pass|token|secret|key", re.IGNORECASE)


def mapping_folder() -> Path:
    """The shipped mappings and their schema: inside an installed package, beside a source tree."""
    package = Path(__file__).parent.parent
    return package / "_mappings" if (package / "_mappings").is_dir() else package.parent / "mappings"


def load(path: Path) -> Config:
    """Read a configuration. Raises ConfigError with all that is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "There is no configuration.", where=str(path), fix='Make one with "syncengine init".'
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"The configuration cannot be read: {e}.", where=str(path)) from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"The configuration is not TOML: {e}.", where=str(path), fix="Correct that line.") from e
    reader = _Reader(path)
    config = reader.config(raw)
    if reader.faults or config is None:
        raise ConfigError(
            "The configuration is wrong:\n" + "\n".join(f"  - {fault}" for fault in reader.faults), where=str(path)
        )
    return config


_TEXT, _LIST, _SECRET = "a text", "a list of texts", "a secret"
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_FLAG = "true or false"
_SCHEDULING = '"silent" or "send"'
_TABLES = "tables, [[visibility.only]]"
_HOURS, _MEGABYTES = "hours, more than 0", "whole megabytes, from 1 to 1000"
_FORMAT, _LEVEL = '"text" or "json"', '"debug", "info", "warning" or "error"'
_MINUTES, _CHANGES = "minutes, more than 0", '"all" or "local"'
_DELAYS = "seconds from 0 to 60 by weekday, such as { mon = 0.2 }"
_COUNT, _SHARE = "a whole number, 0 or more", "a number from 0 to 1"
_MODE, _TABLE = f"one of {', '.join(Mode)}", "a table"
_LIMITS: Mapping[str, str] = {"count": _COUNT, "share": _SHARE, "mode": _MODE}
_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "user": {"employee": _TEXT, "addresses": _LIST, "timezone": _TEXT},
    "state": {"path": _TEXT},
    "server": {
        "url": _TEXT,
        "token": _SECRET,
        "generic_owner": _TEXT,
        "attachments": _TEXT,
        "max_attachment_mb": _COUNT,
    },
    "brake": {**_LIMITS, **dict.fromkeys(BRAKED, _TABLE)},
    "folder": {"path": _TEXT},
    "history": {"days": _COUNT},
    "alarm": {
        "after_hours": _HOURS,
        "command": _LIST,
        "email": _TEXT,
        "from": _TEXT,
        "smtp": _TEXT,
        "username": _TEXT,
        "password": _SECRET,
    },
    "log": {"format": _FORMAT, "file": _TEXT, "level": _LEVEL, "megabytes": _MEGABYTES},
    "agent": {
        "interval": _MINUTES,
        "changes": _CHANGES,
        "delay": _DELAYS,
        "metrics": _TEXT,
        "metrics_everywhere": _FLAG,
    },
    "visibility": {"preset": _TEXT, "only": _TABLES},
    "policies": {"path": _TEXT},
    "pim": {
        "name": _TEXT,
        "connector": _TEXT,
        "path": _TEXT,
        "url": _TEXT,
        "username": _TEXT,
        "password": _SECRET,
        "share_new": _LIST,
        "share_existing": _LIST,
        "mapping": _TEXT,
        "scheduling": _SCHEDULING,
        "folders": _LIST,
        "since": _COUNT,
        "auth": _TEXT,
        "save_mail": _TEXT,
        "max_attachment_mb": _COUNT,
        "interval": _MINUTES,
    },
}
_CONNECTORS: Mapping[str, tuple[str, ...]] = {
    "vdir": ("path",),
    "caldav": ("url",),
    "imap": ("url", "username", "password"),
    "eml": ("path",),
}
"""Connector → the settings it cannot do without."""
_ELSEWHERE = ("outbound", "pager", "profile")
"""Sections with modules of their own."""
_MAIL = frozenset({"imap", "eml"})
"""Connectors of mailboxes. New mail is looked at unless the configuration says otherwise, old mail is not."""
AUTHS = ("password", "oauth2")
"""What the secret of a mailbox is: a password, or an OAuth 2 access token."""


MOST_MINUTES = 60 * 24 * 31
MOST_DELAY = 60.0
"""Seconds."""


def _are_delays(value: object) -> bool:
    return isinstance(value, dict) and all(
        day in WEEKDAYS and type(seconds) in (int, float) and 0 <= seconds <= MOST_DELAY
        for day, seconds in value.items()
    )


def _agent(values: Mapping[str, Any]) -> AgentConfig:
    delay = {WEEKDAYS.index(day): float(seconds) for day, seconds in values.get("delay", {}).items()}
    return AgentConfig(float(values.get("interval", 10)), Changes(values.get("changes", Changes.ALL)), delay)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.folder, self.path = path.parent.resolve(), path
        self.faults: list[str] = []

    def config(self, raw: Mapping[str, Any]) -> Config | None:
        self._names("", raw, {**_SECTIONS, **dict.fromkeys(_ELSEWHERE)})
        user, state = self._section(raw, "user"), self._section(raw, "state")
        server, brakes = self._section(raw, "server"), self._brakes(raw)
        folder = self._section(raw, "folder").get("path", "")
        history = HistoryConfig(**self._section(raw, "history"))
        visibility = self._visibility(self._section(raw, "visibility"))
        workflow = policies_config(self._section(raw, "policies"), self.folder)
        alarm, log = self._alarm(raw), self._log(self._section(raw, "log"))
        agent_values = self._section(raw, "agent")
        agent, metrics = _agent(agent_values), self._metrics(agent_values)
        pims = raw.get("pim", [])
        if not isinstance(pims, list) or not all(isinstance(p, dict) for p in pims):
            self.faults.append("pim: write each collection as [[pim]]")
            pims = []
        found = tuple(self._pim(p, n) for n, p in enumerate(pims, 1))
        names = [p.name for p in found]
        self.faults += [f"pim: the name {n!r} is used twice" for n in sorted({n for n in names if names.count(n) > 1})]
        outbound = read_outbound(raw, self.faults)
        profiles = read_profiles(raw, outbound, {*names, SERVER, ALARM}, self._file, self.faults)
        pagers = read_pagers(raw, {*names, *(p.name for p in profiles), SERVER, ALARM}, self.faults)
        for section, values, name in (("user", user, "employee"), ("server", server, "url")):
            if not values.get(name):
                self.faults.append(f"{section}.{name} is missing")
        if not server.get("generic_owner"):
            self.faults.append(
                "server.generic_owner is missing: the address of the employee who owns what no known employee owns"
            )
        if self.faults:
            return None
        file = self._file(state.get("path", "state.db"))
        shown = self._file(folder) if folder else ""
        return Config(
            self.path,
            self._user(user),
            file,
            self._server(server),
            found,
            brakes,
            shown,
            visibility,
            history,
            agent,
            alarm,
            log,
            metrics,
            outbound,
            profiles,
            pagers,
            workflow,
        )

    def _brakes(self, raw: Mapping[str, Any]) -> Brakes:
        found = self._section(raw, "brake")
        for kind in (k for k in found if k in BRAKED):
            self._names(f"brake.{kind}", found[kind], _LIMITS)
            found[kind] = self._typed(f"brake.{kind}", found[kind])
        return brakes_of(found)

    def _alarm(self, raw: Mapping[str, Any]) -> AlarmConfig | None:
        if "alarm" not in raw:
            return None
        values = self._section(raw, "alarm")
        if not values.get("command") and not values.get("email"):
            self.faults.append("alarm: whom to tell is missing: a command, or email with smtp")
        if bool(values.get("email")) != bool(values.get("smtp")):
            self.faults.append("alarm.email and alarm.smtp belong together")
        return AlarmConfig(
            after_hours=float(values.get("after_hours", 24)),
            command=tuple(values.get("command", ())),
            email=values.get("email", ""),
            sender=values.get("from") or values.get("email", ""),
            smtp=values.get("smtp", ""),
            username=values.get("username", ""),
            password=self._secret(values.get("password"), "alarm.password", ALARM),
        )

    def _log(self, values: Mapping[str, Any]) -> LogConfig:
        file = self._file(values["file"]) if values.get("file") else ""
        return LogConfig(**{**values, "file": file})

    def _metrics(self, values: Mapping[str, Any]) -> str:
        """Others than this machine may look only where the configuration says so in words."""
        listen = values.get("metrics", "")
        host, colon, port = listen.rpartition(":")
        if not listen:
            return ""
        if not colon or not port.isdecimal() or not 0 <= int(port) < 65536:
            self.faults.append('agent.metrics: write host:port, such as "127.0.0.1:9464"')
        elif not values.get("metrics_everywhere") and host not in LOOPBACK:
            self.faults.append(
                f"agent.metrics: {host!r} is open to other machines; write 127.0.0.1, or metrics_everywhere = true"
            )
        return str(listen)

    def _visibility(self, values: Mapping[str, Any]) -> VisibilityConfig:
        found: dict[RecordType, list[Condition | Filter]] = {}
        for number, raw in enumerate(values.get("only", []), 1):
            try:
                kind, one = read_only(raw)
            except ItemError as e:
                self.faults.append(f"visibility.only[{number}]: {e.what.rstrip('.')}; {e.fix}")
            else:
                found.setdefault(kind, []).append(one)
        filters = {kind: Filter(conditions=tuple(conditions)) for kind, conditions in found.items()}
        return VisibilityConfig(values.get("preset", ""), View(filters))

    def _section(self, raw: Mapping[str, Any], name: str) -> dict[str, Any]:
        values = raw.get(name, {})
        if not isinstance(values, dict):
            self.faults.append(f"{name}: write it as [{name}]")
            return {}
        self._names(name, values, _SECTIONS[name])
        return self._typed(name, values)

    def _names(self, where: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        for name in values:
            if name not in known:
                self.faults.append(f"{where + '.' if where else ''}{name} is not a setting; {hint(name, known)}")

    def _typed(self, where: str, values: Mapping[str, Any]) -> dict[str, Any]:
        kinds = _SECTIONS[where.partition("[")[0].partition(".")[0]]
        found: dict[str, Any] = {}
        for name, value in values.items():
            kind = kinds.get(name)
            right = {
                _TEXT: isinstance(value, str),
                _LIST: isinstance(value, list) and all(isinstance(v, str) for v in value),
                _SECRET: is_secret(value),
                _TABLES: isinstance(value, list) and all(isinstance(v, dict) for v in value),
                _COUNT: type(value) is int and value >= 0,
                _HOURS: type(value) in (int, float) and 0 < value <= 24 * 366,
                _MEGABYTES: type(value) is int and 1 <= value <= 1000,
                _FORMAT: value in ("text", "json"),
                _LEVEL: value in ("debug", "info", "warning", "error"),
                _FLAG: isinstance(value, bool),
                _SCHEDULING: value in tuple(Scheduling),
                _MINUTES: type(value) in (int, float) and 0 < value <= MOST_MINUTES,
                _CHANGES: value in tuple(Changes),
                _DELAYS: _are_delays(value),
                _SHARE: type(value) in (int, float) and 0 <= value <= 1,
                _MODE: value in tuple(Mode),
                _TABLE: isinstance(value, dict),
                None: True,
            }[kind]
            if right:
                found[name] = value
            else:
                self.faults.append(f"{where}.{name} must be {kind}")
        return found

    def _secret(self, value: Any, where: str, account: str = SERVER) -> Secret | None:
        return None if value is None else secret_of(value, where, account)

    def _user(self, values: Mapping[str, Any]) -> UserConfig:
        employee = values["employee"]
        addresses = tuple(dict.fromkeys([employee, *values.get("addresses", ())]))
        zone = find_zone(values["timezone"]) if "timezone" in values else local_zone()
        if zone is None:
            raise ConfigError(
                f"user.timezone: {values['timezone']!r} is no time zone.",
                where=str(self.path),
                fix="Write a name like Europe/Berlin.",
            )
        return UserConfig(employee, addresses, zone)

    def _server(self, values: Mapping[str, Any]) -> ServerConfig:
        url = values["url"]
        if url.startswith("sqlite:///") and not url.startswith("sqlite:////") and url != "sqlite:///:memory:":
            url = "sqlite:///" + self._file(url.removeprefix("sqlite:///"))
        attachments = self._file(values["attachments"]) if values.get("attachments") else ""
        token = self._secret(values.get("token"), "server.token")
        return ServerConfig(url, values["generic_owner"], token, attachments, values.get("max_attachment_mb", 100))

    def _file(self, text: str) -> str:
        return str(self.folder / Path(text).expanduser())

    def _pim(self, raw: Mapping[str, Any], number: int) -> PimConfig:
        where = f"pim[{raw.get('name', number)}]"
        self._names(where, raw, _SECTIONS["pim"])
        values = self._typed(where, raw)
        name, connector = values.get("name", ""), values.get("connector", "")
        if not name:
            self.faults.append(f"{where}.name is missing")
        if name in (SERVER, ALARM):
            self.faults.append(f'{where}.name: "{name}" is the name of something else; choose another one')
        if connector not in _CONNECTORS:
            self.faults.append(f"{where}.connector: {connector!r} is no connector; {hint(connector, _CONNECTORS)}")
        self.faults += [f"{where}.{n} is missing" for n in _CONNECTORS.get(connector, ()) if not values.get(n)]
        auth = values.get("auth", AUTHS[0])
        if auth not in AUTHS:
            self.faults.append(f"{where}.auth: {auth!r} is no way to log in; known are {', '.join(AUTHS)}")
        mail = connector in _MAIL
        new, existing = values.get("share_new"), values.get("share_existing")
        share_new = self._kinds(new, f"{where}.share_new", frozenset({Kind.EMAIL}) if mail else CALENDAR_KINDS)
        before = frozenset[Kind]() if mail else share_new
        return PimConfig(
            name=name,
            connector=connector,
            path=self._file(values["path"]) if values.get("path") else "",
            url=values.get("url", ""),
            username=values.get("username", ""),
            password=self._secret(values.get("password"), f"{where}.password", name),
            share_new=share_new,
            share_existing=self._kinds(existing, f"{where}.share_existing", before),
            mapping=values.get("mapping", "default"),
            scheduling=Scheduling(values.get("scheduling", Scheduling.SILENT)),
            folders=tuple(values.get("folders", ())),
            since=values.get("since"),
            auth=auth,
            save_mail=self._save_mail(values.get("save_mail"), f"{where}.save_mail"),
            most_bytes=values["max_attachment_mb"] * 1_000_000 if "max_attachment_mb" in values else MOST_BYTES,
            interval=values.get("interval"),
        )

    def _save_mail(self, word: str | None, where: str) -> SaveMail:
        known = {option.value: option for option in SaveMail}
        if word is not None and word not in known:
            self.faults.append(f"{where}: {word!r} is no way to save messages; {hint(word, known)}")
        return known.get(word or "", SaveMail.ATTACHMENTS)

    def _kinds(self, words: list[str] | None, where: str, otherwise: frozenset[Kind]) -> frozenset[Kind]:
        if words is None:
            return otherwise
        known = {k.value for k in Kind}
        for word in words:
            if word not in known:
                self.faults.append(f"{where}: {word!r} is no kind of item; {hint(word, sorted(known))}")
        return frozenset(Kind(w) for w in words if w in known)

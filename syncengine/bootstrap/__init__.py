"""The composition root: puts configured parts together. The only place that imports connectors and stores."""

from __future__ import annotations

import hashlib
import platform
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncengine.bootstrap.pims import open_pim
from syncengine.config import AlarmConfig, Config, mapping_folder
from syncengine.errors import ConfigError, SyncEngineError
from syncengine.model.directory import Directory
from syncengine.model.filters import View
from syncengine.model.mapping import Mapping, ServerNames
from syncengine.model.proxy import Proxy
from syncengine.ports import ActivityServer, ActivityStore, ClientState, ContentFiles, Folder, Watch
from syncengine.times import Clock, system_clock

if TYPE_CHECKING:
    from connectors.alarm.email import Mailer
    from syncengine.model.alarm import Message
    from syncengine.services.activity_editing import FromNowOn
    from syncengine.services.alarm import Alarms
    from syncengine.services.client_activities import ClientActivities
    from syncengine.services.conflicts import Conflicts
    from syncengine.services.removal import Local, Remover
    from syncengine.services.sync import Work
    from syncengine.services.sync.reverting import Reverted
    from syncengine.store.agent_folder import AgentFolder

SCHEMA = "mapping.xsd"


def new_id() -> str:
    return str(uuid.uuid4())


def mapping_file(name: str, config: Config) -> Path:
    """The file a mapping's name means: a path, a file beside the configuration, or a shipped one.
    Raises ConfigError naming those there are."""
    folders = [config.path.parent, config.path.parent / "mappings", mapping_folder()]
    candidates = [config.path.parent / name] if name.endswith(".xml") else [f / f"{name}.xml" for f in folders]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = sorted({p.stem for f in folders if f.is_dir() for p in f.glob("*.xml")} - {"policies"})
    raise ConfigError(
        f"There is no mapping {name!r}.", where=str(config.path), fix=f"Use one of {', '.join(known)}, or a file name."
    )


def load_mapping(name: str, config: Config) -> Mapping:
    """Raises ConfigError with every error of the file."""
    return read_mapping(mapping_file(name, config))


def shipped_mapping(name: str) -> Mapping:
    """A mapping that comes with the program, or the file of that path. Raises ConfigError."""
    path = Path(name)
    return read_mapping(path if path.suffix else mapping_folder() / f"{name}.xml")


def read_mapping(path: Path, edits: Sequence[tuple[str, str]] = ()) -> Mapping:
    from syncengine.core.mapping.parse import parse

    try:
        text = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"The mapping cannot be read: {e.strerror}.", where=str(path)) from e
    for old, new in edits:
        if old.encode() not in text:
            raise ConfigError(f"The mapping does not hold {old!r}.", where=str(path))
        text = text.replace(old.encode(), new.encode())
    return parse(text, (mapping_folder() / SCHEMA).read_bytes(), str(path))


def chosen_view(config: Config, preset: str = "") -> View | None:
    """What the user works with: the preset of that name, or as configured. Raises ConfigError for an unknown name."""
    from syncengine.core.filters import chosen

    mapping = load_mapping(config.pims[0].mapping if config.pims else "default", config)
    return chosen(mapping, preset or config.visibility.preset, config.visibility.only)


def open_store(url: str, clock: Clock = system_clock) -> ActivityStore:
    """The database of an activity server. Raises ConfigError, StorageError, Unreachable."""
    from syncengine.store.activities import Activities

    return Activities(url, clock)


def is_remote(config: Config) -> bool:
    return config.server.url.startswith(("http://", "https://"))


def open_server(config: Config, names: ServerNames | None = None, clock: Clock = system_clock) -> ActivityServer:
    """The activity server as the configured user sees it: embedded, or over the network in its own words."""
    if is_remote(config):
        from connectors.http.server import HttpActivityServer

        if config.server.token is None:
            raise ConfigError(
                "server.token is missing.",
                where=str(config.path),
                fix='Ask for one; the server issues it with "syncengine token ADDRESS".',
            )
        token = config.server.token.get()
        return HttpActivityServer(config.server.url, token, names or ServerNames())
    store, files = open_store(config.server.url), open_contents(config)
    return embedded(store, config.user.employee, config.server.generic_owner, clock, files)


def open_contents(config: Config) -> ContentFiles | None:
    """Where the configured server keeps the contents of attachments; None where it was not told."""
    from syncengine.store.contents import Contents

    folder = config.server.attachments_folder
    return Contents(folder, config.server.max_attachment_mb * 1_000_000) if folder else None


def from_now_on(config: Config, clock: Clock = system_clock) -> FromNowOn:
    """How a user of this configuration edits series."""
    from syncengine.services.activity_editing import FromNowOn

    patterns = load_mapping(config.pims[0].mapping, config).patterns
    return FromNowOn(clock().astimezone(config.user.zone).date(), patterns, config.user.zone)


def embedded(
    store: ActivityStore,
    user: str,
    generic_owner: str,
    clock: Clock = system_clock,
    files: ContentFiles | None = None,
    by: str = "",
) -> ActivityServer:
    from syncengine.services.activities import Activities

    return Activities(store, user, generic_owner, clock, files, by)


def alarm_channels(config: Config) -> list[Callable[[Message], None]]:
    """The ways in which the user wants to be told of alarms; none without [alarm]. Raises ConfigError."""
    found: list[Callable[[Message], None]] = []
    if config.alarm and (words := config.alarm.command):
        from connectors.alarm.command import tell_command

        found.append(lambda message: tell_command(words, message))
    if config.alarm and config.alarm.email:
        found.append(mailer(config.alarm).tell)
    return found


def mailer(alarm: AlarmConfig) -> Mailer:
    from connectors.alarm.email import Mailer

    secret = alarm.password.get if alarm.password else None
    return Mailer(alarm.smtp, alarm.sender, alarm.email, alarm.username, secret)


def open_alarms(config: Config, stack: ExitStack, clock: Clock = system_clock) -> Alarms:
    """What looks for alarms and tells them, closed by `stack`. Raises StorageError, ConfigError."""
    from syncengine.services.alarm import Alarms

    state = open_state(config)
    stack.callback(state.close)
    after = timedelta(hours=config.alarm.after_hours if config.alarm else 24)
    names = [p.name for p in config.pims]
    return Alarms(state, alarm_channels(config), names, after, clock, platform.node() or "?")


def open_state(config: Config) -> ClientState:
    from syncengine.store.state import State

    return State(config.state)


def client_activities(config: Config, stack: ExitStack) -> ClientActivities:
    """What a client may do with its own records, without a server. Holds the state's lock until `stack` ends."""
    from syncengine.services.client_activities import ClientActivities

    state = open_state(config)
    stack.callback(state.close)
    stack.enter_context(state.lock())
    return ClientActivities(state, new_id, config.user.zone)


def open_conflicts(config: Config, stack: ExitStack, *, writing: bool = False) -> Conflicts:
    """The conflicts of a client's state, with the mappings that say what they are about; neither side is opened.
    Raises ConfigError where no run has met the server."""
    from syncengine.core.wire import greeting_from_json
    from syncengine.services.client_activities import directory_of
    from syncengine.services.conflicts import NO_PIM, Conflicts
    from syncengine.services.removal import NO_SERVER
    from syncengine.services.sync import Collection, Work

    state = open_state(config)
    stack.callback(state.close)
    if writing:
        stack.enter_context(state.lock())
    collections = [
        Collection(p.name, NO_PIM, load_mapping(p.mapping, config), p.share_new, p.share_existing) for p in config.pims
    ]
    work = Work(state, NO_SERVER, collections, config.user.addresses, config.user.zone, system_clock, new_id)
    directory_of(state)  # refuses a state nothing was ever synchronized into
    work.know(greeting_from_json(state.fact("greeting")))
    return Conflicts(work)


def known_activity(config: Config, stack: ExitStack, key: str) -> tuple[Proxy, Directory]:
    """An activity as the client knows it, and whom it knows. Raises NotThere."""
    from syncengine.services.client_activities import directory_of, find_one

    state = open_state(config)
    stack.callback(state.close)
    return find_one(state, key), directory_of(state)


def hidden_activities(config: Config, stack: ExitStack) -> list[dict[str, Any]]:
    """The activities a client shows nowhere (ACT-4), as `activities --json` prints them."""
    from syncengine import render
    from syncengine.services.client_activities import directory_of, hidden

    state = open_state(config)
    stack.callback(state.close)
    directory = directory_of(state)
    return [render.activity_json(render.known_activity(p), directory) for p in hidden(state)]


def agent_folder(config: Config) -> AgentFolder:
    """Where the agent of this configuration's state and commands meet."""
    from syncengine.store.agent_folder import AgentFolder

    return AgentFolder(config.state)


def watch_requests(config: Config) -> Watch:
    """What notices that something is asked of the agent."""
    from connectors.watching import FolderWatch

    return FolderWatch(agent_folder(config).path, lambda name: name.startswith("now-") and name.endswith(".json"))


def settings_files(config: Config) -> list[Path]:
    """The files a run depends on: the configuration, and the mappings that can be found."""
    found = [config.path]
    for name in {pim.mapping for pim in config.pims}:
        with suppress(ConfigError):
            found.append(mapping_file(name, config))
    return found


def open_folder(config: Config) -> Folder | None:
    """Where activities are shown as files; None by default."""
    from syncengine.store.folder import TextFolder

    return TextFolder(config.folder) if config.folder else None


def open_work(config: Config, stack: ExitStack, *, chosen: Sequence[str] | None = None, dry_run: bool = False) -> Work:
    """Everything a run needs, closed by `stack`. Mappings are checked before anything is opened (MAP-2)."""
    from syncengine.services.later import later
    from syncengine.services.sync import Collection, Work

    if not config.pims:
        raise ConfigError(
            "No PIM is configured.", where=str(config.path), fix="Add a [[pim]] with name, connector and path or url."
        )
    mappings = {pim.name: load_mapping(pim.mapping, config) for pim in config.pims}
    _check_names(config, chosen or ())
    state = _state_of_run(config, stack, dry_run=dry_run)
    server = open_server(config, mappings[config.pims[0].name].names)
    stack.callback(server.close)
    collections = []
    for pim_config in config.pims:
        asked = not chosen or pim_config.name in chosen
        pim = open_pim(pim_config) if asked else later(partial(open_pim, pim_config))
        stack.callback(pim.close)
        collections.append(
            Collection(
                pim_config.name,
                pim,
                mappings[pim_config.name],
                pim_config.share_new,
                pim_config.share_existing,
                pim_config.scheduling,
                pim_config.save_mail,
                pim_config.most_bytes,
            )
        )
    return Work(
        state=state,
        server=server,
        collections=collections,
        addresses=config.user.addresses,
        zone=config.user.zone,
        clock=system_clock,
        new_id=new_id,
        dry_run=dry_run,
        brakes=config.brake,
        history_days=config.history.days,
        settings=hashlib.sha256(config.path.read_bytes()).hexdigest(),
        chosen=chosen,
        folder=open_folder(config),
        view=chosen_view(config),
    )


def _check_names(config: Config, names: Sequence[str]) -> None:
    """Raises ConfigError for a name that is no PIM's."""
    known = [pim.name for pim in config.pims]
    if unknown := sorted(set(names) - set(known)):
        what, fix = f"There is no PIM named {unknown[0]!r}.", f"Known are {', '.join(known)}."
        raise ConfigError(what, where=str(config.path), fix=fix)


def _state_of_run(config: Config, stack: ExitStack, *, dry_run: bool) -> ClientState:
    """The state, held by this run alone; a copy of it where nothing is to change."""
    state = open_state(config)
    stack.callback(state.close)
    if not dry_run:
        stack.enter_context(state.lock())
        return state
    copy = state.rehearsal()
    stack.callback(copy.close)
    return copy


def revert(config: Config, state: ClientState, run: str) -> list[Reverted]:
    """Take back the deletions a run asked about. The caller holds the state's lock."""
    from syncengine.services.client_activities import ClientActivities
    from syncengine.services.sync import reverting

    return reverting.revert(state, run, ClientActivities(state, new_id, config.user.zone).me, new_id)


def open_removal(config: Config, stack: ExitStack, *, left: Sequence[str] = (), dry_run: bool = False) -> Remover:
    """What a removal needs, closed by `stack`. A PIM that cannot be opened keeps the others from nothing."""
    from syncengine.services.removal import NO_SERVER, Remover
    from syncengine.services.sync import Collection, Work

    names = [p.name for p in config.pims]
    _check_names(config, left)
    if not dry_run and agent_folder(config).path.is_dir():  # an agent would begin anew once the state is gone
        stack.enter_context(agent_folder(config).hold())
    state = _state_of_run(config, stack, dry_run=dry_run)
    collections, unreachable = [], {}
    for pim_config in (p for p in config.pims if p.name not in left):
        mapping = load_mapping(pim_config.mapping, config)
        try:
            pim = open_pim(pim_config)
        except SyncEngineError as e:
            unreachable[pim_config.name] = replace(e.problem, where=e.where or pim_config.name)
            continue
        stack.callback(pim.close)
        collections.append(Collection(pim_config.name, pim, mapping, frozenset(), frozenset()))
    work = Work(state, NO_SERVER, collections, config.user.addresses, config.user.zone, system_clock, new_id, dry_run)
    return Remover(work, names, left, unreachable)


def agent_unit() -> Path:
    """Where the unit that starts this user's agent lies, or would."""
    from platformdirs.unix import Unix

    from syncengine.services.agent_unit import unit_in

    return unit_in(Path(Unix().user_config_dir))


def own_agent_unit(config: Config) -> Path | None:
    """The unit that starts the agent of this configuration, if there is one."""
    from syncengine.services.agent_unit import config_of_unit

    place = agent_unit()
    return place if config_of_unit(place) == config.path.absolute() else None


def local_records(config: Config, *, config_too: bool = False) -> Local:
    """What the client keeps on this machine, in the order in which it may go."""
    from syncengine.services.removal import Local
    from syncengine.store.engine import files_of

    last = [config.path] if config_too else []
    unit = own_agent_unit(config)
    units = [unit.parent / "default.target.wants" / unit.name, unit] if unit else []
    files = [*units, *agent_folder(config).files(), *files_of(config.state)]
    return Local(files, config.secrets, last, _erase, open_folder(config))


def _erase(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()

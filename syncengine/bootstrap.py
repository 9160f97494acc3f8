"""The composition root: puts configured parts together. The only place that imports connectors and stores."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from syncengine.config import Config, PimConfig, mapping_folder
from syncengine.errors import ConfigError
from syncengine.model.directory import Directory, RecordKey
from syncengine.model.filters import View
from syncengine.model.mapping import Mapping, ServerNames
from syncengine.model.scenario import Verdict
from syncengine.ports import ActivityServer, ActivityStore, ClientState, Pim
from syncengine.times import Clock, system_clock

if TYPE_CHECKING:
    from syncengine.services.activity_editing import FromNowOn
    from syncengine.services.sync import Work

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
    known = sorted({p.stem for f in folders if f.is_dir() for p in f.glob("*.xml")})
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


def read_mapping(path: Path) -> Mapping:
    from syncengine.core.mapping.parse import parse

    try:
        text = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"The mapping cannot be read: {e.strerror}.", where=str(path)) from e
    return parse(text, (mapping_folder() / SCHEMA).read_bytes(), str(path))


def chosen_view(config: Config, preset: str = "") -> View | None:
    """What the user works with: the preset of that name, or as configured. Raises ConfigError for an unknown name."""
    from syncengine.core.filters import chosen

    mapping = load_mapping(config.pims[0].mapping if config.pims else "default", config)
    return chosen(mapping, preset or config.visibility.preset, config.visibility.only)


def open_store(url: str) -> ActivityStore:
    """The database of an activity server. Raises ConfigError, StorageError, Unreachable."""
    from syncengine.store.activities import Activities

    return Activities(url)


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
    return embedded(open_store(config.server.url), config.user.employee, config.server.generic_owner, clock)


def from_now_on(config: Config, clock: Clock = system_clock) -> FromNowOn:
    """How a user of this configuration edits series."""
    from syncengine.services.activity_editing import FromNowOn

    patterns = load_mapping(config.pims[0].mapping, config).patterns
    return FromNowOn(clock().astimezone(config.user.zone).date(), patterns, config.user.zone)


def embedded(store: ActivityStore, user: str, generic_owner: str, clock: Clock = system_clock) -> ActivityServer:
    from syncengine.services.activities import Activities

    return Activities(store, user, generic_owner, clock)


def open_pim(config: PimConfig) -> Pim:
    return _CONNECTORS[config.connector](config)


def _vdir(config: PimConfig) -> Pim:
    from connectors.vdir.pim import VdirPim

    return VdirPim(config.path)


def _caldav(config: PimConfig) -> Pim:
    from connectors.caldav.pim import CaldavPim

    return CaldavPim(config.url, config.username, config.password.get() if config.password else "")


_CONNECTORS: dict[str, Callable[[PimConfig], Pim]] = {"vdir": _vdir, "caldav": _caldav}


def open_state(config: Config) -> ClientState:
    from syncengine.store.state import State

    return State(config.state)


def open_work(config: Config, stack: ExitStack, *, chosen: Sequence[str] | None = None, dry_run: bool = False) -> Work:
    """Everything a run needs, closed by `stack`. Mappings are checked before anything is opened (MAP-2)."""
    from syncengine.services.sync import Collection, Work

    if not config.pims:
        raise ConfigError(
            "No PIM is configured.", where=str(config.path), fix="Add a [[pim]] with name, connector and path or url."
        )
    mappings = {pim.name: load_mapping(pim.mapping, config) for pim in config.pims}
    unknown = sorted(set(chosen or ()) - set(mappings))
    if unknown:
        raise ConfigError(
            f"There is no PIM named {unknown[0]!r}.",
            where=str(config.path),
            fix=f"Known are {', '.join(mappings)}.",
        )
    state = open_state(config)
    stack.callback(state.close)
    if dry_run:
        state = state.rehearsal()
        stack.callback(state.close)
    else:
        stack.enter_context(state.lock())
    server = open_server(config, mappings[config.pims[0].name].names)
    stack.callback(server.close)
    collections = []
    for pim_config in config.pims:
        pim = open_pim(pim_config)
        stack.callback(pim.close)
        collections.append(
            Collection(pim_config.name, pim, mappings[pim_config.name], pim_config.share_new, pim_config.share_existing)
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
        brake_count=config.brake.count,
        brake_share=config.brake.share,
        chosen=chosen,
        view=chosen_view(config),
    )


class _Stage:
    """The parts of a scenario: PIMs in memory, one embedded server and one state per user, in a folder that goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = open_store(f"sqlite:///{folder}/activities.db")

    def mapping(self, name: str) -> Mapping:
        return read_mapping(mapping_folder() / f"{name}.xml")

    def pim(self, user: str) -> Pim:
        from connectors.memory.pim import MemoryPim

        return MemoryPim()

    def state(self, user: str) -> ClientState:
        from syncengine.store.state import State

        return State(str(self.folder / f"{user}.db"))

    def put_directory(self, directory: Directory) -> None:
        with self.store.transaction(write=True):
            self.store.put_directory(directory)

    def remove_record(self, key: RecordKey) -> None:
        with self.store.transaction(write=True):
            self.store.remove_record(key)

    def server(self, user: str, generic_owner: str) -> ActivityServer:
        return embedded(self.store, user, generic_owner)


def play_scenario(file: Path) -> Verdict:
    """Play one scenario file. Raises ConfigError when it is not one."""
    from syncengine.core.scenario import parse_scenario
    from syncengine.services.scenario import play

    scenario = parse_scenario(file.read_text(encoding="utf-8"), str(file))
    with TemporaryDirectory(prefix="syncengine-") as folder:
        stage = _Stage(Path(folder))
        try:
            return play(scenario, stage, (f"{n:08d}" for n in itertools.count(1)))
        finally:
            stage.store.close()

"""What starts the agent with a person's session: the texts for systemd, launchd and the Windows task scheduler.

None of them holds a secret: these files are readable by others, and the agent finds its secrets where the
configuration says."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

NAME = "syncengine"
UNIT = f"{NAME}.service"
LABEL = f"{NAME}.agent"
MARK = "# Written by syncengine agent install; syncengine agent uninstall deletes it."
"""By which a unit is known as ours: another one is never overwritten or deleted."""
PAUSE = 30
"""Seconds before an agent that failed is started again."""
STOP = 15
"""Seconds it has to end in: a run that is under way needs a third of them."""
MENDS_NOTHING = 2
"""The exit code of a wrong configuration: starting again would not mend it."""


@dataclass(frozen=True)
class AgentCall:
    """How to start the agent: the program with its first arguments, and the configuration; paths absolute."""

    program: tuple[str, ...]
    config: str

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.program, "agent", "--config", self.config)


def systemd_unit(call: AgentCall) -> str:
    """A unit of a user's own service manager.

    Left out on purpose: what needs a namespace (PrivateTmp, ProtectSystem, ...), because a user's manager can give it
    only where unprivileged user namespaces are allowed, and then hides the sockets of keyring and desktop;
    MemoryDenyWriteExecute, which ctypes does not survive; RestrictNamespaces and SystemCallFilter, because the commands
    that fetch secrets or raise alarms may be sandboxed programs themselves."""
    command = " ".join(_systemd_word(word) for word in call.words)
    return f"""{MARK}
[Unit]
Description=syncengine: calendars, to-dos and mail in step with the activity server
StartLimitIntervalSec=1h
StartLimitBurst=20

[Service]
Type=exec
ExecStart=:{command}
Restart=on-failure
RestartSec={PAUSE}
RestartPreventExitStatus={MENDS_NOTHING}
TimeoutStopSec={STOP}
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
LimitCORE=0
Nice=5

[Install]
WantedBy=default.target
"""


def _systemd_word(word: str) -> str:
    """A quoted word of ExecStart (systemd.service(5)); the colon before the first leaves variables as they are."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return f'"{escaped}"'


def config_of(unit: str) -> str | None:
    """The configuration a unit of ours is for; None: it is not ours."""
    if not unit.startswith(MARK):
        return None
    found = re.search(r'^ExecStart=.* "--config" "((?:[^"\\]|\\.)*)"$', unit, re.M)
    if found is None:
        return None
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], found[1].replace("%%", "%"))


def launchd_agent(call: AgentCall) -> str:
    """A property list for ~/Library/LaunchAgents."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": list(call.words),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": PAUSE,
            "ExitTimeOut": STOP,
            "ProcessType": "Background",
            "Umask": 0o077,
        },
        sort_keys=False,
    ).decode()


def windows_task(call: AgentCall) -> str:
    """The command that makes a task which runs at every log-on of this user, without administrator's rights."""
    line = " ".join(_windows_word(word) for word in call.words)
    return f"schtasks /Create /TN {NAME} /SC ONLOGON /RL LIMITED /F /TR {_windows_word(line)}"


def _windows_word(word: str) -> str:
    """Quoted as CommandLineToArgvW reads it: backslashes count double before a quotation mark only."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', word)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'


@dataclass(frozen=True)
class Guide:
    """For one platform: where the text belongs, and the commands, for a person to give, that start and stop it."""

    place: str
    start: Sequence[str]
    stop: Sequence[str]


GUIDES = {
    "systemd": Guide(
        f"~/.config/systemd/user/{UNIT}",
        ("systemctl --user daemon-reload", f"systemctl --user enable --now {UNIT}"),
        (f"systemctl --user disable --now {UNIT}",),
    ),
    "launchd": Guide(
        f"~/Library/LaunchAgents/{LABEL}.plist",
        (f"launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{LABEL}.plist",),
        (f"launchctl bootout gui/$(id -u)/{LABEL}", f"rm ~/Library/LaunchAgents/{LABEL}.plist"),
    ),
    "windows": Guide(
        "", (f"schtasks /Run /TN {NAME}",), (f"schtasks /End /TN {NAME}", f"schtasks /Delete /TN {NAME} /F")
    ),
}
LINGER = "loginctl enable-linger"
"""Keeps a user's services running while nobody is logged in."""

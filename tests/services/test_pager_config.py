"""[[pager]]: what may stand there, what is said of what may not, and which one is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncengine.config import Config, load
from syncengine.config.pagers import pager_named
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

HEAD = """
[user]
employee = "me@example.com"
[server]
url = "sqlite:///activities.db"
generic_owner = "nobody@example.com"
"""
TAP = '[[pager]]\nname = "beeper"\nconnector = "tap"\n'
PORT = 'modem_port = "/dev/ttyUSB0"\n'
GATEWAY = '[[pager]]\nname = "mail"\nconnector = "gateway"\n'
WEBHOOK = '[[pager]]\nname = "sms"\nconnector = "webhook"\nurl = "https://sms.example.com/x?k=1"\n'


def read(folder: Path, text: str) -> Config:
    (folder / "config.toml").write_text(HEAD + text, encoding="utf-8")
    return load(folder / "config.toml")


def test_the_defaults_are_those_of_the_source(tmp_path: Path) -> None:
    (found,) = read(tmp_path, TAP + PORT).pagers
    assert found.settings == TapSettings(modem=ModemSettings("/dev/ttyUSB0"))
    assert ModemSettings() == ModemSettings(
        "COM1", 300, Line.SEVEN_EVEN, "ATZ", "AT&FQ0V1", "ATDT", "ATX1DT", "ATH", "AT&F"
    )
    assert Dialling() == Dialling("9", "1", "", country=CountryCode.REFUSE)
    assert (TapSettings().first_delay, TapSettings().second_delay) == (12.0, 4.0)
    assert Timing() == Timing(2, 1, 10, 4, 8, 3, 3, 3)


def test_everything_can_be_set(tmp_path: Path) -> None:
    text = """
        modem_port = "socket://modem.example.com:2001"
        speed = 1200
        line = "8N1"
        modem_reset = "ATZ1"
        modem_init = "AT&F1"
        modem_dial = "ATDP"
        modem_keys = "ATX3DT"
        modem_hangup = "ATH0"
        modem_restore = ""
        answer_seconds = 3
        call_seconds = 90
        guard_seconds = 0
        dial_prefix = ","
        long_distance_prefix = ""
        local_area_code = "650"
        local_digits = 0
        international_prefix = "00"
        country = "strip"
        country_code = "49"
        number = "415 555 0100"
        password = "secret"
        escapes = false
        max_characters = 240
        pages_per_call = 1
        timing = { t1 = 1, t2 = 1.5, t3 = 20, t4 = 5, t5 = 6, n1 = 7, n2 = 1, n3 = 2 }
        first_delay = 10
        second_delay = 0
        pin_first = false
        after_keys = 1
        default = true
    """
    (found,) = read(tmp_path, TAP + text).pagers
    modem = ModemSettings(
        "socket://modem.example.com:2001",
        *(1200, Line.EIGHT_NONE, "ATZ1", "AT&F1", "ATDP", "ATX3DT", "ATH0", "", 3.0, 90.0, 0.0),
    )
    assert found.settings == TapSettings(
        Dialling(",", "", "650", 0, "00", CountryCode.STRIP, "49"),
        modem,
        Timing(1, 1.5, 20, 5, 6, 7, 1, 2),
        *("415 555 0100", False, 240, 1, 10.0, 0.0, False, 1.0),
    )
    assert found.secret is not None
    assert (found.secret.get(), found.default) == ("secret", True)


def test_a_gateway_and_a_web_service(tmp_path: Path) -> None:
    gateway = 'address = "{number}@p.example.com"\nprofile = "support"\nsubject = "Page"\nmax_characters = 100\n'
    webhook = 'secret = "hush"\nanswer_seconds = 5\ncountry = "strip"\ncountry_code = "1"\n'
    config = read(tmp_path, GATEWAY + gateway + WEBHOOK + webhook)
    mail, sms = config.pagers
    assert mail.settings == GatewaySettings("{number}@p.example.com", "support", "Page", most=100)
    assert mail.settings.dialling.country is CountryCode.KEEP
    stripping = Dialling(country=CountryCode.STRIP, country_code="1")
    assert sms.settings == WebhookSettings("https://sms.example.com/x?k=1", stripping, seconds=5.0)
    assert [s.account for s in config.secrets] == ["sms"]
    assert "hush" not in repr(config)
    assert "k=1" not in repr(sms) + sms.place


@pytest.mark.skipif(os.name == "nt", reason="there it is COM1")
def test_where_there_is_no_com1_the_modem_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"modem_port is missing: the modem's device, such as /dev/ttyUSB0"):
        read(tmp_path, TAP)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[pager]]\nconnector = "tap"\n' + PORT, r"pager\[1\].name is missing"),
        ('[[pager]]\nname = "x"\nconnector = "tab"\n', 'did you mean "tap"'),
        ("[pager]\nname = 1", r"write each pager service as \[\[pager\]\]"),
        (TAP + PORT + 'dial_prefx = "9"', 'did you mean "dial_prefix"'),
        (TAP + PORT + 'url = "x"', r"pager\[beeper\].url is not a setting"),
        (TAP + PORT + "dial_prefix = 9", "dial_prefix must be a text"),
        (TAP + PORT + 'modem_init = "AT\\rATH"', "modem_init must be letters"),
        (TAP + PORT + 'local_area_code = "65a"', "local_area_code must be digits"),
        (TAP + PORT + "speed = 301", "speed must be one of 110, 300"),
        (TAP + PORT + 'line = "7E2"', "'7E2' is not known"),
        (TAP + PORT + 'country = "keep"', "'keep' is not known"),
        (TAP + PORT + 'country = "strip"', "country_code is missing"),
        (TAP + PORT + "timing = { t6 = 1 }", r"pager\[beeper\].timing.t6 is not a setting"),
        (TAP + PORT + "timing = { t1 = 0 }", "timing.t1 must be seconds"),
        (TAP + PORT + "timing = { n1 = 0 }", "timing.n1 must be a whole number"),
        (TAP + PORT + "timing = 3", "timing must be a table"),
        (TAP + PORT + "first_delay = -1", "first_delay must be seconds"),
        (TAP + PORT + 'escapes = "yes"', "escapes must be true or false"),
        (TAP + PORT + "pages_per_call = 0", "pages_per_call must be a whole number from 1"),
        (TAP + PORT + TAP + PORT, "'beeper' is used twice"),
        (TAP.replace("beeper", "server") + PORT, "'server' is used twice, or by something else"),
        (GATEWAY, 'address must be one such as "{number}@pager.example.com"'),
        (GATEWAY + 'address = "x@example.com"', "address must be"),
        (GATEWAY + 'address = "{number}"', "address must be"),
        (GATEWAY + 'address = "{number}@a, b@example.com"', "address must be"),
        (GATEWAY + 'address = "{name}@example.com"', "address must be"),
        (WEBHOOK, "secret is missing: what requests are signed with"),
        (WEBHOOK.replace("url", "#") + 'secret = "x"', "url is missing"),
        (TAP + PORT + "default = true\n" + WEBHOOK + 'secret = "x"\ndefault = true', "only one can be the default"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


def test_names_match_exactly_and_one_is_the_default(tmp_path: Path) -> None:
    two = TAP + PORT + WEBHOOK + 'secret = "x"\n'
    assert pager_named(read(tmp_path, TAP + PORT).pagers, "").name == "beeper"
    assert pager_named(read(tmp_path, two).pagers, "sms").name == "sms"
    assert pager_named(read(tmp_path, two + "default = true").pagers, "").name == "sms"
    for pagers, name, words in (
        ((), "", "No pager service is configured"),
        (read(tmp_path, two).pagers, "", "None of the pager services is the default"),
        (read(tmp_path, two).pagers, "Sms", "There is no pager service 'Sms'"),
    ):
        with pytest.raises(ConfigError, match=words) as refused:
            pager_named(pagers, name)
    assert 'did you mean "sms"' in refused.value.fix

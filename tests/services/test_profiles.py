"""[[profile]] and [outbound] of the configuration: what is read, and what is refused, with how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.config import Config, load
from syncengine.config.outbound import OutboundConfig
from syncengine.config.profiles import profile_named
from syncengine.errors import ConfigError

BASE = '[user]\nemployee = "me@example.com"\n[server]\nurl = "sqlite:///:memory:"\ngeneric_owner = "g@example.com"\n'
SUPPORT = '[[profile]]\nname = "support"\nfrom = "Support <support@example.com>"\nsmtp = "smtp://mail.example.com"\n'
SALES = '[[profile]]\nname = "sales"\nfrom = "sales@example.com"\nsmtp = "sendmail:"\n'


def read(folder: Path, text: str) -> Config:
    (folder / "config.toml").write_text(BASE + text)
    return load(folder / "config.toml")


def test_without_a_word_there_is_a_queue_with_its_defaults_and_no_profile(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    assert (config.outbound, config.profiles) == (OutboundConfig(), ())
    with pytest.raises(ConfigError, match="No communication profile"):
        profile_named(config.profiles, "", config.outbound.profile)


def test_what_a_profile_says_is_read(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        SUPPORT + 'username = "me"\npassword = "geheim"\npop3 = "pop3s://pop.example.com"\nper_minute = 30\n'
        'certificate = "ca.pem"\n[outbound]\ndate = "%d.%m.%Y"\ntimezone = "Europe/Berlin"\nkeys = ["night"]\n',
    )
    (profile,) = config.profiles
    assert (profile.name, profile.sender, profile.per_minute) == ("support", "Support <support@example.com>", 30)
    assert (profile.pop3_username, profile.pop3_password, profile.password) == (
        "me",
        profile.password,
        profile.password,
    )
    assert profile.certificate == str(tmp_path / "ca.pem")
    assert (config.outbound.date, str(config.outbound.zone), config.outbound.keys) == (
        "%d.%m.%Y",
        "Europe/Berlin",
        ("night",),
    )
    assert "geheim" not in repr(config)
    assert profile.password in config.secrets


def test_names_match_exactly_and_the_near_miss_is_named(tmp_path: Path) -> None:
    config = read(tmp_path, SUPPORT + SALES + '[outbound]\nprofile = "sales"\n')
    assert profile_named(config.profiles, "", config.outbound.profile).name == "sales"
    assert profile_named(config.profiles, "support", "sales").name == "support"
    with pytest.raises(ConfigError) as refused:
        profile_named(config.profiles, "Support", "sales")
    assert 'did you mean "support"?' in refused.value.fix


def test_with_two_profiles_one_must_be_the_default_one_with_one_it_is_that(tmp_path: Path) -> None:
    assert profile_named(read(tmp_path, SUPPORT).profiles, "", "").name == "support"
    with pytest.raises(ConfigError, match="default one"):
        profile_named(read(tmp_path, SUPPORT + SALES).profiles, "", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SUPPORT + "smpt = 1\n", 'did you mean "smtp"?'),
        (SUPPORT.replace("smtp://", "http://"), "no address of such a server"),
        (SUPPORT.replace("smtp://", "smtp://me:pw@"), "have their own settings"),
        (SALES.replace("sendmail:", "sendmail:bin/x"), "no address of such a server"),
        (SUPPORT.replace("support@", "support"), "is no address of mail"),
        (SUPPORT + 'username = "me"\n', "belong together"),
        (SUPPORT + 'pop3 = "pop3s://pop.example.com"\n', "needs pop3_username"),
        (SUPPORT + 'auth = "oauth"\n', 'did you mean "oauth2"?'),
        (SUPPORT + SUPPORT, "used twice"),
        (SUPPORT.replace('"support"', '"alarm"'), "something else"),
        (SUPPORT + '[outbound]\nprofile = "suport"\n', 'did you mean "support"?'),
        ('[outbound]\ndate = "%Q"\n', "no format of a date"),
        ('[outbound]\nmoment = "%9999d"\n', "no format of a date"),
        ('[outbound]\ntimezone = "Mars"\n', "no time zone"),
        ("[outbound]\ntasks = 0\n", "from 1 to 64"),
        ("[outbound]\ntick = 0\n", "more than 0"),
        ("[profile]\n", "[[profile]]"),
        ("outbound = 1\n" + SUPPORT, "write it as [outbound]"),
    ],
)
def test_what_is_wrong_is_refused_with_how_to_mend_it(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text((text + BASE) if text.startswith("outbound") else BASE + text)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "config.toml")
    assert said in refused.value.what


def test_a_secret_in_the_address_of_a_server_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, SUPPORT.replace("smtp://", "smtp://me:geheim@"))
    assert "geheim" not in str(refused.value)

"""Fixtures shared by all tests."""

from hypothesis import settings

pytest_plugins = [
    *("tests.activity_servers", "tests.dav_servers", "tests.cyrus", "tests.imap_server", "tests.postgres"),
    *("tests.smtp_server", "tests.postfix"),
]

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

"""Fixtures shared by all tests."""

pytest_plugins = ["tests.activity_servers", "tests.dav_servers", "tests.postgres"]

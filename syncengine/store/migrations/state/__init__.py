"""Migrations of the client state."""

HEAD = "0006"

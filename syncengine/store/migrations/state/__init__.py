"""Migrations of the client state."""

HEAD = "0005"

"""The activity server's tables, from the first one on."""

HEAD = "0009"
"""The newest revision in `versions/`. A database at HEAD is opened without importing alembic."""

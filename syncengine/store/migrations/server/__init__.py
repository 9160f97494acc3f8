"""The activity server's tables, from the first one on."""

HEAD = "0008"
"""The newest revision in `versions/`. A database at HEAD is opened without importing alembic."""

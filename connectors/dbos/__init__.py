"""Background work by DBOS."""

"""The activity server over HTTP."""

"""Workflow policies (POL-1): `parse` reads them, `evaluate` says when they act, `requests` what is asked for then."""

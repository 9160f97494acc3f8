"""CalDAV (RFC 4791) with WebDAV sync (RFC 6578): `pim` is the connector, `wire` one request and what went wrong with
it, `protocol` XML ↔ values without I/O, `quirks` what servers answer, as a table."""

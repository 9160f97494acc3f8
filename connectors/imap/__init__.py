"""IMAP (RFC 3501, RFC 9051), read-only: `mailbox` is the connector, `wire` the connection and what went wrong with it,
`known` what was seen of a folder and what that means now (no I/O), `quirks` what servers differ in, as tables."""

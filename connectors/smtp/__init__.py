"""Mail handed to a server by SMTP (RFC 5321)."""

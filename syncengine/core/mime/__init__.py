"""Mail. `message_id` tells which message it is, `content` tells that of one without an id, `text` reads what headers
spell in odd ways."""

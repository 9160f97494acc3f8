"""Pages by email, through a gateway that turns a message into a page."""

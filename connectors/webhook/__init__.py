"""Pages by HTTP, to a service of one's own or an SMS provider."""

"""What processes that run for long have in common: their log, and how signals end them."""

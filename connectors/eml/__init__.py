"""A folder of `.eml` files, one message each, as mail programs save them."""

"""Ways to tell a person that something is wrong."""

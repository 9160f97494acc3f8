"""A worker: carries out what is asked for in the background, emails, pages and changes first of all (OUT-1)."""

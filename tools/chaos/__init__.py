"""Attacks over HTTP, faults, and a soak: what keeps working, what is answered, and how soon it is well again."""

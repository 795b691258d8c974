"""One suite over every function: what any of them promises whoever calls it."""

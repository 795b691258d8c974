"""Fuzzing: every parser that meets a stranger's bytes, guided by coverage; every function over HTTP by its schema."""

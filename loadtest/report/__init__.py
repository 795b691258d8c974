"""The report of a run: figure, numbers and verdicts as HTML and Markdown.

The command `python -m loadtest` imports it.
"""

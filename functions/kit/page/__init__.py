"""The shell of the HTML pages and the renderer that puts a page's fragment into it.

`functions.kit.http` and the engine's console import it.
"""

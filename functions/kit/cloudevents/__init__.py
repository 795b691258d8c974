"""CloudEvents over HTTP: the binding, attributes, chained results, data by reference, replies and the mailbox.

`functions.kit.http` and the engine's broker import it.
"""

"""Writing of formats whose parts are independent of one another: no offset and no checksum names another part."""

from __future__ import annotations

from collections.abc import Mapping

from functions.kit.containers.packing import ContainerError, pack
from functions.kit.containers.parts import Changes, Document, Kind, Splices


def splice(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> Splices:
    """The changes as spliced content between the header and the end of each part.

    Raises:
        ContainerError: a block is to be added.
    """
    if added:
        raise ContainerError(f"blocks cannot be added to a {document.format}")
    source, edits = document.source, dict[tuple[int, int], bytes]()
    for part, content in changes.items():
        for member in document.members(part):
            edits[member.start, member.end] = b""
        if content is not None:
            body, stop = (part.body, part.stop) if part.body >= 0 else (part.start, part.end)
            new = pack(part.packing, content, part.name)
            edits[part.start, part.end] = source.read(part.start, body) + new + source.read(stop, part.end)
    return Splices(source, edits)

"""What content credentials (C2PA) state: who made a picture with what, what was done to it, and of what it was made.

Nothing of it is verified: a signature is present or not, its trust is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from functions.exif.blocks.jumbf import Box, parsed, readable
from functions.kit.jsontypes import Json, JsonObject

if TYPE_CHECKING:
    from functions.exif.rows import Reading

MAX_LISTED = 64
MAX_TEXT = 400


def credentials(reading: Reading) -> JsonObject | None:
    """The active manifest of a file; None where it has none."""
    manifests = [box for top in reading.credentials for box in top.walk() if _child(box, "c2pa.claim") is not None]
    if not manifests:
        return None
    active = manifests[-1]
    claim = _claim(active)
    assertions = [box for store in _children(active, "c2pa.assertions") for box in store.inner]
    contents = [(box.label, value) for box in assertions for value in _values(box)]
    answer = {
        "manifests": len(manifests),
        "label": active.label,
        "claim_generator": _generator(claim),
        "title": _text(claim.get("dc:title")),
        "format": _text(claim.get("dc:format")),
        "assertions": [box.label for box in assertions[:MAX_LISTED]],
        "actions": list(_actions(contents))[:MAX_LISTED],
        "ingredients": list(_ingredients(contents))[:MAX_LISTED],
        "authors": list(dict.fromkeys(_authors(contents)))[:MAX_LISTED],
    }
    return {
        **{name: value for name, value in answer.items() if value},
        "signature": "present" if _child(active, "c2pa.signature") is not None else "absent",
        "trust": "not checked",
    }


def _children(box: Box, label: str) -> list[Box]:
    """Superboxes by a label, of any version: `c2pa.claim.v2` is a `c2pa.claim`."""
    return [one for one in box.inner if one.label == label or one.label.startswith((f"{label}.v", f"{label}__"))]


def _child(box: Box, label: str) -> Box | None:
    found = _children(box, label)
    return found[0] if found else None


def _values(box: Box) -> Iterator[JsonObject]:
    """The structures of a box."""
    for kind, _, data in box.content:
        if kind in (b"cbor", b"json"):
            yield from (value for value in parsed(kind, data) or () if isinstance(value, dict))


def _claim(manifest: Box) -> JsonObject:
    box = _child(manifest, "c2pa.claim")
    return next(_values(box), {}) if box is not None else {}


def _generator(claim: JsonObject) -> str:
    """The program that made the claim: its text, or name and version of its structure."""
    stated = claim.get("claim_generator")
    if isinstance(stated, str) and stated:
        return _text(stated)
    return _program(claim.get("claim_generator_info"))


def _program(info: Json) -> str:
    if isinstance(info, list):
        info = info[0] if info else None
    if isinstance(info, dict):
        return " ".join(filter(None, (_text(info.get("name")), _text(info.get("version")))))
    return _text(info)


def _actions(contents: list[tuple[str, JsonObject]]) -> Iterator[dict[str, str]]:
    for label, value in contents:
        actions = value.get("actions")
        if label.startswith("c2pa.actions") and isinstance(actions, list):
            for action in actions:
                if isinstance(action, dict):
                    found = {
                        "action": _text(action.get("action")),
                        "when": _text(action.get("when")),
                        "software": _program(action.get("softwareAgent")),
                        "source": _text(action.get("digitalSourceType")).strip().rpartition("/")[2],
                        "description": _text(action.get("description")),
                    }
                    yield {name: text for name, text in found.items() if text}


def _ingredients(contents: list[tuple[str, JsonObject]]) -> Iterator[dict[str, str]]:
    for label, value in contents:
        if label.startswith("c2pa.ingredient"):
            found = {
                "title": _text(value.get("dc:title")),
                "format": _text(value.get("dc:format")),
                "relationship": _text(value.get("relationship")),
            }
            yield {name: text for name, text in found.items() if text}


def _authors(contents: list[tuple[str, JsonObject]]) -> Iterator[str]:
    """Names of persons: of creative works, of rights statements, of verified identities."""
    for _, value in contents:
        for key in ("author", "creator", "dc:creator", "authorName", "verifiedIdentities"):
            held = value.get(key)
            for one in held if isinstance(held, list) else [held]:
                name = one.get("name") or one.get("username") if isinstance(one, dict) else one
                if isinstance(name, str) and name:
                    yield _text(name)


def _text(value: Json) -> str:
    return "" if value is None else str(readable(value))[:MAX_TEXT]

"""Kustomizations, as far as overlays of Knative objects need them.

Understands resources, patches (JSON 6902 and merge), images, namespace, labels and annotations; any other field is
refused by name rather than passed over, for a manifest half rendered is a wrong one. `kubectl kustomize` is the oracle
of the tests. A merge patch of a custom resource replaces lists, as kustomize does where it has no schema.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from knative.local.jsontypes import Json, JsonMapping
from knative.local.manifests.findings import Finding, ManifestError, Path
from knative.local.manifests.source import Document, read_file, read_text

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FIELDS = {
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "patches",
    "images",
    "namespace",
    "labels",
    "commonAnnotations",
}


@dataclass(frozen=True)
class Built:
    """What a kustomization renders to, and every file it read."""

    documents: tuple[Document, ...]
    files: tuple[FilePath, ...]


def build(folder: FilePath) -> Built:
    """Render a kustomization.

    Args:
        folder: the folder that holds it.

    Raises:
        ManifestError: a file is missing or malformed, or the kustomization asks for what is not understood here.
    """
    return _build(folder, ())


def _build(folder: FilePath, parents: tuple[FilePath, ...]) -> Built:
    source = next((folder / name for name in KUSTOMIZATION_NAMES if (folder / name).is_file()), None)
    if source is None:
        names = ", ".join(KUSTOMIZATION_NAMES)
        raise ManifestError([Finding(f"unable to find one of {names} in directory '{folder}'")])
    documents = read_file(source)
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        raise ManifestError(
            [Finding("a kustomization is one document", position=Document({}, str(source)).position(()))]
        )
    kustomization = _Kustomization(documents[0], folder)
    kustomization.check()
    if folder.resolve() in parents:
        raise kustomization.error(f"cycle detected: {folder} is among its own resources", ("resources",))
    files = [source]
    objects: list[Document] = []
    for index, entry in enumerate(kustomization.listed("resources")):
        path = folder / str(entry)
        if path.is_dir():
            inner = _build(path, (*parents, folder.resolve()))
            objects += inner.documents
            files += inner.files
        elif not path.is_file():
            message = f"accumulating resources from '{entry}': no such file or folder"
            raise kustomization.error(message, ("resources", index))
        elif not path.resolve().is_relative_to(folder.resolve()):
            message = f"security; file '{entry}' is not in or below '{folder}'"
            raise kustomization.error(message, ("resources", index))
        else:
            objects += read_file(path)
            files.append(path)
    for index, patch in enumerate(kustomization.listed("patches")):
        objects, patch_file = kustomization.patched(objects, patch, ("patches", index))
        files += [patch_file] if patch_file else []
    return Built(tuple(kustomization.transformed(item) for item in objects), tuple(files))


class _Kustomization:
    """One kustomization file and what it does to the objects of its resources."""

    def __init__(self, document: Document, folder: FilePath) -> None:
        self._document = document
        self._folder = folder
        self._data: JsonMapping = document.data

    def error(self, message: str, path: Path) -> ManifestError:
        finding = Finding(message, (path,), rule="kustomization", position=self._document.position(path))
        return ManifestError([finding])

    def check(self) -> None:
        for field in self._data:
            if field not in _FIELDS:
                advice = "not understood here: render with `kubectl kustomize` and give the result"
                raise self.error(f"kustomization field {field} is {advice}", (field,))

    def listed(self, field: str) -> list[Json]:
        value = self._data.get(field) or []
        if not isinstance(value, list):
            raise self.error(f"{field} must be a list", (field,))
        return value

    def patched(self, objects: Sequence[Document], patch: Json, path: Path) -> tuple[list[Document], FilePath | None]:
        """The objects with one entry of `patches` applied, and the file it came from."""
        if not isinstance(patch, dict) or bool(patch.get("path")) == bool(patch.get("patch")):
            raise self.error("must specify one of patch and path in each patch", path)
        file = self._folder / str(patch["path"]) if patch.get("path") else None
        contents = read_file(file) if file else read_text(str(patch["patch"]), f"{self._document.file} (patch)")
        result = list(objects)
        for content in contents:
            target = patch.get("target") or _identity(content.data)
            if target is None:
                raise self.error("must specify a target for JSON patch", path)
            chosen = [index for index, item in enumerate(result) if _matches(item.data, target)]
            if not chosen and not patch.get("target"):
                raise self.error(f"no resource matches strategic merge patch {target['kind']}/{target['name']}", path)
            for index in chosen:
                try:
                    data = _apply(copy.deepcopy(result[index].data), content.data)
                except (KeyError, IndexError, ValueError, TypeError) as reason:
                    raise self.error(
                        f"cannot apply the patch to {_label(result[index].data)}: {reason}", path
                    ) from None
                result[index] = replace(result[index], data=data)
            result = [item for item in result if item.data is not None]
        return result, file

    def transformed(self, document: Document) -> Document:
        """An object with namespace, labels, annotations and images set."""
        data = copy.deepcopy(document.data)
        metadata = data.setdefault("metadata", {})
        if self._data.get("namespace"):
            metadata["namespace"] = self._data["namespace"]
        for index, entry in enumerate(self.listed("labels")):
            if entry.get("includeSelectors") or entry.get("includeTemplates"):
                raise self.error("labels of selectors and templates are not understood here", ("labels", index))
            metadata.setdefault("labels", {}).update(entry.get("pairs") or {})
        if self._data.get("commonAnnotations"):
            metadata.setdefault("annotations", {}).update(self._data["commonAnnotations"])
        images = self.listed("images")
        return replace(document, data=_with_images(data, images) if images else data)


def _label(data: JsonMapping) -> str:
    return f"{data.get('kind')}/{(data.get('metadata') or {}).get('name')}"


def _identity(patch: Json) -> dict[str, str] | None:
    """The target of a merge patch, which it names itself."""
    if not isinstance(patch, dict):
        return None
    group, _, version = str(patch.get("apiVersion", "")).rpartition("/")
    name = re.escape(str((patch.get("metadata") or {}).get("name", "")))
    return {"group": group, "version": version, "kind": str(patch.get("kind", "")), "name": name}


def _matches(data: JsonMapping, target: JsonMapping) -> bool:
    """Whether an object is a patch's target: each field given is an anchored regular expression."""
    group, _, version = str(data.get("apiVersion", "")).rpartition("/")
    metadata = data.get("metadata") or {}
    actual = {
        "group": group,
        "version": version,
        "kind": str(data.get("kind", "")),
        "name": str(metadata.get("name", "")),
        "namespace": str(metadata.get("namespace", "")),
    }
    if not all(re.fullmatch(str(target[key]), value) for key, value in actual.items() if target.get(key)):
        return False
    wanted = dict(term.split("=", 1) for term in str(target.get("labelSelector") or "").split(",") if "=" in term)
    labels = metadata.get("labels") or {}
    return all(labels.get(key.strip()) == value.strip() for key, value in wanted.items())


def _apply(data: Json, patch: Json) -> Json:
    """An object with a JSON 6902 patch (a list) or a merge patch (an object) applied; None if it is to go."""
    if isinstance(patch, list):
        for operation in patch:
            _operate(data, operation)
        return data
    if not isinstance(patch, dict):
        raise TypeError("a patch is a list of operations or a partial object")
    return None if patch.get("$patch") == "delete" else _merge(data, patch)


def _merge(data: Json, patch: Json) -> Json:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(data) if isinstance(data, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result


def _operate(data: Json, operation: JsonMapping) -> None:
    """One operation of RFC 6902, in place."""
    kind, pointer = operation["op"], _pointer(operation["path"])
    if kind in {"move", "copy"}:
        origin = _pointer(operation["from"])
        value = copy.deepcopy(_get(data, origin))
        if kind == "move":
            _remove(data, origin)
        _add(data, pointer, value)
    elif kind == "add":
        _add(data, pointer, operation["value"])
    elif kind == "remove":
        _remove(data, pointer)
    elif kind == "replace":
        _get(data, pointer)
        parent = _get(data, pointer[:-1])
        parent[_key(parent, pointer[-1])] = operation["value"]
    elif kind == "test":
        if _get(data, pointer) != operation["value"]:
            raise ValueError(f"testing value {operation['path']} failed")
    else:
        raise ValueError(f"unexpected kind of operation: {kind}")


def _pointer(text: str) -> list[str]:
    if not text.startswith("/"):
        raise ValueError(f"a JSON pointer begins with a slash: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _key(parent: Json, part: str) -> Json:
    return int(part) if isinstance(parent, list) else part


def _get(data: Json, pointer: Sequence[str]) -> Json:
    for part in pointer:
        data = data[_key(data, part)]
    return data


def _add(data: Json, pointer: Sequence[str], value: Json) -> None:
    parent = _get(data, pointer[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if pointer[-1] == "-" else int(pointer[-1]), value)
    else:
        parent[pointer[-1]] = value


def _remove(data: Json, pointer: Sequence[str]) -> None:
    parent = _get(data, pointer[:-1])
    del parent[_key(parent, pointer[-1])]


def _with_images(data: Json, images: Sequence[Mapping[str, str]]) -> Json:
    """The object with the images of its containers renamed."""
    if isinstance(data, list):
        return [_with_images(item, images) for item in data]
    if not isinstance(data, dict):
        return data
    result = {key: _with_images(value, images) for key, value in data.items()}
    for key in ("containers", "initContainers"):
        for container in result.get(key) or [] if isinstance(result.get(key), list) else []:
            if isinstance(container, dict) and isinstance(container.get("image"), str):
                container["image"] = _renamed(container["image"], images)
    return result


def _renamed(image: str, images: Sequence[Mapping[str, str]]) -> str:
    found = re.fullmatch(r"(?P<name>.+?)(?::(?P<tag>[^:/@]+))?(?:@(?P<digest>.+))?", image)
    if found is None:
        return image
    for entry in images:
        if entry.get("name") == found["name"]:
            name = entry.get("newName") or found["name"]
            if entry.get("digest"):
                return f"{name}@{entry['digest']}"
            if entry.get("newTag"):
                return f"{name}:{entry['newTag']}"
            return name + image[len(found["name"]) :]
    return image

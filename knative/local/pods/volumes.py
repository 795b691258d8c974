"""The volumes of a pod as files: ConfigMaps, Secrets, projected sources and empty directories."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knative.local.jsontypes import JsonMapping
from knative.local.manifests.grammar import parse_quantity
from knative.local.pods.environment import Objects

_DEFAULT_MODE = 0o644


@dataclass(frozen=True)
class File:
    """One file of a volume."""

    data: bytes
    mode: int = _DEFAULT_MODE


@dataclass(frozen=True)
class Volume:
    """A volume of a pod.

    Attributes:
        name: As mounts refer to it.
        files: What it holds, by relative path; empty for an empty directory.
        empty: Whether it is an empty directory that the program may fill.
        memory: Whether the empty directory is in memory.
        size_limit: Bytes it may hold, or None.
    """

    name: str
    files: Mapping[str, File] = field(default_factory=dict)
    empty: bool = False
    memory: bool = False
    size_limit: int | None = None


@dataclass(frozen=True)
class Mount:
    """Where a volume appears in the container."""

    volume: str
    path: str
    sub_path: str = ""
    read_only: bool = False


def mounts(container: JsonMapping) -> tuple[Mount, ...]:
    """The mounts of a container."""
    return tuple(
        Mount(one["name"], one["mountPath"], one.get("subPath") or "", bool(one.get("readOnly")))
        for one in container.get("volumeMounts") or ()
    )


def volumes(spec: JsonMapping, namespace: str, objects: Objects) -> tuple[Volume, ...]:
    """The volumes of a revision.

    Raises:
        ValueError: An object or key is missing, or a value cannot be read.
    """
    return tuple(_volume(one, namespace, objects) for one in spec.get("volumes") or ())


def _volume(data: JsonMapping, namespace: str, objects: Objects) -> Volume:
    name = data["name"]
    if "emptyDir" in data:
        options = data["emptyDir"] or {}
        limit = options.get("sizeLimit")
        size = None if limit is None else int(parse_quantity(str(limit)))
        return Volume(name, empty=True, memory=options.get("medium") == "Memory", size_limit=size)
    if "projected" in data:
        projected = data["projected"] or {}
        mode = projected.get("defaultMode", _DEFAULT_MODE)
        files: dict[str, File] = {}
        for source in projected.get("sources") or ():
            for kind, key in (("ConfigMap", "configMap"), ("Secret", "secret")):
                if key in source:
                    files |= _files(kind, source[key], source[key].get("name"), mode, namespace, objects)
        return Volume(name, files)
    for kind, key, named in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
        if key in data:
            mode = data[key].get("defaultMode", _DEFAULT_MODE)
            return Volume(name, dict(_files(kind, data[key], data[key].get(named), mode, namespace, objects)))
    return Volume(name)


def _files(
    kind: str, source: JsonMapping, name: str | None, mode: int, namespace: str, objects: Objects
) -> dict[str, File]:
    found = objects.get((kind, namespace, name or ""))
    optional = bool(source.get("optional"))
    if found is None:
        if optional:
            return {}
        raise ValueError(f"there is no {kind} {name}")
    content = dict(_content(kind, found))
    if source.get("items") is None:
        return {key: File(data, mode) for key, data in content.items()}
    files = {}
    for item in source["items"]:
        key, path = item["key"], item["path"]
        if key not in content:
            if optional:
                continue
            raise ValueError(f"{kind} {name} has no key {key}")
        if path.startswith("/") or ".." in Path(path).parts:
            raise ValueError(f"{kind} {name}: the path {path} leaves the volume")
        files[path] = File(content[key], item.get("mode", mode))
    return files


def _content(kind: str, found: JsonMapping) -> Iterator[tuple[str, bytes]]:
    for field_name, encoded in (("data", kind == "Secret"), ("binaryData", True), ("stringData", False)):
        values = found.get(field_name) or {}
        if not isinstance(values, Mapping):
            raise ValueError(f"{kind} {found['metadata']['name']}: {field_name} is not a map")
        for key, value in values.items():
            try:
                yield key, base64.b64decode(value, validate=False) if encoded else str(value).encode()
            except (ValueError, TypeError):
                raise ValueError(f"{kind} {found['metadata']['name']}: the value of {key} is not base64") from None


def write(volume: Volume, folder: Path) -> None:
    """Write the files of a volume into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777 if volume.empty else 0o755)
    for path, file in volume.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.data)
        target.chmod(file.mode)

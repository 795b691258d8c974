"""The one store of Kubernetes objects: versions, optimistic locking, ownership and watches. Pure but for the watch.

    store = Store()
    made = store.create("services.serving.knative.dev", {"metadata": {"name": "exif", "namespace": "default"}, …})
    changed = thaw(made)                                     # a plain copy
    changed["spec"]["template"]["spec"]["timeoutSeconds"] = 60
    store.update("services.serving.knative.dev", changed)    # ConflictError if another writer came first
    async for type_, object_, version in store.watch("pods", "default", since=store.version): …

Every object handed out is read-only (`frozen`): readers share it with the store, and none can change it past its
version. A writer changes a copy and hands that to `update`, which refuses it unless its `resourceVersion` is the
stored one. All methods belong to one thread, that of the event loop.
"""

from __future__ import annotations

import secrets
import time
import uuid
from builtins import list as List  # noqa: N812 - `list` is a method of the store
from collections import defaultdict
from collections.abc import Callable, Iterator

from knative.local.api.errors import AlreadyExistsError, ConflictError, NotFoundError
from knative.local.api.frozen import freeze
from knative.local.api.history import Change, History, Object, Watch
from knative.local.jsontypes import JsonMapping

Key = tuple[str, str]  # namespace and name
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # of generated names, as Kubernetes spells them
_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 58
_GRACEFUL = frozenset({"pods"})
_KEPT_IN_UPDATES = (
    *("uid", "creationTimestamp", "generation", "resourceVersion", "generateName"),
    *("deletionTimestamp", "deletionGracePeriodSeconds"),
)
_WITHOUT_GENERATION = frozenset({"configmaps", "secrets", "namespaces", "events"})


class Store:
    """All objects.

    Args:
        clock: Seconds since the epoch, for timestamps.
        version: The last `resourceVersion` given in an earlier run.

    Attributes:
        version: The last `resourceVersion` given. Each change has its own, one more than the one before.
        on_change: Called in turn after each change with the resource, the type and the object; none may raise.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, version: int = 0) -> None:
        self.version = version
        self.on_change: list[Callable[[str, str, Object], None]] = []
        self._clock = clock
        self._begun = version
        self._objects: dict[str, dict[Key, Object]] = defaultdict(dict)
        self._histories: dict[str, History] = {}
        self._owned: dict[str, set[tuple[str, Key]]] = defaultdict(set)  # by the owner's uid

    # Reading

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """Return an object.

        Raises:
            NotFoundError: The object does not exist.
        """
        try:
            return self._objects[resource][namespace, name]
        except KeyError:
            raise NotFoundError(resource, name) from None

    def list(self, resource: str, namespace: str = "") -> List[Object]:
        """Return the objects of a resource by namespace and name, of one namespace or of all."""
        found = self._objects[resource]
        return [found[key] for key in sorted(found) if namespace in ("", key[0])]

    def everything(self) -> Iterator[tuple[str, Object]]:
        """Yield all objects, each with its resource."""
        for resource in sorted(self._objects):
            yield from ((resource, found) for found in self.list(resource))

    def owned(self, uid: str) -> List[tuple[str, Object]]:
        """Return the objects that have an owner, each with its resource."""
        return [(resource, self._objects[resource][key]) for resource, key in sorted(self._owned.get(uid, ()))]

    def watch(self, resource: str, namespace: str = "", since: int | None = None) -> Watch:
        """Return the changes after a version, or from now on.

        Raises:
            GoneError: Changes since then are no longer kept.
        """
        since = self.version if since is None else since
        return Watch(self._history(resource), namespace, since, lambda: self.version)

    # Writing

    def create(self, resource: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Add an object; `generateName` supplies a missing name.

        Raises:
            AlreadyExistsError: There is one of this name.
            ValueError: It has neither a name nor `generateName`.
        """
        metadata = {
            key: value for key, value in obj["metadata"].items() if key not in ("deletionTimestamp", "selfLink")
        }
        namespace = metadata.get("namespace", "")
        if not metadata.get("name"):
            metadata["name"] = self._generated(resource, namespace, metadata.get("generateName", ""))
        key = (namespace, metadata["name"])
        if key in self._objects[resource]:
            raise AlreadyExistsError(resource, metadata["name"])
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.timestamp()}
        metadata.pop("generation", None)
        if resource not in _WITHOUT_GENERATION:
            metadata["generation"] = 1
        return self._put(resource, key, {**obj, "metadata": metadata}, ADDED, dry_run)

    def update(self, resource: str, obj: Object, *, status: bool = False, dry_run: bool = False) -> Object:
        """Replace an object, or only its status; nothing happens, and its version stays, if nothing differs.

        Without a `resourceVersion` the stored object is replaced whatever its version.

        Raises:
            NotFoundError: The object does not exist.
            ConflictError: Its `resourceVersion` or its `uid` is another.
        """
        given = obj["metadata"]
        stored = self.get(resource, given.get("namespace", ""), given["name"])
        self._require(resource, stored, given.get("uid", ""), given.get("resourceVersion", ""))
        kept = stored["metadata"]
        if status:
            merged = {name: value for name, value in stored.items() if name != "status"}
            if "status" in obj:
                merged["status"] = obj["status"]
            metadata = dict(kept)
        else:
            merged = {name: value for name, value in obj.items() if name != "status"}
            if "status" in stored:
                merged["status"] = stored["status"]
            metadata = {key: value for key, value in given.items() if key not in _KEPT_IN_UPDATES}
            metadata |= {key: kept[key] for key in _KEPT_IN_UPDATES if key in kept}
        if {**merged, "metadata": metadata} == stored:
            return stored
        if "generation" in metadata and _specified(merged) != _specified(stored):
            metadata["generation"] += 1
        key = (kept.get("namespace", ""), kept["name"])
        return self._put(resource, key, {**merged, "metadata": metadata}, MODIFIED, dry_run)

    def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        orphan: bool = False,
        now: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Remove an object, with what it owns and, of a namespace, what is in it.

        A Pod gets a `deletionTimestamp` alone: it is removed once it has ended.

        Args:
            resource: Whose object it is.
            namespace: Of the object; empty for one of the cluster.
            name: Of the object.
            uid: A precondition, where not empty.
            resource_version: Another.
            orphan: Keep what it owns; those objects lose the reference.
            now: Remove a Pod, too.
            dry_run: Only check.

        Returns:
            The object as it was last, with the version of its removal.

        Raises:
            NotFoundError: The object does not exist.
            ConflictError: A precondition does not hold.
        """
        stored = self.get(resource, namespace, name)
        self._require(resource, stored, uid, resource_version)
        if dry_run:
            return stored
        metadata = stored["metadata"]
        if resource in _GRACEFUL and not now:
            return self._terminate(resource, stored)
        self._forget(resource, (namespace, name), stored)
        del self._objects[resource][namespace, name]
        removed = self._record(resource, DELETED, {**stored, "metadata": dict(metadata)})
        for dependent, owned in self.owned(metadata["uid"]):
            self._release(dependent, owned, metadata["uid"], orphan)
        if resource == "namespaces":
            for inside, found in tuple(self.everything()):
                held = found["metadata"]
                # What owns another has removed it already.
                if held.get("namespace") == name and (name, held["name"]) in self._objects[inside]:
                    self.delete(inside, name, held["name"])
        return removed

    def _terminate(self, resource: str, stored: Object) -> Object:
        metadata = stored["metadata"]
        if "deletionTimestamp" in metadata:
            return stored
        grace = (stored.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
        leaving = {**metadata, "deletionTimestamp": self.timestamp(), "deletionGracePeriodSeconds": grace}
        key = (metadata.get("namespace", ""), metadata["name"])
        return self._put(resource, key, {**stored, "metadata": leaving}, MODIFIED, dry_run=False)

    def restore(self, resource: str, obj: Object) -> None:
        """Add an object of an earlier run as it was; no change is recorded."""
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        self._objects[resource][key] = freeze(obj)
        self._remember(resource, key, obj)

    def timestamp(self) -> str:
        """Return the time as Kubernetes writes it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))

    # Inside

    def _generated(self, resource: str, namespace: str, prefix: str) -> str:
        if not prefix:
            raise ValueError("metadata.name: Required value: name or generateName is required")
        while True:
            suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
            name = prefix[:_LONGEST_PREFIX] + suffix
            if (namespace, name) not in self._objects[resource]:
                return name

    def _require(self, resource: str, stored: Object, uid: str, version: str) -> None:
        metadata = stored["metadata"]
        if uid and uid != metadata["uid"]:
            reason = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
            raise ConflictError(resource, metadata["name"], reason)
        if version and version != metadata["resourceVersion"]:
            reason = "the object has been modified; please apply your changes to the latest version and try again"
            raise ConflictError(resource, metadata["name"], reason)

    def _put(self, resource: str, key: Key, obj: Object, type_: str, dry_run: bool) -> Object:
        if dry_run:
            return freeze(obj)  # type: ignore[no-any-return]
        before = self._objects[resource].get(key)
        if before is not None:
            self._forget(resource, key, before)
        # Stored before it is recorded: callbacks about the change find the object.
        stored = self._versioned(obj)
        self._objects[resource][key] = stored
        self._remember(resource, key, stored)
        return self._announce(resource, type_, stored)

    def _record(self, resource: str, type_: str, obj: Object) -> Object:
        return self._announce(resource, type_, self._versioned(obj))

    def _versioned(self, obj: Object) -> Object:
        self.version += 1
        return freeze({**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}})  # type: ignore[no-any-return]

    def _announce(self, resource: str, type_: str, obj: Object) -> Object:
        self._history(resource).append(Change(type_, obj, self.version))
        for callback in tuple(self.on_change):
            callback(resource, type_, obj)
        return obj

    def _history(self, resource: str) -> History:
        return self._histories.setdefault(resource, History(self._begun))

    def _remember(self, resource: str, key: Key, obj: Object) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            self._owned[reference["uid"]].add((resource, key))

    def _forget(self, resource: str, key: Key, obj: Object) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            held = self._owned[reference["uid"]]
            held.discard((resource, key))
            if not held:
                del self._owned[reference["uid"]]

    def _release(self, resource: str, obj: Object, uid: str, orphan: bool) -> None:
        """Take one owner, who is removed, from an object; without another it is removed as well."""
        metadata = obj["metadata"]
        if (metadata.get("namespace", ""), metadata["name"]) not in self._objects[resource]:
            return  # another that was removed with the owner owned it too
        others = [one for one in metadata["ownerReferences"] if one["uid"] != uid]
        if others or orphan:
            kept = {key: value for key, value in metadata.items() if key not in ("ownerReferences", "resourceVersion")}
            self.update(resource, {**obj, "metadata": {**kept, **({"ownerReferences": others} if others else {})}})
        else:
            self.delete(resource, metadata.get("namespace", ""), metadata["name"])


def _specified(obj: JsonMapping) -> Object:
    """Return what a generation counts changes of: all but metadata and status."""
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}

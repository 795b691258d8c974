"""The verbs that change objects: create, update, patch, delete and deletecollection."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from knative.local.api import last_applied, managed_fields, patches
from knative.local.api.admission import AdmissionError, Operation, admission
from knative.local.api.admission import warnings as warnings_of
from knative.local.api.definitions import STATUS, Kind
from knative.local.api.errors import AlreadyExistsError, ConflictError, NotFoundError
from knative.local.api.http.incoming import check_object, check_status, core_rules, identified, pruned
from knative.local.api.http.reads import Page, selection, stored, versioned
from knative.local.api.http.request import Options, Target, check_dry_run, decode, duplicates, media_type
from knative.local.api.http.status import (
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    not_found,
    success,
)
from knative.local.api.kinds import ALL
from knative.local.api.managed_fields import ApplyConflictError, Manager
from knative.local.api.patches import PatchError
from knative.local.api.store import Store
from knative.local.jsontypes import Json, JsonMapping, JsonObject
from knative.local.manifests.cluster import Cluster

Object = JsonObject

_KEPT_NAMESPACES = frozenset({"default", "kube-system", "knative-serving", "knative-eventing"})


@dataclass(frozen=True)
class Sent:
    """A body and what its headers say.

    Attributes:
        body: the bytes.
        content_type: the header.
        agent: the User-Agent.
    """

    body: bytes
    content_type: str = ""
    agent: str = ""


@dataclass(frozen=True)
class Done:
    """The object after a change, the HTTP status of the response, and warnings."""

    object: Object
    code: int = 200
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Writes:
    """The verbs that change objects.

    Attributes:
        store: the objects.
        cluster: returns the cluster's configuration at the time.
    """

    store: Store
    cluster: Callable[[], Cluster]
    # Writing

    def create(self, at: Target, options: Options, sent: Sent) -> Done:
        """Create an object.

        Raises:
            StatusError: the object exists, cannot be read, or is refused.
        """
        value, twice = _read(sent)
        obj, warnings = pruned(check_object(value, at), at, options.validation, twice)
        versioned_already = obj["metadata"].get("resourceVersion") not in (None, "", "0")
        obj = identified(obj, at, creating=True)
        obj.pop("status", None)
        self._require_namespace(at)
        if versioned_already:
            self._admit(at, deepcopy(obj), None)
            raise bad_request("resourceVersion should not be set on objects to be created")
        entries = managed_fields.after_update(None, obj, self._manager(at, options, sent), self.store.timestamp())
        return self._add(at, obj, entries, warnings, dry_run=options.dry_run)

    def _add(self, at: Target, obj: Object, entries: list[Object], warnings: list[str], *, dry_run: bool) -> Done:
        obj = self._admit(at, obj, None)
        obj["metadata"]["managedFields"] = entries
        try:
            made = self.store.create(at.kind.resource, obj, dry_run=dry_run)
        except AlreadyExistsError:
            raise already_exists(at.kind, str(obj["metadata"].get("name"))) from None
        return Done(versioned(made, at), 201, [*warnings, *warnings_of(obj)])

    def _exists(self, at: Target, name: str) -> bool:
        try:
            self.store.get(at.kind.resource, at.namespace, name)
        except NotFoundError:
            return False
        return True

    def update(self, at: Target, options: Options, sent: Sent) -> Done:
        """Replace an object, or its status alone.

        Raises:
            StatusError: the object does not exist, it was changed meanwhile, or the new one is refused.
        """
        old = stored(self.store, at)
        value, twice = _read(sent)
        obj, warnings = pruned(check_object(value, at), at, options.validation, twice)
        obj = identified(obj, at, creating=False)
        return self._replace(at, old, obj, warnings, self._manager(at, options, sent), dry_run=options.dry_run)

    def _replace(
        self, at: Target, old: Object, obj: Object, warnings: list[str], manager: Manager, *, dry_run: bool
    ) -> Done:
        self._check_stale(at, old, obj)
        check_status(obj, at)
        obj["metadata"]["managedFields"] = managed_fields.after_update(old, obj, manager, self.store.timestamp())
        return self._store(at, old, obj, warnings, dry_run=dry_run)

    def _store(self, at: Target, old: Object, obj: Object, warnings: list[str], *, dry_run: bool) -> Done:
        status = at.subresource == STATUS
        if not status:
            entries = obj["metadata"].get("managedFields")
            obj = self._admit(at, obj, old)
            obj["metadata"]["managedFields"] = entries
            warnings = [*warnings, *warnings_of(obj)]
        if _unchanged(obj, old, status=status):
            return Done(versioned(old, at), 200, warnings)
        try:
            updated = self.store.update(at.kind.resource, obj, status=status, dry_run=dry_run)
        except ConflictError as error:
            raise conflict(at.kind, at.name, str(error)) from None
        except NotFoundError:
            raise not_found(at.kind, at.name) from None
        return Done(versioned(updated, at), 200, warnings)

    def _check_stale(self, at: Target, old: Object, obj: Object) -> None:
        """Refuse an object of another version or another uid before it is admitted."""
        given, kept = obj["metadata"], old["metadata"]
        message = f'Operation cannot be fulfilled on {at.kind.resource} "{at.name}": '
        if given.get("uid") and given["uid"] != kept["uid"]:
            reason = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {kept['uid']}"
            raise conflict(at.kind, at.name, message + reason)
        if given.get("resourceVersion") and given["resourceVersion"] != kept["resourceVersion"]:
            reason = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(at.kind, at.name, message + reason)

    def patch(self, at: Target, options: Options, sent: Sent) -> Done:
        """Change an object by a patch; server-side apply creates a missing object.

        Raises:
            StatusError: the object does not exist, the patch cannot be applied, or its result is refused.
        """
        media = media_type(sent.content_type)
        accepted = [patches.JSON_PATCH, patches.MERGE_PATCH, patches.APPLY_PATCH]
        if not at.kind.custom:
            accepted.insert(2, patches.STRATEGIC_PATCH)
        patch = decode(sent.body, media, tuple(accepted))
        if media == patches.APPLY_PATCH:
            return self._apply(at, options, sent, patch)
        twice = [] if media == patches.JSON_PATCH else duplicates(sent.body)
        old = stored(self.store, at)
        change = {patches.JSON_PATCH: patches.json_patch, patches.MERGE_PATCH: patches.merge_patch}
        try:
            changed = change.get(media, patches.strategic_patch)(deepcopy(old), patch)
        except PatchError as error:
            reason = {400: "BadRequest", 413: "RequestEntityTooLarge"}.get(error.code, "Invalid")
            raise StatusError(error.code, reason, str(error)) from None
        obj, warnings = pruned(check_object(changed, _own_version(at, old)), at, options.validation, twice)
        obj = identified(obj, at, creating=False)
        return self._replace(at, old, obj, warnings, self._manager(at, options, sent), dry_run=options.dry_run)

    def _apply(self, at: Target, options: Options, sent: Sent, patch: Json) -> Done:
        if not options.query.get("fieldManager"):
            text = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
            raise StatusError(422, "Invalid", text)
        applied, warnings = pruned(check_object(patch, at), at, options.validation, duplicates(sent.body))
        if applied["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        applied = identified(applied, at, creating=False)
        check_status(applied, at)
        manager = self._manager(at, options, sent, managed_fields.APPLY)
        old = stored(self.store, at) if self._exists(at, at.name) else None
        if old is not None:
            self._check_stale(at, old, applied)
        elif applied["metadata"].get("uid"):
            raise conflict(at.kind, at.name, f'uid mismatch: there is no {at.kind.resource} "{at.name}" of this uid')
        try:
            merged = last_applied.apply(old, applied, manager, self.store.timestamp(), force=options.flag("force"))
        except ApplyConflictError as error:
            raise _apply_conflict(at.kind, error) from None
        if old is not None:
            return self._store(at, old, merged, warnings, dry_run=options.dry_run)
        self._require_namespace(at)
        merged = identified(merged, at, creating=True)
        return self._add(at, merged, merged["metadata"]["managedFields"], warnings, dry_run=options.dry_run)

    # Deleting

    def delete(self, at: Target, options: Options, sent: Sent) -> Object:
        """Delete an object.

        Returns:
            A pod or a namespace as it was, for anything else a `Status`, as Kubernetes does.

        Raises:
            StatusError: the object does not exist, a precondition does not hold, or the object may not be deleted.
        """
        wishes = _delete_options(options, sent)
        if at.kind.resource == "namespaces" and at.name in _KEPT_NAMESPACES and self._exists(at, at.name):
            raise forbidden(at.kind, at.name, "this namespace may not be deleted")
        obj = self._remove(at, at.namespace, at.name, wishes)
        if at.kind.resource in ("pods", "namespaces"):
            return versioned(obj, at)
        return success(at.kind, at.name, str(obj["metadata"].get("uid", "")))

    def delete_collection(self, at: Target, options: Options, sent: Sent) -> Page:
        """Delete the objects that the query selects, and return them."""
        wishes = _delete_options(options, sent)
        selected = selection(at, options)
        removed = []
        for one in self.store.list(at.kind.resource, at.namespace):
            metadata = one["metadata"]
            # What another of them owned is already gone.
            if selected(one) and self._exists(
                Target(at.kind, at.version, metadata.get("namespace", "")), metadata["name"]
            ):
                removed.append(self._remove(at, metadata.get("namespace", ""), metadata["name"], wishes))
        return Page([versioned(one, at) for one in removed], {"resourceVersion": str(self.store.version)})

    def _remove(self, at: Target, namespace: str, name: str, wishes: JsonMapping) -> Object:
        try:
            return self.store.delete(at.kind.resource, namespace, name, **wishes)
        except NotFoundError:
            raise not_found(at.kind, name) from None
        except ConflictError as error:
            raise conflict(at.kind, name, str(error)) from None

    # Inside

    def _manager(self, at: Target, options: Options, sent: Sent, operation: str = managed_fields.UPDATE) -> Manager:
        version = at.kind.api_version(at.version)
        return Manager(operation, options.manager(sent.agent), version, at.subresource)

    def _admit(self, at: Target, obj: Object, old: Object | None) -> Object:
        if not at.kind.custom:
            obj = core_rules(at.kind, obj, old)
        operation = Operation.CREATE if old is None else Operation.UPDATE
        try:
            return admission(self.cluster(), obj, old, operation)
        except AdmissionError as error:
            raise bad_request(str(error)) from None

    def _require_namespace(self, at: Target) -> None:
        if at.kind.namespaced:
            namespaces = next(kind for kind in ALL if kind.resource == "namespaces")
            if not self._exists(Target(namespaces, "v1"), at.namespace):
                raise not_found(namespaces, at.namespace)


def _own_version(at: Target, old: Object) -> Target:
    """Return a path in the version that a stored object has, for a patch of it."""
    return Target(at.kind, str(old.get("apiVersion", "")).rpartition("/")[2] or at.version, at.namespace, at.name)


def _read(sent: Sent) -> tuple[Json, list[str]]:
    media = media_type(sent.content_type)
    return decode(sent.body, media), [] if media.endswith("yaml") else duplicates(sent.body)


def _unchanged(obj: Object, old: Object, *, status: bool) -> bool:
    """Whether nothing differs but what the server sets, such as the times of field managers."""
    if status:
        return bool(obj.get("status") == old.get("status"))
    ignored = ("resourceVersion", "generation", "uid", "creationTimestamp", "managedFields", "selfLink")
    given, kept = (
        {key: value for key, value in one["metadata"].items() if key not in ignored and value not in ({}, [], None)}
        for one in (obj, old)
    )
    bodies = ({key: value for key, value in one.items() if key not in ("metadata", "status")} for one in (obj, old))
    first, second = bodies
    return given == kept and first == second and _timeless(obj) == _timeless(old)


def _timeless(obj: Object) -> list[Object]:
    entries = obj["metadata"].get("managedFields") or []
    timeless = ({key: value for key, value in one.items() if key != "time"} for one in entries)
    return sorted(
        timeless, key=lambda one: (one.get("operation", ""), one.get("manager", ""), one.get("subresource", ""))
    )


def _apply_conflict(kind: Kind, error: ApplyConflictError) -> StatusError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path, _ in error.causes
    ]
    del kind
    return StatusError(409, "Conflict", str(error), {"causes": causes})


def _delete_options(options: Options, sent: Sent) -> Object:
    """Return what the body and the query of a delete ask for, as arguments of the store."""
    body: Json = decode(sent.body, media_type(sent.content_type)) if sent.body.strip() else {}
    if not isinstance(body, dict) or body.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request("the body of a delete is not DeleteOptions")
    policy = options.query.get("propagationPolicy") or body.get("propagationPolicy") or "Background"
    if policy not in ("Background", "Foreground", "Orphan"):
        raise bad_request(
            f'propagationPolicy: Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan"'
        )
    dry_run = body.get("dryRun") or []
    conditions = body.get("preconditions") or {}
    if not isinstance(dry_run, list) or not isinstance(conditions, dict):
        raise bad_request("DeleteOptions: dryRun is a list, and preconditions an object")
    return {
        "uid": str(conditions.get("uid") or ""),
        "resource_version": str(conditions.get("resourceVersion") or ""),
        "orphan": policy == "Orphan" or bool(body.get("orphanDependents")),
        "dry_run": options.dry_run or any(check_dry_run(str(one)) for one in dry_run),
    }

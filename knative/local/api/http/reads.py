"""The verbs that read objects: get and list."""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from knative.local.api.derived import AUTOSCALERS, pod_autoscalers
from knative.local.api.errors import NotFoundError
from knative.local.api.http.discovery import DEFINITIONS, definitions
from knative.local.api.http.request import Options, Target
from knative.local.api.http.selectors import Matches, field_selector, label_selector
from knative.local.api.http.status import StatusError, bad_request, expired, not_found
from knative.local.api.store import Store
from knative.local.jsontypes import JsonObject

Object = JsonObject

_SNAPSHOTS = 64  # lists that clients may go on with


@dataclass(frozen=True)
class Page:
    """A list, or a part of one, with its metadata."""

    items: list[Object]
    metadata: Object


@dataclass(frozen=True)
class Reads:
    """The verbs that read objects.

    Attributes:
        store: the objects.
    """

    store: Store
    _snapshots: OrderedDict[str, tuple[str, list[Object]]] = field(default_factory=OrderedDict)
    _definitions: list[Object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._definitions.extend(definitions(self.store.timestamp()))

    def get(self, at: Target) -> Object:
        """Return an object in the version of the path.

        Raises:
            StatusError: the object does not exist.
        """
        for one in self._derived(at) or ():
            if one["metadata"]["name"] == at.name:
                return one
        return versioned(stored(self.store, at), at)

    def _derived(self, at: Target) -> list[Object] | None:
        """Return the objects of a kind that the store does not hold; None for any other kind."""
        if at.kind.resource == DEFINITIONS:
            return self._definitions
        return pod_autoscalers(self.store, at.namespace) if at.kind.resource == AUTOSCALERS else None

    def select(self, at: Target, options: Options) -> Page:
        """Return the objects that the query selects, at most `limit` of them."""
        limit = options.number("limit")
        token = options.query.get("continue", "")
        if token:
            version, items = self._go_on(token)
        else:
            self._check_version(at, options)
            selected = selection(at, options)
            found = self._derived(at)
            if found is None:
                found = self.store.list(at.kind.resource, at.namespace)
            version, items = str(self.store.version), [versioned(one, at) for one in found if selected(one)]
        metadata: Object = {"resourceVersion": version}
        if limit and len(items) > limit:
            metadata |= {"continue": self._keep(version, items[limit:]), "remainingItemCount": len(items) - limit}
            items = items[:limit]
        return Page(items, metadata)

    def _keep(self, version: str, items: list[Object]) -> str:
        """Keep the rest of a list, so that its next page is of the same version."""
        token = base64.urlsafe_b64encode(secrets.token_bytes(18)).decode()
        self._snapshots[token] = (version, items)
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return token

    def _go_on(self, token: str) -> tuple[str, list[Object]]:
        found = self._snapshots.get(token)
        if found is None:
            message = "The provided continue parameter is too old to display a consistent list result. "
            raise expired(f"{message}List again without it.")
        return found

    def _check_version(self, at: Target, options: Options) -> None:
        given = options.number("resourceVersion")
        match = options.query.get("resourceVersionMatch", "")
        if match not in ("", "Exact", "NotOlderThan"):
            raise bad_request(f'resourceVersionMatch: Unsupported value: "{match}": "Exact", "NotOlderThan"')
        if match and given is None:
            raise bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided")
        if given is not None and given > self.store.version:
            message = f"Too large resource version: {given}, current: {self.store.version}"
            causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
            raise StatusError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})
        if match == "Exact" and given != self.store.version:
            raise expired(f"The resourceVersion for the provided list is too old: {at.kind.plural} {given}")


def stored(store: Store, at: Target) -> Object:
    """Return the stored object that a path names.

    Raises:
        StatusError: the object does not exist.
    """
    try:
        return store.get(at.kind.resource, at.namespace, at.name)
    except NotFoundError:
        raise not_found(at.kind, at.name) from None


def selection(at: Target, options: Options) -> Matches:
    """Return what the selectors of a query and the name of a path select."""
    labels = label_selector(options.query.get("labelSelector", ""))
    fields = field_selector(options.query.get("fieldSelector", ""), at.kind)
    return lambda obj: (not at.name or obj["metadata"]["name"] == at.name) and labels(obj) and fields(obj)


def versioned(obj: Object, at: Target) -> Object:
    """Return an object in the version of a path; all versions of a kind share one form."""
    expected = at.kind.api_version(at.version)
    if obj.get("apiVersion") == expected and obj.get("kind") == at.kind.name:
        return obj
    return {**obj, "apiVersion": expected, "kind": at.kind.name}

"""The hosts by which Services are reached from outside: `domain-template` and `tag-template` of config-network. Pure.

Source: knative/serving pkg/reconciler/route/domains/domains.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from knative.local.jsontypes import JsonMapping
from knative.local.manifests.cluster import Network

LOCAL_DOMAIN = "localhost"
_DEFAULT = Network()
_ACTION = re.compile(r"\{\{([^{}]*)\}\}")
_FIELD = re.compile(r"\.(Name|Namespace|Domain|Tag)")
_OF_MAP = re.compile(r'(?:index\s+\.(Annotations|Labels)\s+"([^"]+)"|\.(Annotations|Labels)\.(\w+))')


class Addresses:
    """How the hosts of Services are made.

    Attributes:
        unread: Why a template is not followed, where the default one is used instead; or None.
        standard: Whether both templates are Knative's defaults.
    """

    def __init__(self, network: Network = _DEFAULT) -> None:
        self._domain, self._tag = network.domain_template, network.tag_template
        self.unread: str | None = None
        for key, template in (("domain-template", self._domain), ("tag-template", self._tag)):
            actions = (
                one
                for one in map(_bare, _ACTION.findall(template))
                if not _FIELD.fullmatch(one) and not _OF_MAP.fullmatch(one)
            )
            if (action := next(actions, None)) is not None and self.unread is None:
                self.unread = f"{key} of config-network: {{{{{action}}}}} is not evaluated; the default is used"
        if self.unread is not None:
            self._domain, self._tag = _DEFAULT.domain_template, _DEFAULT.tag_template
        self.standard = (self._domain, self._tag) == (_DEFAULT.domain_template, _DEFAULT.tag_template)

    def host(self, metadata: JsonMapping, domain: str = LOCAL_DOMAIN, tag: str | None = None) -> str:
        """The host of a Service or Route of this metadata, or of a tag of its traffic, below a domain."""
        values = {"Name": metadata["name"], "Namespace": metadata.get("namespace") or "default", "Domain": domain}
        if tag:
            values["Name"] = _filled(self._tag, {**values, "Tag": tag}, metadata)
        return _filled(self._domain, values, metadata).lower()


def _bare(action: str) -> str:
    """An action without the blanks and trim marks around it."""
    return action.removeprefix("-").removesuffix("-").strip()


def _filled(template: str, values: Mapping[str, str], metadata: JsonMapping) -> str:
    def value(action: re.Match[str]) -> str:
        bare = _bare(action[1])
        if (field := _FIELD.fullmatch(bare)) is not None:
            return values.get(field[1], "")
        found = _OF_MAP.fullmatch(bare)
        assert found is not None
        of = metadata.get((found[1] or found[3]).lower()) or {}
        return str(of.get(found[2] or found[4], ""))

    return _ACTION.sub(value, template)

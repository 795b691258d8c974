"""How a Kubernetes API is reached, and lists of what it has.

Three ways in: a plain address such as `kubectl proxy` gives, the service account of the pod that this runs in, or a
kubeconfig with a token or a client certificate. What kubectl's plug-ins would log in (`exec`, `auth-provider`) is
refused with the way around it.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from knative.local.jsontypes import JsonMapping, JsonObject

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PAGE = 500  # objects an answer, as kubectl asks for them
_GONE = 410


class AccessError(ValueError):
    """No credentials for an API were found; the message names what is missing."""


class ApiError(RuntimeError):
    """The API refused; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Access:
    """An API and its credentials.

    Attributes:
        server: its URL.
        namespace: used where none is given.
        context: trusted authorities and the client certificate; True for the system's authorities.
        server_name: name in the server's certificate, where it is not the URL's.
        token: bearer token, or a file that holds it and may change.
    """

    server: str
    namespace: str = "default"
    context: ssl.SSLContext | bool = True
    server_name: str | None = None
    token: str | Path | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers of a request; a token file is read each time, since Kubernetes renews it every hour.

        Raises:
            OSError: the file was removed.
        """
        token = self.token.read_text().strip() if isinstance(self.token, Path) else self.token
        return {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}


def in_cluster(account: Path = ACCOUNT, environment: Mapping[str, str] = os.environ) -> Access | None:
    """By the service account of this pod; None outside a cluster.

    Raises:
        AccessError: the pod has no account mounted, or not a whole one.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    if not (account / "token").exists():
        raise AccessError(f"{account} has no token: does the pod set automountServiceAccountToken to false?")
    try:
        context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        namespace = (account / "namespace").read_text().strip()
    except OSError as error:
        raise AccessError(f"{account}: {error}") from None
    address = f"[{host}]" if ":" in host else host
    return Access(server=f"https://{address}:{port}", namespace=namespace, context=context, token=account / "token")


def kubeconfig(paths: list[Path], wanted: str | None = None) -> Access:
    """By kubeconfigs, the earlier before the later, and their current context or the one that is wanted.

    Raises:
        AccessError: no kubeconfig exists, it cannot be read, or it logs in by a plug-in.
    """
    merged: dict[str, dict[str, tuple[Path, JsonObject]]] = {"clusters": {}, "users": {}, "contexts": {}}
    current = wanted
    read = [path for path in paths if path.exists()]
    if not read:
        raise AccessError(f"no kubeconfig at {', '.join(map(str, paths))}, and this is no pod of a cluster")
    for path in read:
        try:
            content = yaml.safe_load(path.read_text()) or {}
            for kind, found in merged.items():
                for one in content.get(kind) or []:
                    found.setdefault(one["name"], (path, one[kind.removesuffix("s")] or {}))
            current = current or content.get("current-context")
        except (OSError, yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
            raise AccessError(f"{path} is no kubeconfig: {error!r}") from None

    def part(kind: str, name: object) -> tuple[Path, JsonObject]:
        if name not in merged[kind]:
            raise AccessError(f"the kubeconfig has no {kind.removesuffix('s')} {name or '(no current-context)'}")
        return merged[kind][str(name)]

    _, context = part("contexts", current)
    where, cluster = part("clusters", context.get("cluster"))
    whose, user = part("users", context.get("user")) if context.get("user") else (where, {})
    for plugin in ("exec", "auth-provider"):
        if plugin in user:
            raise AccessError(
                f"user {context['user']} logs in by a plug-in of kubectl ({plugin}): run `kubectl proxy`, "
                "and give its address, --kubernetes http://127.0.0.1:8001"
            )
    token = user.get("token")
    if user.get("tokenFile"):
        token = whose.parent / user["tokenFile"]
    try:
        return Access(
            server=str(cluster["server"]).rstrip("/"),
            namespace=context.get("namespace") or "default",
            context=_context(where.parent, cluster, whose.parent, user),
            server_name=cluster.get("tls-server-name"),
            token=token,
        )
    except (OSError, KeyError, ValueError) as error:  # an SSLError is an OSError, broken base64 a ValueError
        raise AccessError(f"{where}: cluster {context['cluster']}: {error!r}") from None


def _context(where: Path, cluster: JsonMapping, whose: Path, user: JsonMapping) -> ssl.SSLContext | bool:
    """Return trusted authorities and the client certificate; paths are relative to the file that names them."""
    if not str(cluster["server"]).startswith("https:"):
        return True
    data, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    context = ssl.create_default_context(
        cadata=base64.b64decode(data).decode() if data else None,
        cafile=str(where / file) if file and not data else None,
    )
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tempfile.TemporaryDirectory() as folder:  # Python reads a chain from files alone; the folder is the user's own
        paths = []
        for name in ("client-certificate", "client-key"):
            if user.get(f"{name}-data"):
                paths.append(Path(folder) / name)
                paths[-1].write_bytes(base64.b64decode(user[f"{name}-data"]))
            elif user.get(name):
                paths.append(whose / user[name])
        if paths:
            context.load_cert_chain(*map(str, paths))
    return context


def access(address: str = "", context: str | None = None, environment: Mapping[str, str] = os.environ) -> Access:
    """The way in: the address if there is one, else this pod's account, else $KUBECONFIG or ~/.kube/config.

    Raises:
        AccessError: no access is configured.
    """
    if address:
        return Access(server=address.rstrip("/"))
    inside = in_cluster(environment=environment) if context is None else None
    if inside is not None:
        return inside
    named = [Path(name).expanduser() for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    return kubeconfig(named or [Path("~/.kube/config").expanduser()], context)


async def call(
    to: Access,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    applied: JsonMapping | None = None,
) -> JsonObject:
    """The answer to one call; `applied` is the object of a server-side apply.

    Raises:
        ApiError: the API refused.
    """
    body = None if applied is None else json.dumps(applied).encode()  # JSON is YAML
    headers = to.headers() | ({"Content-Type": "application/apply-patch+yaml"} if body is not None else {})
    async with session.request(
        method,
        to.server + path,
        params=query or {},
        data=body,
        headers=headers,
        ssl=to.context,
        server_hostname=to.server_name,
    ) as response:
        try:
            content = await response.json(content_type=None)
        except ValueError:
            content = {}
        if not 200 <= response.status < 300:
            message = content.get("message") if isinstance(content, dict) else None
            raise ApiError(response.status, f"{response.status} of {to.server}: {message or response.reason}")
        return dict(content)


async def objects(to: Access, session: aiohttp.ClientSession, path: str, selector: str) -> list[JsonObject]:
    """All objects of a list that have the labels, page by page; from the beginning where the pages grew too old.

    Raises:
        ApiError: the API refused.
    """
    for last in (False, True):
        items: list[JsonObject] = []
        more: dict[str, str] = {}
        try:
            while True:
                query = {"labelSelector": selector, "limit": str(PAGE), **more}
                page = await call(to, session, "GET", path, query=query)
                items += page["items"]
                if not page.get("metadata", {}).get("continue"):
                    return items
                more = {"continue": page["metadata"]["continue"]}
        except ApiError as error:
            if error.status != _GONE or last:
                raise
    raise AssertionError("unreachable")

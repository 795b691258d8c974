"""The API beside an engine: a socket, access, the kubeconfig, and the end of all of them."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from knative.local.api.http.access import make_access, write_private
from knative.local.api.http.logs import LogReader, PodLogs
from knative.local.api.http.server import Parts, Server
from knative.local.api.http.writes import Writes
from knative.local.api.store import Store
from knative.local.manifests.cluster import Cluster

NAME = "kubeconfig"


@dataclass
class Serving:
    """A running API.

    Attributes:
        kubeconfig: path of the file by which clients find it.
        server: answers requests.
        own_folder: whether its folder was made for it.
    """

    kubeconfig: Path
    server: Server
    own_folder: bool

    async def stop(self, _seconds: float = 0.0) -> None:
        """Remove the kubeconfig, whose token is of no use any more, and stop."""
        self.kubeconfig.unlink(missing_ok=True)
        if self.own_folder:
            self.kubeconfig.parent.rmdir()
        await self.server.stop()


async def serve(
    store: Store,
    sock: socket.socket,
    folder: Path | None,
    *,
    cluster: Callable[[], Cluster],
    logs: PodLogs,
    allowed: Callable[[bytes], bool],
) -> Serving:
    """Serve a store on a bound socket, and write the kubeconfig.

    Args:
        store: the objects.
        sock: where to listen.
        folder: of the kubeconfig; None makes one that no other engine uses.
        cluster: returns the cluster's configuration at the time.
        logs: the lines of pods.
        allowed: whether a request may name a host.

    Raises:
        OSError: the kubeconfig cannot be written; nothing is served then.
        CertificateError: the certificate cannot be made; nothing is served then.
    """
    access = await asyncio.to_thread(make_access)
    server = Server(Parts(store, Writes(store, cluster), access, allowed, LogReader(store, logs)))
    await server.start(sock)
    path = (folder or Path(tempfile.mkdtemp(prefix="pixelamp-"))).resolve() / NAME
    try:
        write_private(path, access.kubeconfig(server.url))
    except OSError:
        await server.stop()
        raise
    return Serving(path, server, own_folder=folder is None)

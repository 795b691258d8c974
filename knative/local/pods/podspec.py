"""What the pods of a revision have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knative.local.pods.limits import Limits
from knative.local.pods.probes import Probe


@dataclass(frozen=True, kw_only=True)
class PodSpec:
    """What every pod of a revision has in common.

    Attributes:
        revision: The revision's name, from which pods get theirs.
        argv: Command and arguments; ``$(NAME)`` stands for a variable of the environment.
        environment: Variables; the pod adds PORT and HOSTNAME.
        directory: Where it runs.
        concurrency: containerConcurrency; 0 for no limit.
        readiness, startup, liveness: Probes; readiness is TCP where the manifest declares none.
        grace: Seconds from SIGTERM to SIGKILL, and for requests to finish before.
        limits: CPU and memory.
    """

    revision: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    concurrency: int = 0
    readiness: Probe = field(default_factory=Probe)
    startup: Probe | None = None
    liveness: Probe | None = None
    grace: float = 300.0
    limits: Limits = field(default_factory=Limits)


def expand(word: str, environment: Mapping[str, str]) -> str:
    """Kubernetes' ``$(NAME)``; ``$$(NAME)`` stays as it is, and so does an unknown name."""
    out = ""
    position = 0
    while (dollar := word.find("$", position)) >= 0:
        out += word[position:dollar]
        if word[dollar : dollar + 2] == "$$":
            out += "$"
            position = dollar + 2
            continue
        end = word.find(")", dollar)
        name = word[dollar + 2 : end]
        if word[dollar : dollar + 2] == "$(" and end > 0:
            out += environment.get(name, f"$({name})")
            position = end + 1
        else:
            out += "$"
            position = dollar + 1
    return out + word[position:]

"""The parameters of Knative's sample autoscale-go, so that its load scripts work unchanged.

`?sleep=100&prime=10000&bloat=5`: wait so many milliseconds, look for the largest prime below a number, hold so many
megabytes. All three run in the server itself, at the same time, as in the sample.
"""

from __future__ import annotations

import time

PAGE = 4096
MEGA = 2**20


def largest_prime(below: int) -> int | None:
    """The largest prime below a number by the sieve of Eratosthenes; None below 3."""
    if below < 3:
        return None
    sieve = bytearray(b"\x01") * below
    for number in range(2, int(below**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return sieve.rindex(1)


def answer(sleep_ms: float | None, prime: int | None, bloat_mb: int | None) -> str:
    """Do the work; one line for each parameter that was given, in the words of the sample.

    Raises:
        MemoryError: there is not so much memory.
    """
    began = time.monotonic()
    lines = []
    held = bytearray((bloat_mb or 0) * MEGA)
    held[::PAGE] = b"\x01" * len(range(0, len(held), PAGE))
    if bloat_mb is not None:
        lines.append(f"Allocated {bloat_mb} Mb of memory.\n")
    if prime is not None:
        found = largest_prime(prime)
        lines.append(
            f"There are not primes smaller than {prime}.\n"
            if found is None
            else f"The largest prime less than {prime} is {found}.\n"
        )
    if sleep_ms is not None:
        time.sleep(max(0.0, sleep_ms / 1000 - (time.monotonic() - began)))
        lines.append(f"Slept for {(time.monotonic() - began) * 1000:.2f} milliseconds.\n")
    return "".join(lines)

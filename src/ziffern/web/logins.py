"""Checks names and passwords: guessing is slow, and guesses at a name do not lock its owner out.

Decisions, after OWASP's "device cookies": a browser that has sent the right password gets a cookie that proves it, and
is neither delayed nor checked with scrypt again. Without it, every failed guess makes the next ones wait: up to 30 s
from the same client address, up to 4 s for the same name. The wait comes before the password is checked, so the right
one is accepted after a few seconds even while somebody elsewhere guesses at the name. Counts are kept in a fixed number
of buckets, chosen by a keyed hash, so memory is bounded, and unknown names are treated as known ones.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ziffern.web.people import verify
from ziffern.web.refused import RefusedError

BUCKETS = 4096
FREE = 3  # failed guesses without a delay: people mistype
FIRST_DELAY = 0.5  # seconds; doubled by each further guess
MAX_NAME_DELAY, MAX_ADDRESS_DELAY = 4.0, 30.0  # seconds
FORGOTTEN = 900.0  # seconds after the last failed guess
MAX_WAITING, MAX_WAITING_OF_ONE = 64, 8  # guesses in all, and from one address
MAX_AT_ONCE = 2  # scrypt computations: each takes 32 MiB and a core


@dataclass
class Failures:
    """Failed guesses, counted in buckets; `clock` returns monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    _counts: dict[int, tuple[int, float]] = field(default_factory=dict)  # at most BUCKETS

    def change(self, what: str, by: int) -> None:
        """Count a guess before it is checked, or take it back."""
        count = max(0, self._count(what) + by)
        self._counts[self._bucket(what)] = (count, self.clock())

    def delay(self, what: str, longest: float) -> float:
        """Return how many seconds the next guess has to wait."""
        above = self._count(what) - FREE
        return min(longest, FIRST_DELAY * 2 ** min(above, 20)) if above >= 0 else 0.0

    def _count(self, what: str) -> int:
        count, last = self._counts.get(self._bucket(what), (0, 0.0))
        return count if self.clock() - last < FORGOTTEN else 0

    def _bucket(self, what: str) -> int:
        digest = hashlib.blake2b(what.encode("utf-8", "surrogatepass"), key=self._key, digest_size=2).digest()
        return int.from_bytes(digest) % BUCKETS


class Logins:
    """Determines who sends a request, from names and hashed passwords; `sleep` waits for some seconds."""

    def __init__(self, people: Mapping[str, str], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.people, self.sleep = people, sleep
        self.failures = Failures()
        self._key = secrets.token_bytes(32)
        self._waiting: dict[tuple[str, str], asyncio.Task[bool]] = {}  # by address and proof
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)

    async def person(self, authorization: str, cookie: str, address: str) -> tuple[str | None, str]:
        """Return the name that belongs to a right password, and the cookie that proves it.

        Args:
            authorization: The header of HTTP's basic authentication.
            cookie: An earlier proof that the browser has kept, or an empty string.
            address: The client's address.

        Raises:
            RefusedError: Too many guesses are waiting.
        """
        name, password = _parse(authorization)
        if not name:
            return None, ""
        proof = hmac.new(self._key, f"{name}:{password}".encode(), hashlib.sha256).hexdigest()
        if cookie and hmac.compare_digest(cookie.encode(), proof.encode()):
            return name, proof
        where = _network(address)
        guess = self._waiting.get((where, proof))  # a browser sends several requests at once
        if guess is None:
            of_one = sum(address == where for address, _ in self._waiting)
            if len(self._waiting) >= MAX_WAITING or of_one >= MAX_WAITING_OF_ONE:
                wait = (b"retry-after", b"%d" % MAX_ADDRESS_DELAY)
                raise RefusedError(429, "too many wrong passwords: wait\n", wait)
            guess = asyncio.create_task(self._check(name, password, where))
            self._waiting[where, proof] = guess
            guess.add_done_callback(lambda _: self._waiting.pop((where, proof), None))
        return (name, proof) if await asyncio.shield(guess) else (None, "")

    async def _check(self, name: str, password: str, where: str) -> bool:
        counted = (f"name {name.casefold()}", f"address {where}")
        limits = (MAX_NAME_DELAY, MAX_ADDRESS_DELAY)
        delay = max(self.failures.delay(what, limit) for what, limit in zip(counted, limits, strict=True))
        for what in counted:  # now, so that simultaneous guesses do not all see the same count
            self.failures.change(what, 1)
        if delay:
            await self.sleep(delay)
        async with self._at_once:
            is_right = await asyncio.to_thread(verify, self.people, name, password)
        if is_right:
            for what in counted:
                self.failures.change(what, -1)
        return is_right


def _parse(authorization: str) -> tuple[str, str]:
    kind, _, credentials = authorization.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return name, password


def _network(address: str) -> str:
    """Return an IPv4 address, or the network of an IPv6 address: a household has 2**64 of those."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, 64), strict=False))

"""A connection, with what uvicorn lacks: limits on the bytes and the time of a request's head, and RFC 9457."""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ziffern.text.catalog import Message
from ziffern.web.limits import MAX_HEAD, MAX_SECONDS
from ziffern.web.problems import ProblemError


class Connection(HttpToolsProtocol):
    """Closes a connection whose next head is too long or arrives too slowly."""

    _late: TimerHandle | None  # closes the connection unless its head arrives

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first head, which uvicorn would do forever."""
        super().connection_made(transport)
        self._late = None
        self.on_message_begin()

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        super().on_message_begin()
        self._head = 0
        self._late = self._late or self.loop.call_later(MAX_SECONDS, self.transport.close)

    def on_headers_complete(self) -> None:
        """Stop the clock."""
        self._stop()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read data, and count them while a head is incomplete."""
        was_waiting = self._late is not None
        super().data_received(data)
        if was_waiting and self._late is not None and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def _unsupported_upgrade_warning(self) -> None:
        """Write no advice to install a library for WebSockets, which this service has no use for."""

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP, and close the connection."""
        response = ProblemError(400, Message("web.head", limit=MAX_HEAD)).response()
        head = [b"HTTP/1.1 400 Bad Request", *map(b": ".join, response.raw_headers), b"connection: close", b"", b""]
        self.transport.write(b"\r\n".join(head) + response.body)
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True  # the transport refuses what its task may still write

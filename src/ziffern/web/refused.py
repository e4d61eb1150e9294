"""How a request is refused."""


class RefusedError(Exception):
    """A request that is refused, with an HTTP status, one line, and further headers of the answer."""

    def __init__(self, status: int, line: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(line)
        self.status, self.line, self.headers = status, line, headers

"""What the service refuses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one worker process; each is an option of `ziffern serve`."""

    max_body: int = 16 * 2**20  # bytes of a request
    max_images: int = 256  # per request, and per batch
    max_pixels: int = 2**24  # of a picture
    max_requests: int = 512  # at the same time
    max_client: int = 256  # at the same time from one key, or one address


MAX_HEAD = 2**19  # bytes of a request before its body; more than one packet, which may also hold the last body
MAX_MEMORY = 256 * 2**20  # bytes of all bodies at the same time
MAX_SECONDS = 30  # until a request has arrived: its head, and then its body

"""The address that a server listens on."""

import errno
import socket

from ziffern.errors import InputError
from ziffern.text.catalog import os_reason

LOCAL = ("127.0.0.1", "localhost", "::1")


def free_socket(host: str, port: int, tries: int = 20) -> socket.socket:
    """Return a listening socket at the first free port from `port` on; port 0 is any free one.

    Raises:
        InputError: None of `tries` ports is free, or the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    problem = OSError(errno.EADDRNOTAVAIL, "")
    for number in range(port, min(port + tries, 65536)):
        try:
            return socket.create_server((host, number), family=family, backlog=1024, dualstack_ipv6=is_dual)
        except OSError as error:
            problem = error
    raise InputError("web.sockets.no_free_port", host=host, port=port, why=os_reason(problem))


def address_of(listening: socket.socket) -> str:
    """Return the address of a listening socket, to be opened in a browser on this machine."""
    host, port = listening.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"

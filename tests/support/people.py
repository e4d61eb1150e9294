"""Two people of a shared studio, and how a browser names them."""

import base64

from ziffern.studio.people import hashed

PEOPLE = {"anna": "correct horse", "bert": "battery staple"}
HASHED = {name: hashed(password) for name, password in PEOPLE.items()}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

"""Two people of a shared studio, and how a browser names them."""

import base64

PEOPLE = {"anna": "correct horse", "bert": "battery staple"}
HASHED = {  # as `hashed` makes them, which takes a tenth of a second each
    "anna": "scrypt$15$8$3$AKrtAnkANu+tUxAIeR583A==$uKQJsRp8aDad8MnNMmAJsYpgpMHbxvwrrUhdhDDYIWM=",
    "bert": "scrypt$15$8$3$XMDjTKSAPhe6QigDHAy0lw==$Gs4Pv1TaiBl+i6ErJu1s5PyeQAfbuEuWCm1CFxm07Nk=",
}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

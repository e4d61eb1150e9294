"""Catalogs of texts."""


def flat(node: dict | str, prefix: str = "") -> dict[str, str]:
    if isinstance(node, str):
        return {prefix: node}
    return {
        key: text for name, value in node.items() for key, text in flat(value, f"{prefix}.{name}".strip(".")).items()
    }

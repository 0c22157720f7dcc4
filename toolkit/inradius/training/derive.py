"""Seeds that are functions of what they are for."""

import hashlib


def derive(*parts: object) -> int:
    """A seed that is a function of the parts, below 2⁵⁶."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")

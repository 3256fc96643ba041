"""Deterministic CBOR (RFC 8949 §4.2.1), the subset of docs/formats/audit-log.md, and nothing else."""


def need(condition, why):
    if not condition:
        raise ValueError(why)


def read(data, at=0, depth=0):
    """Deterministic CBOR of the subset: returns the value and where it ends."""
    need(at < len(data), "CBOR is cut off")
    major, small = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        need(small in (20, 21), "CBOR outside the subset")
        return small == 21, at
    need(small <= 27, "CBOR outside the subset")
    size = 0 if small < 24 else 1 << small - 24
    need(at + size <= len(data), "CBOR is cut off")
    number = int.from_bytes(data[at:at + size], "big") if size else small
    need(size == 0 or number >= (24 if size == 1 else 1 << 4 * size), "CBOR is not shortest")
    at += size
    if major < 2:
        return (number if major == 0 else -1 - number), at
    if major < 4:
        need(at + number <= len(data), "CBOR is cut off")
        piece = data[at:at + number]
        return (piece if major == 2 else piece.decode()), at + number
    need(major < 6 and depth < 4, "CBOR outside the subset")
    items, before = [], b""
    for _ in range(number):
        start = at
        key, at = read(data, at, depth + 1)
        if major == 5:
            need(type(key) in (int, str), "a strange key")
            need(data[start:at] > before, "CBOR keys are out of order")
            before, (value, at) = data[start:at], read(data, at, depth + 1)
            key = (key, value)
        items.append(key)
    return (dict(items) if major == 5 else items), at

#!/usr/bin/env python3
"""Reads a sealed file by docs/formats/sealed-file.md alone: sealed_file.py FILE DEK_HEX [OUT_DIR]

Checks everything, prints the records as JSON and writes the payload of each track, in the order of arrival,
to OUT_DIR/track-N.payload. Exit status: 0 complete, 1 refused, 2 truncated (what was whole is printed).
SM4 as a block cipher and SM3 come from `cryptography`; GCM (NIST SP 800-38D) is written out here.
"""

import hmac
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC

HEADER = struct.Struct(">8sHHB3s16s16sI4sq7sc32s")
FRAME = struct.Struct(">BBHIQ")
RECORD = struct.Struct(">BBHQ")
SPAN_NS, LIMIT = 500_000_000, 16 * 1024


def need(condition, why):
    if not condition:
        raise ValueError(why)


def digest(state, message):
    state.update(message)
    return state.finalize()


class Gcm:
    def __init__(self, key):
        self.key = key
        self.subkey = int.from_bytes(self.blocks(bytes(16)), "big")

    def blocks(self, blocks):
        return Cipher(algorithms.SM4(self.key), modes.ECB()).encryptor().update(blocks)

    def times_subkey(self, x):
        product, v = 0, self.subkey
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                product ^= v
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
        return product

    def ghash(self, aad, ciphertext):
        state, padded = 0, b"".join(part + bytes(-len(part) % 16) for part in (aad, ciphertext))
        padded += struct.pack(">QQ", 8 * len(aad), 8 * len(ciphertext))
        for at in range(0, len(padded), 16):
            state = self.times_subkey(state ^ int.from_bytes(padded[at : at + 16], "big"))
        return state.to_bytes(16, "big")

    def open(self, nonce, aad, sealed):
        ciphertext, tag = sealed[:-16], sealed[-16:]
        counters = b"".join(nonce + struct.pack(">I", n) for n in range(1, 2 + -(-len(ciphertext) // 16)))
        stream = self.blocks(counters)
        expected = bytes(a ^ b for a, b in zip(self.ghash(aad, ciphertext), stream))
        need(hmac.compare_digest(expected, tag), "a chunk is not authentic")
        return bytes(a ^ b for a, b in zip(ciphertext, stream[16:]))


def texts(body, names):
    fields = {}
    for name in names:
        end = 1 + body[0]
        need(end <= len(body), "a text is cut short")
        fields[name], body = body[1:end].decode(), body[end:]
    need(not body, "bytes behind a record")
    return fields


def decode(kind, body):
    """The fields of a record, and its media payload if it has one."""
    if kind == 1:
        media = dict(zip(("timestamp", "payload_type"), struct.unpack_from(">IB", body)))
        return {"kind": "media"} | media | {"payload": body[5:].hex()}, body[5:]
    if kind >= 128:
        return {"kind": kind, "bytes": body.hex()}, b""
    if kind == 2:
        names = ["party", "codec", "parameters"]
        return {"kind": "track", "payload_type": body[0]} | texts(body[1:], names), b""
    if kind == 3:
        return {"kind": "mask-begin"} | texts(body, ["reason"]), b""
    if kind == 4:
        return {"kind": "mask-end"} | texts(body, []), b""
    need(kind == 5, f"unknown kind of record {kind}")
    return {"kind": "gap", "lasting_ns": struct.unpack(">Q", body[:8])[0]} | texts(body[8:], ["cause"]), b""


def records(time, plaintext):
    at = 8
    while at < len(plaintext):
        need(at + RECORD.size <= len(plaintext), "a record is cut short")
        kind, track, length, moment = RECORD.unpack_from(plaintext, at)
        at += RECORD.size + length
        need(at <= len(plaintext), "a record is cut short")
        need(time <= moment <= time + SPAN_NS, "a record outside the span of its chunk")
        yield track, moment, *decode(kind, plaintext[at - length : at])


def read(data, dek):
    """The header's fields, the records as (fields, payload), and whether the file is complete."""
    need(len(data) >= HEADER.size, "shorter than a header")
    header = data[: HEADER.size]
    *form, zero3, object_id, key, segment, zero4, start, prefix, zero1, commitment = HEADER.unpack(header)
    need(form == [b"YMSEALED", 1, HEADER.size, 1], "unknown format")
    need(not any(zero3 + zero4 + zero1), "reserved bytes are not zero")
    expected = digest(HMAC(dek, hashes.SM3()), b"commit" + header[:-32])
    need(hmac.compare_digest(expected, commitment), "the key is another's")
    about = {"object": object_id.hex(), "key": key.hex(), "segment": segment, "start_utc_ns": start}
    gcm, aad = Gcm(dek), digest(hashes.Hash(hashes.SM3()), header) + object_id
    found, at, expected, last = [], HEADER.size, 0, 0
    while not last and at + FRAME.size <= len(data):
        last, zero, length, index, time = FRAME.unpack_from(data, at)
        need(last <= 1 and zero == 0 and 24 <= length <= LIMIT + 16, "a frame is malformed")
        need(index == expected, f"chunk {index} in the place of chunk {expected}")
        sealed = data[at + FRAME.size : at + FRAME.size + length]
        if len(sealed) < length:
            return about, found, False
        plaintext = gcm.open(prefix + struct.pack(">IB", index, last), aad, sealed)
        need(struct.unpack_from(">Q", plaintext)[0] == time, "a frame's time differs from its chunk's")
        for track, moment, fields, payload in records(time, plaintext):
            found.append(({"chunk": index, "track": track, "time_ns": moment} | fields, payload))
        at, expected = at + FRAME.size + length, expected + 1
    need(not last or at == len(data), "bytes behind the last chunk")
    return about, found, bool(last)


def main(path, dek, out=None):
    try:
        about, found, complete = read(pathlib.Path(path).read_bytes(), bytes.fromhex(dek))
    except (ValueError, IndexError, struct.error) as refused:
        print(f"{path}: refused: {refused}", file=sys.stderr)
        return 1
    about["ending"] = "complete" if complete else "truncated"
    print(json.dumps(about | {"records": [fields for fields, _ in found]}, ensure_ascii=False, indent=1))
    for track in {fields["track"] for fields, _ in found} if out else ():
        pathlib.Path(out).mkdir(parents=True, exist_ok=True)
        payloads = [payload for fields, payload in found if fields["track"] == track]
        pathlib.Path(out, f"track-{track}.payload").write_bytes(b"".join(payloads))
    return 0 if complete else 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

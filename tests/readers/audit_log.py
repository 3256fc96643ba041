#!/usr/bin/env python3
"""Verifies an audit log by docs/formats/audit-log.md alone: audit_log.py DIR [KEY_FILE]

SM3 comes from OpenSSL by way of hashlib; SM2 and CBOR are written out beside this file. None of the product's code is used.
Exit status: 0 passed, 1 failed, 2 cannot be determined.
"""

import base64
import pathlib
import re
import struct
import sys

import cbor
from cbor import need
from sm2 import on_curve, sm3, verifies

HEADER = struct.Struct(">BHQ16sQQqBI")
TOLERANCE = 2_000_000_000
CLOCK_STEPPED = 4

def unbase64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 is not canonical")
    return data


def read_key(line):
    name, key_id, encoded = line.split("+", 2)
    key = unbase64(encoded)
    need(key.startswith(b"\xffsm2-sm3-v1\x04") and len(key) == 76, "no verifier key")
    point = int.from_bytes(key[12:44], "big"), int.from_bytes(key[44:], "big")
    found = sm3(name.encode(), b"\n", key)[:4]
    need(on_curve(point) and found.hex() == key_id, "the verifier key is wrong")
    return (name, found), point


def check_body(data):
    body, end = cbor.read(data)
    need(end == len(data) and isinstance(body, dict), "the body is no map")
    for key, value in body.items():
        if key in (10, 11):
            kind = str if key == 10 else bytes
            need(isinstance(value, dict) and value, "an empty map in the body")
            need(all(type(k) is str and type(v) is kind for k, v in value.items()), "the body has a strange map")
            need(key == 10 or all(len(v) == 32 for v in value.values()), "a digest of a wrong length")
        elif key in (6, 7):
            need(type(value) is int and 1 <= value <= key - 4, "no such phase or outcome")
        else:
            need(key in (1, 2, 3, 4, 5, 8, 9) and type(value) is str, "the body has a strange key")


def check_order(before, now):
    (_, _, _, boot0, count0, mono0, utc0, _, _), (_, kind, _, boot, count, mono, utc, _, _) = before, now
    need(count >= count0 and (count == count0) == (boot == boot0), "the boots do not go together")
    if count == count0:
        need(mono >= mono0, "the monotonic clock goes back")
        need(kind == CLOCK_STEPPED or abs((utc - utc0) - (mono - mono0)) <= TOLERANCE, "the clock was set in silence")
    else:
        need(kind == CLOCK_STEPPED or utc >= utc0, "the clock was set in silence")


HEAD = "([^\n]+)\n([0-9]+)\n([A-Za-z0-9+/]{43}=)\n\n"
NOTE = re.compile(HEAD + "((?:— [^ \n]+ [A-Za-z0-9+/=]+\n)+)(?!— )")


def read_notes(text, keys, last):
    """Yields (size, root) of each note; a torn one at the end of the last file is passed over."""
    at = 0
    while at < len(text):
        found = NOTE.match(text, at)
        if not found:
            rest = text[at:]
            torn = rest.count("\n") < 4 or re.match(HEAD, rest) and not rest.endswith("\n")
            need(last and torn, f"a malformed checkpoint at {at}")
            return
        origin, size, root, lines = found.groups()
        need(str(int(size)) == size, "a size with leading zeros")
        signed = False
        for line in lines.splitlines():
            _, name, blob = line.split(" ")
            blob = unbase64(blob)
            point = keys.get((name, blob[:4]))
            if point:
                need(name == origin and len(blob) == 68, "a note of another log")
                body = f"{origin}\n{size}\n{root}\n".encode()
                need(verifies(point, body, blob[4:]), f"a wrong signature on the checkpoint of {size}")
                signed = True
        need(signed or not keys, f"no trusted key signed the checkpoint of {size}")
        yield int(size), unbase64(root)
        at = found.end()


def fold(peaks):
    root = sm3() if not peaks else peaks[-1]
    for left in peaks[-2::-1]:
        root = sm3(b"\1", left, root)
    return root


def verify(folder, keys):
    notes = []
    files = sorted(folder.glob("*.checkpoints"))
    for path in files:
        need(path.with_suffix(".segment").exists(), f"the segment of {path.name} is gone")
        notes += read_notes(path.read_bytes().decode(errors="surrogateescape"), keys, path == files[-1])
    need(all(a[0] < b[0] for a, b in zip(notes, notes[1:])), "the checkpoints are out of order")
    segments = sorted(folder.glob("*.segment"))
    size, peaks, before, covered, due = 0, [], None, 0, dict(notes)
    for number, path in enumerate(segments):
        data, last = path.read_bytes(), number == len(segments) - 1
        need(data[:8] == b"YMAUDIT\x01" and len(data) >= 16, f"{path.name} has no header")
        first = struct.unpack_from(">Q", data, 8)[0]
        at = 16 + 32 * first.bit_count()
        held = [data[i:i + 32] for i in range(16, at, 32)]
        if number == 0 and first:
            size, peaks = first, held
        need(f"{first:020}" == path.stem and len(data) >= at, f"{path.name} has a wrong header")
        need((first, held) == (size, peaks), f"{path.name} does not continue the segment before")
        while True:
            if size in due:
                need(due[size] == fold(peaks), f"the root of {size} entries is not the one signed, {path.name} @ {at}")
                covered = size
            if at == len(data):
                break
            try:
                at, fields, leaf = frame(data, at, before, size)
            except ValueError as why:
                need(last and size >= max(due, default=0), f"{why}, {path.name} @ {at}")
                need(not later_group(data, at, size), f"{why}, acknowledged, {path.name} @ {at}")
                break
            before, node = fields, leaf
            for _ in range((size ^ size + 1).bit_length() - 1):
                node = sm3(b"\1", peaks.pop(), node)
            peaks.append(node)
            size += 1
    need(covered == max(due, default=0), "entries that a checkpoint tells of are gone")
    return size, covered


def frame(data, at, before, sequence):
    need(len(data) - at >= HEADER.size, "an entry is cut off")
    fields = HEADER.unpack_from(data, at)
    end = at + HEADER.size + fields[8]
    need(fields[0] == 1 and end - at <= 65535 and fields[7] < 3, "a wrong header")
    need(end + 16 <= len(data), "an entry is cut off")
    leaf = sm3(b"\0", data[at:end])
    need(sm3(b"\2", leaf, data[end:end + 8])[:8] == data[end + 8:end + 16], "a wrong check")
    check_body(data[at + HEADER.size:end])
    need(sequence is None or fields[2] == sequence, "a wrong sequence")
    if before and sequence is not None:
        check_order(before, fields)
    return end + 16, fields, leaf


def later_group(data, start, broken):
    """Whether a whole frame of a group that began after `broken` stands anywhere behind `start`."""
    for at in range(start, len(data) - HEADER.size):
        if data[at] == 1 and 0 < struct.unpack_from(">Q", data, at + 3)[0] - broken <= len(data):
            try:
                end = frame(data, at, None, None)[0]
            except ValueError:
                continue
            if struct.unpack_from(">Q", data, end - 16)[0] > broken:
                return True
    return False


def main(folder, key_file=None):
    try:
        keys = dict(map(read_key, pathlib.Path(key_file).read_text().split())) if key_file else {}
        size, covered = verify(pathlib.Path(folder), keys)
    except ValueError as why:
        print(f"不通过 failed: {why}")
        return 1
    if not keys or not covered:
        print("无法判定 cannot be determined: no trusted key, or nothing is covered by a checkpoint")
        return 2
    print(f"通过 passed: {size} entries, {covered} covered")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

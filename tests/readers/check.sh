#!/bin/sh
# Reads the published vector of the sealed file with the independent reader, then every changed and every cut
# copy of it. Needs python3; fetches the pinned packages into a virtual environment of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vectors=$here/../../hsm/envelope/tests/vectors
venv=${READERS_VENV:-$here/../../target/readers-venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dek=00112233445566778899aabbccddeeff

"$venv/bin/python" "$here/sealed_file.py" "$vectors/sealed-file.bin" "$dek" "$work/out" >"$work/found.json"
cmp "$vectors/sealed-file.json" "$work/found.json"
echo "alaw of the other party." | tr -d '\n' | cmp - "$work/out/track-1.payload"

PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" - "$here" "$vectors/sealed-file.bin" "$dek" <<'PYTHON'
import pathlib, struct, sys
sys.path.insert(0, sys.argv[1])
from sealed_file import HEADER, read
good, dek = pathlib.Path(sys.argv[2]).read_bytes(), bytes.fromhex(sys.argv[3])

def complete(data, key=dek):
    try:
        return read(data, key)[2]
    except (ValueError, IndexError, struct.error):
        return False

assert complete(good)
assert not complete(good + b"\0")
for at in range(len(good)):
    assert not complete(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]), f"byte {at} changed"
    assert not complete(good[:at]), f"cut at {at}"
for bit in range(128):
    other = (int.from_bytes(dek, "big") ^ 1 << bit).to_bytes(16, "big")
    assert not complete(good, other), f"bit {bit} of the key changed"
PYTHON
echo "sealed file: the independent reader agrees, and refuses every changed, cut and wrongly keyed copy"

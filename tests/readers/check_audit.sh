#!/bin/sh
# The independent reader and yanmen-verify must agree: on the published vector, and on a copy of it with every
# fifth byte of a segment or a checkpoint file changed, with files cut, emptied and removed, and with wrong keys.
# Needs python3 whose OpenSSL has SM3. YANMEN_VERIFY names the verifier; else it is built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
vectors=$root/audit/verify/tests/vectors
if [ -z "${YANMEN_VERIFY:-}" ]; then
    (cd "$root" && cargo build --quiet -p audit-verify)
    YANMEN_VERIFY=${CARGO_TARGET_DIR:-$root/target}/debug/yanmen-verify
fi
PYTHONDONTWRITEBYTECODE=1 python3 - "$here" "$vectors" "$YANMEN_VERIFY" <<'PYTHON'
import contextlib, io, pathlib, shutil, subprocess, sys, tempfile
here, vectors, verifier = sys.argv[1:]
sys.path.insert(0, here)
import audit_log
good = pathlib.Path(vectors, "log")
right = pathlib.Path(vectors, "key.txt")

def judge(folder, key):
    ours = subprocess.run([verifier, folder, *(["--key", key] if key else [])], capture_output=True).returncode
    with contextlib.redirect_stdout(io.StringIO()) as said:
        theirs = audit_log.main(folder, key)
    return ours, theirs, said.getvalue()

seen = {0: 0, 1: 0, 2: 0}

def agree(what, expected, folder, key=right):
    ours, theirs, said = judge(folder, key)
    assert ours == theirs, f"{what}: yanmen-verify says {ours}, the reader {theirs} ({said.strip()})"
    assert expected is None or ours == expected, f"{what}: {ours} instead of {expected}"
    seen[ours] += 1

with tempfile.TemporaryDirectory() as work:
    copy = pathlib.Path(work, "log")
    agree("the vector", 0, good)
    agree("no key", 2, good, None)
    wrong = pathlib.Path(work, "wrong.txt")
    wrong.write_text(right.read_text().replace("test", "text"))
    ours, theirs, _ = judge(good, wrong)
    assert ours != 0 and theirs != 0, "a key whose id is wrong"
    shutil.copytree(good, copy)
    evidence = sorted([*good.glob("*.segment"), *good.glob("*.checkpoints")])
    last_notes = max(good.glob("*.checkpoints")).name
    last_segment = max(good.glob("*.segment")).name
    for path in evidence:
        data, target = path.read_bytes(), copy / path.name
        for at in range(0, len(data), 5):
            target.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:])
            # What no checkpoint covers may be a torn tail; everything else must be found.
            covered = path.name != last_segment and (path.name, at) != (last_notes, len(data) - 1)
            agree(f"{path.name}: byte {at} changed", 1 if covered else None, copy)
        for cut in range(0, len(data), 31):
            target.write_bytes(data[:cut])
            agree(f"{path.name}: cut to {cut}", None, copy)
        target.unlink()
        agree(f"{path.name}: removed", None, copy)
        target.write_bytes(data)
    for path in good.glob("level.*"):
        (copy / path.name).write_bytes(b"")
    agree("derived files emptied", 0, copy)
print(f"audit log: both verifiers agree: {seen[0]} passed, {seen[1]} failed, {seen[2]} undetermined")
PYTHON

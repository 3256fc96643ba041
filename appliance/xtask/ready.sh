#!/bin/sh
# Makes the machine ready: a Rust toolchain (asked for, never installed), the Debian packages and cargo tools
# that are missing, and, as root, the daemons' users. `ready.sh run` for building, `ready.sh test` for tests too,
# `ready.sh bench` for what figures are compared with.
set -eu
cd "$(dirname "$0")/../.."

stop() { echo "make: $*" >&2; exit 1; }

# Edition 2024 with let-chains.
minor=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
[ "${minor:-0}" -ge 88 ] || stop "Rust 1.88 or newer is needed. Get it from https://rustup.rs:" \
    "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y   and run make again."

packages=
# lacks PACKAGE COMMAND…: the package is missing when the command fails.
lacks() { package=$1; shift; "$@" >/dev/null 2>&1 || packages="$packages $package"; }
lacks build-essential sh -c 'command -v cc && command -v c++ && command -v make'
lacks pkg-config command -v pkg-config
lacks libsystemd-dev sh -c 'pkg-config --exists libsystemd'
PATH=$PATH:/usr/sbin:/sbin
# For the users of the daemons, and for judging their units.
[ "$(id -u)" -ne 0 ] && [ "$1" = run ] || lacks systemd command -v systemd-sysusers
if [ "$1" = bench ]; then
    lacks sip-tester command -v sipp
    lacks openssl command -v openssl
    lacks kamailio command -v kamailio
    lacks rtpengine-daemon command -v rtpengine
fi
if [ "$1" = test ]; then
    lacks e2fsprogs command -v mke2fs
    lacks python3-venv python3 -c 'import ensurepip, venv'
    lacks sip-tester command -v sipp
    lacks baresip command -v baresip
    lacks linphone-cli command -v linphonec
    lacks kamailio command -v kamailio
    lacks kamailio-tls-modules sh -c 'ls /usr/lib/*/kamailio/modules/tls.so'
    lacks tcpdump command -v tcpdump
    lacks iproute2 command -v ip
    lacks espeak-ng command -v espeak-ng
    lacks sox command -v sox
    lacks ffmpeg command -v ffmpeg
    # A choice of whoever tests, under its GPL: what is shipped neither has it nor links it.
    lacks libbcg729-0 sh -c 'ls /usr/lib/*/libbcg729.so.0'
fi
if [ -n "$packages" ]; then
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || stop "these Debian packages are missing, and this is neither root nor" \
            "has sudo: apt-get install$packages"
        as_root=sudo
    fi
    echo "make: installing$packages"
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # Two lists of words.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi

if [ "$1" = test ]; then
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    for tool in cargo-deny cargo-fuzz; do
        command -v "$tool" >/dev/null || cargo install --quiet --locked "$tool"
    done
fi

# Root starts each daemon as its own user.
if [ "$(id -u)" -eq 0 ] && command -v systemd-sysusers >/dev/null; then
    for user in $(sed -n 's/^u \([^ ]*\) .*/\1/p' packaging/sysusers.d/yanmen.conf); do
        id "$user" >/dev/null 2>&1 || { systemd-sysusers "$PWD/packaging/sysusers.d/yanmen.conf"; break; }
    done
fi

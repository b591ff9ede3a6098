#!/usr/bin/env bash
# Tests the kernels for matrix units without a GPU: Mesa's software driver has a unit of 8x8 from version 26 on. Debian 13
# has that among its backports, so one is installed into a folder and the tests run in there. Needs root, debootstrap and
# some 400 MB; PROTEUS_CASES and PROTEUS_VERBOSE are as for tests/op_table.rs.
#
#   scripts/test_matrix_unit.sh [FOLDER]      FOLDER: target/debian13 by default, made where it is missing
#
# Exits with 77 where that Debian cannot be installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 77; }
root=$(realpath -m "${1:-target/debian13}")
mirror=http://deb.debian.org/debian

install() {
    echo "installing Debian 13 with Mesa into $root" >&2
    # What an earlier attempt left is in the way; nothing else is ever removed.
    if [[ -e $root/proteus-tests ]]; then rm -rf --one-file-system "$root"; fi
    mkdir -p "$root" &&
        touch "$root/proteus-tests" &&
        debootstrap --variant=minbase --include=libvulkan1 trixie "$root" "$mirror" >&2 &&
        echo "deb $mirror trixie-backports main" >"$root/etc/apt/sources.list.d/backports.list" &&
        cp -L /etc/resolv.conf "$root/etc/resolv.conf" &&
        chroot "$root" apt-get update -qq >&2 &&
        chroot "$root" apt-get install -y -qq --no-install-recommends -t trixie-backports mesa-vulkan-drivers >&2 &&
        mkdir -p "$root/tests" &&
        touch "$root/tests/ready"
}
if [[ ! -e $root/proteus-tests && -n $(ls -A "$root" 2>/dev/null) ]]; then
    echo "$root holds other things: name another folder" >&2
    exit 1
fi
[[ -f $root/tests/ready ]] || install || { echo "Debian 13 cannot be installed into $root" >&2; exit 77; }

cargo test --no-run --test op_table --test gpu_engine --message-format json | python3 -c '
import json, sys
for message in map(json.loads, sys.stdin):
    if message.get("executable") and message["profile"]["test"]:
        print(message["target"]["name"], message["executable"])
' | while read -r name program; do
    strip -o "$root/tests/$name" "$program"
done

inside() {
    chroot "$root" env VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json PROTEUS_REQUIRE_GPU=1 PROTEUS_ENGINES=matrix \
        RUST_BACKTRACE=1 "$@"
}
inside /tests/op_table gpu_engines --nocapture 2>&1 | tee "$root/tests/log"
# A device without such a unit has no engine to test, and that passes.
grep -q 'cases pass' "$root/tests/log" || { echo "no case was tried: the driver has no matrix unit" >&2; exit 1; }
inside /tests/gpu_engine half_precision --nocapture

#!/usr/bin/env bash
# Runs the tests of the CPU engine on an emulated processor with AVX-512, for machines that have none: Bochs boots Linux
# with the test programs in memory. Slow (the 45 cases of PROTEUS_CASES=conv2d took 40 minutes of a busy core), and it tells
# nothing about speed.
#
#   scripts/emulate_avx512.sh
#
# On Debian: apt-get install bochs bochs-term busybox-static cpio isolinux python3 syslinux-common xorriso
# VMLINUZ   a kernel for x86-64 with /dev/port, Debian's cloud kernel by default [apt-get download]
# CPU       one of `bochs --help cpu` with AVX-512                               [corei7_skylake_x]
# PROTEUS_CASES, PROTEUS_VERBOSE  as for tests/op_table.rs
# MINUTES   until the emulator is stopped                                        [240]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in bochs busybox cpio xorriso python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing, see the packages at the head of $0" >&2; exit 1; }
done
[[ -f /usr/lib/ISOLINUX/isolinux.bin ]] || { echo "isolinux is missing, see the packages at the head of $0" >&2; exit 1; }

work=$(mktemp -d)
trap 'kill ${emulator:-} ${reader:-} 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work"/{root/{bin,tests,proc,dev,tmp},disc/isolinux}

# The programs: with debug assertions, so that every load and store of a register checks its bounds.
echo "compiling the tests" >&2
cargo test --no-run --lib --test op_table --test golden_vectors --message-format json | python3 -c '
import json, sys
for message in map(json.loads, sys.stdin):
    if message.get("executable") and message["profile"]["test"]:
        print(message["target"]["name"], message["executable"])
' >"$work/programs"
while read -r name program; do
    strip -o "$work/root/tests/$name" "$program"
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$work/root$(dirname "$library")"
        cp -L "$library" "$work/root$library"
    done
done <"$work/programs"
cp -r tests/golden "$work/root/tests/golden"
cp "$(command -v busybox)" "$work/root/bin/busybox"

cat >"$work/root/init" <<END
#!/bin/busybox sh
b=/bin/busybox
\$b mount -t proc proc /proc; \$b mount -t devtmpfs dev /dev
export PROTEUS_CASES='${PROTEUS_CASES:-}' PROTEUS_VERBOSE='${PROTEUS_VERBOSE:-}' PROTEUS_GOLDEN=/tests/golden RUST_BACKTRACE=1
[ -n "\$PROTEUS_CASES" ] || unset PROTEUS_CASES
[ -n "\$PROTEUS_VERBOSE" ] || unset PROTEUS_VERBOSE
result=passed
\$b grep -q avx512vl /proc/cpuinfo || { echo "this processor has no AVX-512"; result=failed; }
/tests/proteus cpu:: --test-threads 1 || result=failed
/tests/op_table --exact the_cpu_engine_agrees_with_the_reference_in_every_variant --nocapture || result=failed
/tests/golden_vectors cpu_engine:: --test-threads 1 || result=failed
echo "ALL \$result"
\$b sleep 1
# The emulator ends where this is written to its port.
for c in S h u t d o w n; do \$b printf \$c | \$b dd of=/dev/port bs=1 seek=35072 2>/dev/null; done
\$b sleep 3600
END
chmod +x "$work/root/init"
(cd "$work/root" && find . | cpio -o -H newc --quiet) >"$work/disc/initrd"

if [[ -z ${VMLINUZ:-} ]]; then
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
    (cd "$work" && apt-get -o APT::Sandbox::User=root download "$kernel" >/dev/null && dpkg -x "$kernel"_*.deb kernel)
    VMLINUZ=$(echo "$work"/kernel/boot/vmlinuz-*)
fi
cp "$VMLINUZ" "$work/disc/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/disc/isolinux"
# Bochs tells the size of compacted register states wrongly, and Linux then drops AVX: without XSAVEC and XSAVES it stays.
cat >"$work/disc/isolinux/isolinux.cfg" <<'END'
DEFAULT tests
LABEL tests
 KERNEL /vmlinuz
 APPEND initrd=/initrd console=ttyS0 quiet mitigations=off acpi=off clearcpuid=321,323
END
xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$work/disc" 2>/dev/null
cat >"$work/bochsrc" <<END
megs: 2048
cpu: model=${CPU:-corei7_skylake_x}, count=1, ips=100000000, ignore_bad_msrs=1
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
display_library: term
log: $work/log
clock: sync=none
END
# Debian's Bochs is built with its debugger, which waits for a command.
echo c >"$work/commands"
touch "$work/serial"
TERM=xterm bochs -q -f "$work/bochsrc" -rc "$work/commands" >"$work/screen" 2>&1 </dev/null &
emulator=$!
tail -f --pid "$emulator" "$work/serial" &
# What it shows goes to a terminal of its own: it waits until somebody reads it.
for ((second = 0; second < 60; second++)); do
    terminal=$(sed -n 's/.*connected to screen "\(.*\)".*/\1/p' "$work/screen")
    [[ -z $terminal ]] || break
    sleep 1
done
cat "$terminal" >/dev/null &
reader=$!
for ((second = 0; second < ${MINUTES:-240} * 60; second++)); do
    kill -0 "$emulator" 2>/dev/null || break
    grep -aq '^ALL ' "$work/serial" && break
    sleep 1
done
sleep 1
if grep -aq '^ALL passed' "$work/serial"; then exit 0; fi
grep -aq '^ALL ' "$work/serial" || { echo "the emulator did not come to its end:" >&2; tail -3 "$work/log" >&2; }
exit 1

#!/usr/bin/env bash
# Runs the tests of the CPU engine under AddressSanitizer, which sees every read and write outside of an allocation. The
# engine's unsafe code is register tiles, vector loads and operands carved out of shared buffers; with debug assertions
# its own bounds are checked as well. Memory comes from the allocator here, which the sanitizer watches, instead of maps.
# Takes about twenty minutes on two busy cores. Needs rustup's toolchain on x86-64 Linux; the unstable flag is allowed
# through RUSTC_BOOTSTRAP.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address --cfg proteus_sanitize" ASAN_OPTIONS="detect_leaks=0"
# No GPU: drivers do not run under the sanitizer.
export VK_DRIVER_FILES=/nonexistent PROTEUS_REQUIRE_GPU=0
# Small fixed sizes of every operation, the odd ones among them; programs with shared memory; a training run.
cargo test --target "$host" --target-dir target/sanitize --lib cpu::
cargo test --target "$host" --target-dir target/sanitize --test op_table --test golden_vectors

#!/usr/bin/env bash
# The measurements of docs/study.md on one device, in one go, on an otherwise idle machine: ten minutes on two cores.
#
#   scripts/study.sh [DEVICE [FOLDER]]      cpu and target/study by default
#
# Writes tables, JSON lines and plots to the folder. PyTorch's step is timed by benches/pytorch/compare.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
device=${1:-cpu} out=${2:-target/study}
mkdir -p "$out"
proteus() { ./target/release/proteus "$@"; }
step() { # name, arguments
    local name=$1
    shift
    proteus bench step --device "$device" --steps 10 "$@" 2>/dev/null | tee "$out/$name.txt"
}

cargo build --release --quiet
echo "== where the time goes"
proteus profile --device "$device" --layers --plot "$out/shares.svg" --trace "$out/trace.json" | tee "$out/profile.txt"
echo "== curriculum"
for stage in 0 1 2 3; do step "stage$stage" --stage $stage; done
echo "== size of the problem"
step clusters --sweep k=10,20,50,100 --plot "$out/clusters.svg"
step batch --sweep batch=32,64,128,256
step size --sweep size=16,28,40,56
step encoder --sweep encoder=resnet20,resnet32,resnet44
echo "== what savings are worth"
step whole
savings=(reuse)
if [[ $device == cpu ]]; then savings+=(winograd chains simd); else savings+=(fusion); fi
for saving in "${savings[@]}"; do step "without-$saving" --without "$saving"; done
step whole-again
echo "== presets"
for preset in usps svhn frgc affnist-test fashion-mnist; do step "$preset" --preset "$preset"; done
step gmm --set model=gmm
echo "== kernels"
proteus bench kernels --device "$device" --plot "$out/roofline.svg" | tee "$out/kernels.txt"

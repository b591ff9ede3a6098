#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one call: peaks and kernels, whole steps beside PyTorch's, and a training
# run. Prints short tables; raw output goes to the folder OUT.
#
#   scripts/gpu_bench.sh [OUT]          OUT: bench-gpu by default
#
# PROTEUS       the program                      [target/release/proteus]
# DEVICE        the GPU, as of --device          [gpu]
# PYTHON        a Python with PyTorch for CUDA; without one PyTorch is left out  [python3]
# DATA          a folder with MNIST for the published run; without it that is left out
# STEPS         steps timed a contender          [100]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${1:-bench-gpu}
proteus=${PROTEUS:-target/release/proteus}
device=${DEVICE:-gpu}
python=${PYTHON:-python3}
steps=${STEPS:-100}
presets=(mnist usps svhn fashion-mnist affnist-test frgc)

[[ -x $proteus ]] || { echo "$proteus is missing: cargo build --release" >&2; exit 1; }
mkdir -p "$out"
say() { printf '\n== %s\n' "$*"; }

# Runs a command with its output in a file too; what fails is named and the rest goes on.
failed=()
keep() {
    local file=$1
    shift
    "$@" 2>&1 | tee "$out/$file" || failed+=("$file")
}

say "Devices"
keep devices.txt "$proteus" devices

say "Start: the first step includes opening the device and compiling every kernel"
start=$(date +%s.%N)
keep start.json "$proteus" bench step --device "$device" --steps 1 --json
printf 'seconds of the whole process: %.2f\n' "$(echo "$(date +%s.%N) - $start" | bc)"

say "Which kernels are the fastest here"
keep tune.txt "$proteus" tune --device "$device"

say "Steps, beside the reckoning from the peaks"
for preset in "${presets[@]}"; do
    keep "step-$preset.json" "$proteus" bench step --preset "$preset" --device "$device" --steps "$steps" --json
done
keep step-gmm.json "$proteus" bench step --preset mnist --set model=gmm --device "$device" --steps "$steps" --json
keep step-untuned.json env XDG_CACHE_HOME="$out/none" "$proteus" bench step --device "$device" --steps "$steps" --json
keep step-unfused.json "$proteus" bench step --device "$device" --steps "$steps" --without fusion --json
keep sweep.txt "$proteus" bench step --device "$device" --steps "$steps" --sweep k=10,20,50,100

say "Where the time of a step goes"
keep profile.txt "$proteus" profile --device "$device" --layers --trace "$out/step.trace.json"

say "Single kernels"
keep kernels.txt "$proteus" bench kernels --device "$device" --plot "$out/roofline.svg"

if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    say "Beside PyTorch on the same GPU, in turn"
    keep pytorch.txt "$python" benches/pytorch/compare.py --proteus "$proteus" --proteus-device "$device" \
        --torch-device cuda --steps "$steps" --rounds 2 --styles modules batched batched+compile batched+graph
else
    say "PyTorch for CUDA is not there: left out"
fi

if [[ -n ${DATA:-} ]]; then
    say "The published MNIST run"
    start=$(date +%s.%N)
    keep mnist.txt "$proteus" train mnist --data "$DATA" --device "$device" --out "$out/mnist" --quiet
    printf 'seconds: %.1f\n' "$(echo "$(date +%s.%N) - $start" | bc)"
    keep mnist-scores.txt "$proteus" eval "$out/mnist" --data "$DATA" --device "$device"
fi

if ((${#failed[@]})); then
    say "Failed: ${failed[*]}"
    exit 1
fi

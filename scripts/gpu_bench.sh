#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one call: peaks and kernels, whole steps beside PyTorch's, and a training
# run. Prints short tables; raw output goes to the folder OUT, which must be new or empty. Tables of tuned kernels go there
# too, and none that is there already is used.
#
#   scripts/gpu_bench.sh [OUT]          OUT: target/gpu-bench by default
#
# PROTEUS       the program                      [target/release/proteus]
# DEVICE        the GPU, as of --device          [gpu]
# PYTHON        a Python with PyTorch for CUDA; without one PyTorch is left out  [python3]
# DATA          a folder with MNIST for the published run; without it that is left out
# STEPS         steps timed a contender          [100]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-$root/target/gpu-bench}")
proteus=$(realpath -m "${PROTEUS:-$root/target/release/proteus}")
device=${DEVICE:-gpu}
python=${PYTHON:-python3}
steps=${STEPS:-100}
presets=(mnist usps svhn fashion-mnist affnist-test frgc)
half=(--variant conv2d=half --variant conv2d_grad_input=half --variant conv2d_grad_weight=half)
# shellcheck disable=SC2034  # used by its name
matrix=("${half[@]//=half/=matrix}")

[[ -x $proteus ]] || { echo "$proteus is missing: cargo build --release" >&2; exit 1; }
[[ ! -e $out || -z $(ls -A "$out") ]] || { echo "$out is not empty: name another folder" >&2; exit 1; }
mkdir -p "$out"
export XDG_CACHE_HOME="$out/cache" LC_ALL=C
TIMEFORMAT='seconds of the whole process: %R'

say() { printf '\n== %s\n' "$*"; }

# Runs a command with its output in a file too; what fails is named and the rest goes on.
failed=()
keep() {
    local file=$1
    shift
    if ! "$@" 2> >(tee "$out/$file.err" >&2) | tee "$out/$file"; then
        failed+=("$file")
        return 1
    fi
    [[ -s $out/$file.err ]] || rm -f "$out/$file.err"
}

say "Devices"
keep devices.txt "$proteus" devices
# The less exact kernels; without a real GPU that has a matrix unit those for it would only fail.
less_exact=(half)
if awk '/^gpu:/ { real = !/software/ } real' "$out/devices.txt" | grep -q 'matrix unit of'; then less_exact+=(matrix); fi

say "Start: opening the device, compiling every kernel of two plans, two steps; the driver's cache of shaders is off"
time __GL_SHADER_DISK_CACHE=0 keep start.json "$proteus" bench step --device "$device" --steps 1 --json || exit 1

say "Steps with the kernels that devices start with"
for preset in "${presets[@]}"; do
    keep "start-$preset.json" "$proteus" bench step --preset "$preset" --device "$device" --steps "$steps" --json || true
done

say "Which kernels are the fastest here"
for preset in "${presets[@]}"; do
    keep "tune-$preset.txt" "$proteus" tune --preset "$preset" --device "$device" || true
done

say "Steps with those"
for preset in "${presets[@]}"; do
    keep "step-$preset.json" "$proteus" bench step --preset "$preset" --device "$device" --steps "$steps" --json || true
done
keep step-gmm.json "$proteus" bench step --set model=gmm --device "$device" --steps "$steps" --json || true
for variant in "${less_exact[@]}"; do
    declare -n flags=$variant
    keep "step-$variant.json" "$proteus" bench step --device "$device" --steps "$steps" "${flags[@]}" --json || true
    keep "kernels-$variant.txt" "$proteus" bench kernels --device "$device" --filter '^conv2d' "${flags[@]}" || true
done
keep step-unfused.json "$proteus" bench step --device "$device" --steps "$steps" --without fusion --json || true
keep sweep.txt "$proteus" bench step --device "$device" --steps "$steps" --sweep k=10,20,50,100 || true

say "Where the time of a step goes"
keep profile.txt "$proteus" profile --device "$device" --layers --trace "$out/step.trace.json" || true

say "What 16-bit floats do to a run: embedded digits, two seeds each"
for seed in 0 1; do
    keep "single-$seed.txt" "$proteus" train --device "$device" --seed "$seed" --out "$out/single-$seed" --quiet || true
    for variant in "${less_exact[@]}"; do
        declare -n flags=$variant
        keep "$variant-$seed.txt" \
            "$proteus" train --device "$device" --seed "$seed" --out "$out/$variant-$seed" --quiet "${flags[@]}" || true
    done
done
for variant in "${less_exact[@]}"; do
    keep "$variant-compared.txt" "$proteus" compare "$out"/single-? "$out/$variant"-? || true
done

say "Single kernels"
keep kernels.txt "$proteus" bench kernels --device "$device" --plot "$out/roofline.svg" || true

if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    say "Beside PyTorch on the same GPU, in turn"
    keep pytorch.txt "$python" "$root/benches/pytorch/compare.py" --proteus "$proteus" --proteus-device "$device" \
        --torch-device cuda --steps "$steps" --rounds 2 --styles modules batched batched+compile batched+graph || true
else
    say "PyTorch for CUDA is not there: left out"
fi

if [[ -n ${DATA:-} ]]; then
    say "The published MNIST run"
    if time keep mnist.txt "$proteus" train mnist --data "$DATA" --device "$device" --out "$out/mnist" --quiet; then
        keep mnist-scores.txt "$proteus" eval "$out/mnist" --data "$DATA" --device "$device" || true
    fi
fi

if ((${#failed[@]})); then
    say "Failed: ${failed[*]}"
    exit 1
fi

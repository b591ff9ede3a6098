#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one call: peaks and kernels, whole steps beside PyTorch's, and a training
# run. Prints short tables; raw output goes to the folder OUT, which must be new or empty. Tables of tuned kernels go there
# too, and none that is there already is used.
#
#   scripts/gpu_bench.sh [OUT [SECTION...]]     OUT: target/gpu-bench by default
#
# Sections, all of them if none is named: start, steps, tune, savings, profile, exactness, kernels, pytorch, compile, mnist.
# `tune` steps with what it found; so do sections after it, in the same call or with the same CACHE.
#
# PROTEUS       the program                      [target/release/proteus]
# DEVICE        the GPU, as of --device          [gpu]
# PYTHON        a Python with PyTorch for CUDA; without one PyTorch is left out  [python3]
# DATA          a folder with MNIST for the published run; without it that is left out
# STEPS         steps timed a contender          [100]
# PRESETS       whose steps are timed            [mnist usps svhn fashion-mnist affnist-test frgc megadepth]
# CACHE         the folder of the tables of tuned kernels  [OUT/cache]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-$root/target/gpu-bench}")
proteus=$(realpath -m "${PROTEUS:-$root/target/release/proteus}")
device=${DEVICE:-gpu}
python=${PYTHON:-python3}
steps=${STEPS:-100}
read -ra presets <<< "${PRESETS:-mnist usps svhn fashion-mnist affnist-test frgc megadepth}"
all=(start steps tune savings profile exactness kernels pytorch compile mnist)
sections=("${@:2}")
((${#sections[@]})) || sections=("${all[@]}")
for section in "${sections[@]}"; do
    [[ " ${all[*]} " == *" $section "* ]] || { echo "there is no section $section, but ${all[*]}" >&2; exit 1; }
done
half=(--variant conv2d=half --variant conv2d_grad_input=half --variant conv2d_grad_weight=half)
# shellcheck disable=SC2034  # used by its name
matrix=("${half[@]//=half/=matrix}")

[[ -x $proteus ]] || { echo "$proteus is missing: cargo build --release" >&2; exit 1; }
[[ ! -e $out || -z $(ls -A "$out") ]] || { echo "$out is not empty: name another folder" >&2; exit 1; }
mkdir -p "$out"
XDG_CACHE_HOME=$(realpath -m "${CACHE:-$out/cache}")
export XDG_CACHE_HOME LC_ALL=C
TIMEFORMAT='seconds of the whole process: %R'

say() { printf '\n== %s\n' "$*"; }
wanted() { [[ " ${sections[*]} " == *" $1 "* ]]; }

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

if wanted start; then
    say "Start: opening the device, compiling every kernel of two plans, two steps; the driver's cache of shaders is off"
    time __GL_SHADER_DISK_CACHE=0 keep start.json "$proteus" bench step --device "$device" --steps 1 --json || exit 1
fi

# One line of JSON for each preset.
time_presets() {
    local preset
    for preset in "${presets[@]}"; do
        keep "$1-$preset.json" "$proteus" bench step --preset "$preset" --device "$device" --steps "$steps" --json || true
    done
}

if wanted steps; then
    say "Steps with the kernels that devices start with"
    time_presets start
fi

if wanted tune; then
    say "Which kernels are the fastest here"
    for preset in "${presets[@]}"; do
        keep "tune-$preset.txt" "$proteus" tune --preset "$preset" --device "$device" || true
    done
    say "Steps with those"
    time_presets step
fi

if wanted savings; then
    say "What the savings are worth, and how a step grows"
    first=(--preset "${presets[0]}" --device "$device" --steps "$steps")
    keep step-gmm.json "$proteus" bench step "${first[@]}" --set model=gmm --json || true
    for saving in folding fusion; do
        keep "step-without-$saving.json" "$proteus" bench step "${first[@]}" --without "$saving" --json || true
    done
    # Many groups of channels, each of which computes what it loads.
    keep step-megadepth-without-folding.json "$proteus" bench step --preset megadepth --device "$device" \
        --steps "$steps" --without folding --json || true
    keep step-without-chain.json "$proteus" bench step "${first[@]}" --variant squared_distance=plain --json || true
    for variant in "${less_exact[@]}"; do
        declare -n flags=$variant
        keep "step-$variant.json" "$proteus" bench step "${first[@]}" "${flags[@]}" --json || true
    done
    keep sweep.txt "$proteus" bench step "${first[@]}" --sweep k=10,20,50,100 || true
fi

if wanted profile; then
    say "Where the time of a step goes"
    keep profile.txt "$proteus" profile --preset "${presets[0]}" --device "$device" --layers --trace "$out/step.trace.json" || true
fi

if wanted exactness; then
    say "What 16-bit floats do to a run: embedded digits, two seeds each"
    for seed in 0 1; do
        train=("$proteus" train --device "$device" --seed "$seed" --quiet)
        keep "single-$seed.txt" "${train[@]}" --out "$out/single-$seed" || true
        for variant in "${less_exact[@]}"; do
            declare -n flags=$variant
            keep "$variant-$seed.txt" "${train[@]}" --out "$out/$variant-$seed" "${flags[@]}" || true
        done
    done
    for variant in "${less_exact[@]}"; do
        keep "$variant-compared.txt" "$proteus" compare "$out"/single-? "$out/$variant"-? || true
    done
fi

if wanted kernels; then
    say "Single kernels"
    size=(--preset "${presets[0]}" --device "$device")
    keep kernels.txt "$proteus" bench kernels "${size[@]}" --plot "$out/roofline.svg" || true
    for variant in "${less_exact[@]}"; do
        declare -n flags=$variant
        keep "kernels-$variant.txt" "$proteus" bench kernels "${size[@]}" --filter '^conv2d' "${flags[@]}" || true
    done
fi

# Beside PyTorch; torch.compile takes minutes for each row, hence a section of its own.
beside() {
    local file=$1
    shift
    keep "$file" "$python" "$root/benches/pytorch/compare.py" --proteus "$proteus" --proteus-device "$device" \
        --torch-device cuda --steps "$steps" "$@" || true
}

if wanted pytorch || wanted compile; then
    if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
        say "Beside PyTorch on the same GPU, in turn"
        if wanted pytorch; then beside pytorch.txt --rounds 2 --styles modules batched batched+graph; fi
        if wanted compile; then beside compile.txt --rounds 1 --styles batched+compile; fi
    else
        say "PyTorch for CUDA is not there: left out"
    fi
fi

if wanted mnist && [[ -z ${DATA:-} ]]; then
    say "The published MNIST run: left out, DATA names no folder"
elif wanted mnist; then
    say "The published MNIST run"
    if time keep mnist.txt "$proteus" train mnist --data "$DATA" --device "$device" --out "$out/mnist" --quiet; then
        keep mnist-scores.txt "$proteus" eval "$out/mnist" --data "$DATA" --device "$device" || true
    fi
fi

if ((${#failed[@]})); then
    say "Failed: ${failed[*]}"
    exit 1
fi

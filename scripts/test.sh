#!/usr/bin/env bash
# Formatting, lints, links in the documentation and all tests. The last line is "N passed, N failed, N skipped".
#
# GPU tests need a Vulkan driver. Where there is none this installs Mesa's software driver (Debian, Ubuntu; as root or
# with sudo), and from then on a GPU test that cannot run fails. With PROTEUS_REQUIRE_GPU=0 nothing is installed, and
# GPU tests without an adapter count as skipped. A GPU of the machine is used where PROTEUS_TEST_GPU names it (as
# --device does) or VK_DRIVER_FILES names its driver, or where there is no software driver.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

passed=0 failed=0 skipped=0 left_out=0
scratch=$(mktemp -d)
log=$scratch/log
trap 'rm -rf "$scratch"' EXIT

say() { printf '\n== %s\n' "$*"; }

# Vulkan drivers whose manifest's name matches the pattern.
drivers() {
    local folder
    for folder in "${XDG_DATA_HOME:-${HOME:-/root}/.local/share}" /etc /usr/local/share /usr/share; do
        # shellcheck disable=SC2086  # the pattern is to be expanded
        compgen -G "$folder/vulkan/icd.d/"$1 || true
    done
}

# A driver without its hardware is of no use: packages often install those of all vendors together.
gpu_hardware() {
    compgen -G '/dev/dri/renderD*' >/dev/null || [[ -e /dev/nvidiactl || -e /dev/dxg ]]
}

install_software_driver() {
    local packages=(mesa-vulkan-drivers libvulkan1) as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "No Vulkan driver. Install Mesa's software driver (lavapipe) and the Vulkan loader:"
        echo "  Fedora: mesa-vulkan-drivers vulkan-loader    Arch: vulkan-swrast vulkan-icd-loader"
        echo "  Alpine: mesa-vulkan-swrast vulkan-loader     others: a package with lvp_icd.*.json"
        return 1
    fi
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "No Vulkan driver and no right to install one. As root: apt-get install ${packages[*]}"
            return 1
        fi
        as_root=(sudo)
        # Nobody is there to type a password.
        [[ -t 0 ]] || as_root=(sudo -n)
    fi
    say "No Vulkan driver: installing ${packages[*]}"
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get)
    "${as_root[@]}" update -qq || echo "apt-get update failed; trying with the lists that are there"
    "${as_root[@]}" install -y -qq --no-install-recommends "${packages[@]}" || {
        echo "The driver could not be installed. By hand: apt-get install ${packages[*]}"
        return 1
    }
}

# Chooses the driver: the one that was asked for, the software driver, or that of the machine's GPU.
prepare_gpu() {
    if [[ $(uname) != Linux ]]; then
        echo "GPU tests run on what this system offers (Metal, DX12)."
        return
    fi
    local chosen=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}} required=${PROTEUS_REQUIRE_GPU:-}
    if [[ -n ${PROTEUS_TEST_GPU:-} ]]; then
        echo "GPU tests run on '$PROTEUS_TEST_GPU'."
        gpu_env+=(PROTEUS_REQUIRE_GPU="${required:-1}")
        return
    fi
    if [[ -z $chosen && $required != 0 && -z $(drivers 'lvp_icd*.json') ]]; then
        if [[ -z $(drivers '*.json') ]] || ! gpu_hardware; then
            install_software_driver || true
        fi
    fi
    if [[ -z $chosen ]]; then
        # All of them: the loader passes over one for another architecture.
        chosen=$(drivers 'lvp_icd*.json' | paste -sd: -)
    fi
    if [[ -n $chosen ]]; then
        # The second name is what loaders before 1.3.207 read.
        gpu_env+=(VK_DRIVER_FILES="$chosen" VK_ICD_FILENAMES="$chosen")
        echo "Vulkan driver: $chosen"
    elif [[ -n $(drivers '*.json') ]] && gpu_hardware; then
        echo "Vulkan driver: that of this machine's GPU"
    else
        echo "No Vulkan driver: GPU tests will be reported as skipped, or as failed if PROTEUS_REQUIRE_GPU is 1."
        return
    fi
    gpu_env+=(PROTEUS_REQUIRE_GPU="${required:-1}")
}

# A check that fails counts as one failure; one that passes is no test.
check() {
    local name=$1
    shift
    say "$name"
    "$@" || {
        echo "$name failed"
        failed=$((failed + 1))
    }
}

# Runs cargo test with the given arguments and adds up the result lines of all test binaries.
run_tests() {
    say "cargo test $*"
    local status=0 ok=0 wrong=0 ignored=0 unable=0
    "${gpu_env[@]}" cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
    local sums
    sums=$(awk '/^test result: / {
        for (i = 2; i <= NF; i++) {
            if ($i == "passed;") p += $(i - 1)
            if ($i == "failed;") f += $(i - 1)
            if ($i == "ignored;") s += $(i - 1)
        }
    } END { print p + 0, f + 0, s + 0 }' "$log")
    read -r ok wrong ignored <<<"$sums"
    # A test that finds no GPU says so and returns, which the harness takes for a success.
    unable=$(grep -c 'SKIPPED: ' "$log") || true
    if ((unable > ok)); then unable=$ok; fi
    left_out=$((left_out + $(grep -c '^left out: ' "$log" || true)))
    # Where nothing compiles, or a test binary crashes, no result line says so.
    if ((status != 0 && wrong == 0)); then wrong=1; fi
    passed=$((passed + ok - unable))
    failed=$((failed + wrong))
    skipped=$((skipped + ignored + unable))
}

# Mesa complains in every test without a folder for sockets.
gpu_env=(env XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$scratch}")
say "Vulkan"
prepare_gpu

if cargo fmt --version >/dev/null 2>&1; then
    check "cargo fmt --check" cargo fmt --check
else
    say "rustfmt is not installed: formatting was not checked"
fi
if cargo clippy --version >/dev/null 2>&1; then
    check "cargo clippy" cargo clippy --all-targets -- -D warnings
else
    say "clippy is not installed: lints were not checked"
fi
check "cargo doc" env RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

run_tests --all-targets
# Examples in the documentation are no target of their own.
run_tests --doc

if ((left_out > 0)); then
    say "Left out: engines that this machine's GPU or driver cannot run, named above with what it lacks"
fi
if ((skipped > 0)); then
    say "Skipped: tests that are marked as ignored, and those above that say SKIPPED and why"
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))

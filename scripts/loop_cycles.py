#!/usr/bin/env python3
"""Cycles of the innermost loops of the register tiles, by LLVM's model of a processor: for instruction sets that are not at hand.

    scripts/loop_cycles.py [PROGRAM] [PROCESSOR]     target/release/proteus, skylake-avx512

Disassembles PROGRAM (it needs its symbols) and gives each loop that multiplies and has no branches inside to llvm-mca.
The model knows ports and latencies, not caches. Needs binutils and llvm (Debian: apt-get install binutils llvm).
"""

import re
import subprocess
import sys

TILES = ["panel::multiply_panel", "tile::multiply_tile", "outer_products::accumulate"]
ITERATIONS = 200


def functions(program):
    """Instructions, as (address, text), of each function by its name."""
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", "-C", program], capture_output=True, text=True, check=True
    ).stdout
    for block in listing.split("\n\n"):
        head, *lines = block.split("\n")
        name = re.search(r"<(.*)>:$", head)
        if name:
            found = (re.match(r"\s*([0-9a-f]+):\s+([^<#]*)", line) for line in lines)
            yield name[1], [(int(m[1], 16), m[2].strip()) for m in found if m]


def loops(instructions):
    """The innermost loops with multiply-adds, without their jump."""
    at = {address: i for i, (address, _) in enumerate(instructions)}
    for i, (_, text) in enumerate(instructions):
        jump = re.match(r"j\w+\s+([0-9a-f]+)$", text)
        start = at.get(int(jump[1], 16)) if jump else None
        if start is not None and start < i:
            body = [text for _, text in instructions[start:i]]
            if any("vfmadd" in text for text in body) and not any(text.startswith("j") for text in body):
                yield body


def cycles(body, processor):
    """Cycles of one round."""
    command = ["llvm-mca", f"-mcpu={processor}", f"-iterations={ITERATIONS}"]
    report = subprocess.run(command, input="\n".join(body) + "\n", capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", report)[1]) / ITERATIONS


def main():
    program, processor = (sys.argv[1:] + ["target/release/proteus", "skylake-avx512"][len(sys.argv) - 1 :])[:2]
    print(f"{'loop':50}{'multiply-adds':>14}{'instructions':>14}{'cycles':>9}{'a cycle':>9}")
    missing = set(TILES)
    for name, instructions in functions(program):
        missing -= {tile for tile in TILES if tile in name}
        if any(tile in name for tile in TILES):
            for body in sorted(loops(instructions), key=len):
                products = sum("vfmadd" in text for text in body)
                took = cycles(body, processor)
                short = name.removeprefix("proteus::cpu::")
                print(f"{short:50}{products:14}{len(body) + 1:14}{took:9.2f}{products / took:9.2f}")
    if missing:
        sys.exit(f"{program} has no {', '.join(sorted(missing))}: was it stripped, or did these move?")


if __name__ == "__main__":
    main()

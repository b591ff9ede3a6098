#!/usr/bin/env python3
"""The convolutions of ResNet-20 beside PyTorch's, on the same cores: forward, input gradient and weight gradient in GFLOP/s.

  pip install torch
  cargo build --release
  python3 benches/pytorch/convolutions.py [--rounds N] [--threads N]

Both sides run once a round, in turn; the table gives medians. Layouts are those that each side works in: PyTorch's tensors
are channels last, which oneDNN prefers or converts by itself.
"""
import argparse, json, os, statistics, subprocess, time

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 128
# Channels before and after, side before, stride.
SHAPES = [(16, 16, 28, 1), (32, 32, 14, 1), (64, 64, 7, 1), (16, 32, 28, 2), (32, 64, 14, 2)]
KINDS = ['conv2d', 'conv2d_grad_input', 'conv2d_grad_weight']


def median_seconds(run, repeat=20):
    times = []
    for _ in range(repeat + 3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:])


def pytorch():
    rates = {}
    for ci, co, side, stride in SHAPES:
        last = dict(memory_format=torch.channels_last)
        x = torch.randn(BATCH, ci, side, side).to(**last)
        w = torch.randn(co, ci, 3, 3).to(**last)
        y = torch.conv2d(x, w, None, stride, 1)
        dy = torch.randn_like(y)
        flop = 2 * 9 * ci * co * BATCH * y.shape[2] * y.shape[3]

        def backward(mask):
            arguments = (None, [stride, stride], [1, 1], [1, 1], False, [0, 0], 1, mask)
            return torch.ops.aten.convolution_backward(dy, x, w, *arguments)

        runs = [lambda: torch.conv2d(x, w, None, stride, 1), lambda: backward([True, False, False]),
                lambda: backward([False, True, False])]
        for kind, run in zip(KINDS, runs):
            rates[kind, ci, co] = flop / median_seconds(run) / 1e9
    return rates


def key(row):
    """Operation and channels of a line of `proteus bench kernels --json`."""
    left, right = ([int(n) for n in operand.split('x')] for operand in row['work'].split(' * '))
    if row['kernel'] == 'conv2d_grad_weight':
        return row['kernel'], left[1], right[1]
    return row['kernel'], right[1], right[0]


def proteus(program, threads):
    command = [program, 'bench', 'kernels', '--device', 'cpu', '--threads', str(threads), '--filter', '^conv2d', '--json']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--proteus', default=os.path.join(HERE, '../../target/release/proteus'))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours, theirs = {}, {}
    for _ in range(args.rounds):
        for row in proteus(args.proteus, args.threads):
            ours.setdefault(key(row), []).append(row['gflops'])
        for shape, rate in pytorch().items():
            theirs.setdefault(shape, []).append(rate)
    print('| convolution | ' + ' | '.join(f'{kind}: Proteus | PyTorch | ratio' for kind in KINDS) + ' |')
    print('|---|' + '---|' * 9)
    for ci, co, side, stride in SHAPES:
        cells = [f'{ci} to {co} channels, {side}x{side}, stride {stride}']
        for kind in KINDS:
            a, b = statistics.median(ours[kind, ci, co]), statistics.median(theirs[kind, ci, co])
            cells += [f'{a:.0f}', f'{b:.0f}', f'{a / b:.1f}']
        print('| ' + ' | '.join(cells) + ' |')
    print(f'\nGFLOP/s of the direct form; batch {BATCH}, {args.threads} threads, PyTorch {torch.__version__}, median of {args.rounds} rounds')


if __name__ == '__main__':
    main()

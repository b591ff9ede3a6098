#!/usr/bin/env python3
"""Proteus beside PyTorch: the same training step, timed in turn on the same cores or GPU.

  pip install torch
  cargo build --release
  python3 benches/pytorch/compare.py                      the CPU, all its cores
  python3 benches/pytorch/compare.py --torch-device cuda --proteus-device gpu
  python3 benches/pytorch/compare.py --work mnist --clusters 10 20 50 100

Every contender runs once a round, one after the other, so that a machine that drifts drifts for all. Ratios are taken
within a round; the table gives the median round. `modules` is built as the published code is, `batched` as a careful
user of PyTorch would write it (see dti_torch.py); `batched+compile` and `batched+graph` add torch.compile or a CUDA graph.
"""
import argparse, itertools, json, os, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
# name: preset and model of dti_torch.py, arguments of `proteus bench step`
WORK = {
    'mnist': ('mnist', 'kmeans', ['--preset', 'mnist']),
    'mnist, GMM': ('mnist', 'gmm', ['--preset', 'mnist', '--set', 'model=gmm']),
    'mnist, affine only': ('mnist_affine', 'kmeans', ['--preset', 'mnist', '--stage', '1']),
    'svhn': ('svhn', 'kmeans', ['--preset', 'svhn']),
    'usps': ('usps', 'kmeans', ['--preset', 'usps']),
}


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def milliseconds(t):
    return f'{t:.0f}' if t >= 100 else f'{t:.3g}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--work', nargs='*', default=list(WORK), help='some of: ' + ', '.join(WORK))
    parser.add_argument('--clusters', nargs='*', type=int, default=[10], help='a row for each number of prototypes')
    parser.add_argument('--batches', nargs='*', type=int, default=[128], help='and for each batch size')
    parser.add_argument('--styles', nargs='*', default=['modules', 'batched'])
    parser.add_argument('--proteus', default=os.path.join(HERE, '../../target/release/proteus'))
    parser.add_argument('--proteus-device', default='cpu')
    parser.add_argument('--torch-device', default='cpu')
    parser.add_argument('--torch-args', nargs='*', default=[], help='more for dti_torch.py, such as --compile')
    args = parser.parse_args()
    print(f'| work | proteus ms | {" | ".join(f"{s} ms | ratio" for s in args.styles)} |')
    print(f'|---|---|{"---|---|" * len(args.styles)}', flush=True)
    about, failures = {}, []
    for name, k, batch in itertools.product(args.work, args.clusters, args.batches):
        preset, model, ours = WORK[name]
        ours = ours + ['--set', f'clusters={k}', '--set', f'batch_size={batch}']
        theirs = ['--clusters', str(k), '--batch', str(batch)]
        name += ''.join([f', K {k}'] * (len(args.clusters) > 1) + [f', batch {batch}'] * (len(args.batches) > 1))
        times = {style: [] for style in ['proteus'] + args.styles}
        for _ in range(args.rounds):
            report = run([args.proteus, 'bench', 'step', '--json', '--steps', str(args.steps), '--device', args.proteus_device,
                          '--threads', str(args.threads)] + ours)
            about['proteus'] = report['device']
            times['proteus'].append(report['ms_median'])
            for style in args.styles:
                build, *flags = style.split('+')
                try:
                    peer = run([sys.executable, os.path.join(HERE, 'dti_torch.py'), '--preset', preset, '--model', model,
                                '--style', build, '--device', args.torch_device, '--threads', str(args.threads),
                                '--steps', str(args.steps)] + theirs + [f'--{flag}' for flag in flags] + args.torch_args)
                except RuntimeError as error:
                    # torch.compile, for one, needs a compiler that may be missing; the other styles still count.
                    failures.append(str(error))
                    continue
                about['torch'] = f'PyTorch {peer["torch"]} on {peer["device"]}'
                times[style].append((peer['ms_median'], peer['ms_median'] / report['ms_median']))
        cells = [f"{statistics.median(times['proteus']):.4g}"]
        for style in args.styles:
            ratios = [ratio for _, ratio in times[style]]
            cells += ['failed', '-'] if not ratios else [
                milliseconds(statistics.median(t for t, _ in times[style])),
                f'{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})']
        print(f'| {name} | {" | ".join(cells)} |', flush=True)
    sizes = f'K {args.clusters}, batch {args.batches}'.replace('[', '').replace(']', '')
    print(f"\n{'; '.join(about.values())}; {sizes}; median of {args.rounds} rounds")
    if failures:
        sys.exit('\n'.join(dict.fromkeys(failures)))


if __name__ == '__main__':
    main()

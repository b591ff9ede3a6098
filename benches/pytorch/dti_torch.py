#!/usr/bin/env python3
"""What a user would pick instead: one DTI training step in PyTorch, two ways.

  --style modules   one small module per prototype and transformation, as the published code is built
  --style batched   what a careful PyTorch user would write: all heads in one bmm, all warps in one call
  --model gmm       the mixture instead of K-means

Prints one JSON line: milliseconds per training step (forward, backward, Adam), median and minimum.
Needs only torch. `--compile` adds torch.compile; on CUDA `--graph` replays the step as a CUDA graph.

  python dti_torch.py --device cpu --threads 2 --preset mnist
  python dti_torch.py --device cuda --preset mnist --style batched --compile
"""
import argparse, json, math, time
import torch
from torch import nn
import torch.nn.functional as F

PRESETS = {  # channels, size, K, sequence, batch
    'mnist': (1, 28, 10, ['affine', 'morpho', 'tps'], 128),
    'mnist_affine': (1, 28, 10, ['affine'], 128),
    'usps': (1, 16, 10, ['color', 'affine', 'tps'], 128),
    'fashion': (1, 28, 10, ['color', 'affine', 'tps'], 128),
    'svhn': (3, 32, 10, ['color', 'projective'], 128),
    'frgc': (3, 32, 20, ['color', 'affine', 'tps'], 128),
    'affnist': (1, 40, 10, ['affine', 'morpho', 'tps'], 128),
    'k100': (1, 28, 100, ['affine', 'morpho', 'tps'], 128),
}
GRID, KERNEL, HIDDEN = 4, 7, 128


class Block(nn.Module):
    def __init__(s, i, o, stride):
        super().__init__()
        s.c1, s.b1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        s.c2, s.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        s.stride, s.pad = stride, (o - i) // 2

    def forward(s, x):
        y = s.b2(s.c2(F.relu(s.b1(s.c1(x)))))
        skip = x if s.stride == 1 else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, s.pad, s.pad))
        return F.relu(y + skip)


def resnet20(c):
    blocks = [nn.Conv2d(c, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    for i, o, st in ((16, 16, 1), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1)):
        blocks.append(Block(i, o, st))
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def dim(t, c): return {'affine': 6, 'projective': 9, 'color': 2 * c, 'tps': 2 * GRID * GRID, 'morpho': 1 + KERNEL * KERNEL}[t]


class Warp(nn.Module):
    """Applies one transformation to images x [N,C,H,W] with parameters b [N,P] (offsets from the identity)."""
    def __init__(s, t, c, h):
        super().__init__(); s.t, s.c, s.h = t, c, h
        if t == 'affine': s.register_buffer('id', torch.eye(2, 3).flatten())
        if t == 'projective':
            s.register_buffer('id', torch.eye(3).flatten())
            a = (torch.arange(h) * 2 + 1) / h - 1
            s.register_buffer('pts', torch.stack([a.repeat(h), a.repeat_interleave(h), torch.ones(h * h)], 1))
        if t == 'morpho':
            w = torch.full((KERNEL, KERNEL), -5.); w[KERNEL // 2, KERNEL // 2] = 5
            s.register_buffer('id', torch.cat([torch.zeros(1), w.flatten()]))
        if t == 'tps':
            a = torch.linspace(-1, 1, GRID); ctrl = torch.stack([a.repeat(GRID), a.repeat_interleave(GRID)], 1)
            b = torch.linspace(-1, 1, h); out = torch.stack([b.repeat(h), b.repeat_interleave(h)], 1)
            def phi(p, q):
                r2 = ((p[:, None] - q[None]) ** 2).sum(-1); return torch.where(r2 > 0, 0.5 * r2 * r2.clamp_min(1e-30).log(), torch.zeros(()))
            n = len(ctrl); A = torch.zeros(n + 3, n + 3)
            A[:n, :n] = phi(ctrl, ctrl); A[:n, n] = 1; A[n, :n] = 1; A[:n, n + 1:] = ctrl; A[n + 1:, :n] = ctrl.T
            rep = torch.cat([phi(out, ctrl), torch.ones(h * h, 1), out], 1)
            s.register_buffer('m', rep @ torch.inverse(A)[:, :n]); s.register_buffer('id', ctrl.flatten())

    def forward(s, x, b):
        n, c, h, t = len(x), s.c, s.h, s.t
        if t == 'color':
            b = b.view(n, c, 2); return x * (1 + b[:, :, 0])[:, :, None, None] + b[:, :, 1][:, :, None, None]
        b = b + s.id
        if t == 'morpho':
            u = F.unfold(x.reshape(n * c, 1, h, h), KERNEL, padding=KERNEL // 2).transpose(1, 2)
            w = torch.exp(b[:, :1, None] * u) * torch.sigmoid(b[:, 1:]).unsqueeze(1)
            return ((u * w).sum(2) / w.sum(2)).view(n, c, h, h)
        if t == 'affine': grid = F.affine_grid(b.view(n, 2, 3), [n, c, h, h], align_corners=False)
        elif t == 'projective':
            p = s.pts @ b.view(n, 3, 3).transpose(1, 2); grid = (p[..., :2] / p[..., 2:]).view(n, h, h, 2)
        else: grid = (s.m @ b.view(n, -1, 2)).view(n, h, h, 2)
        return F.grid_sample(x, grid, padding_mode='border', align_corners=False)


SPATIAL = ('affine', 'projective', 'tps')


def mixture(c, h, K, s):
    s.sigma = nn.Parameter(torch.full((K, c, h, h), .5)); s.logits = nn.Parameter(torch.ones(K))


def kmeans_loss(x, y):
    return ((x[:, None] - y) ** 2).flatten(2).mean(2).min(1)[0].mean()


def gmm_loss(x, mu, sigma, logits):
    """mu, sigma [B,K,C,H,W]: responsibilities as constants, then the expected negative log-likelihood."""
    v = sigma ** 2 + .25 ** 2
    ll = -.5 * ((x[:, None] - mu) ** 2 / v + v.log()).flatten(2).sum(2) - .5 * x[0].numel() * math.log(2 * math.pi)
    joint = ll + logits.log_softmax(0)
    return -(joint.detach().softmax(1) * joint).sum(1).mean()


class Modules(nn.Module):
    def __init__(s, c, h, K, seq, gmm=False):
        super().__init__(); s.K = K; s.prototypes = nn.Parameter(torch.rand(K, c, h, h)); s.enc = resnet20(c); s.gmm = gmm
        if gmm: mixture(c, h, K, s)
        def head(t):
            m = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, dim(t, c)))
            nn.init.zeros_(m[-1].weight); nn.init.zeros_(m[-1].bias); return m
        s.heads = nn.ModuleList(nn.ModuleList(head(t) for t in seq) for _ in range(K))
        s.warps = nn.ModuleList(nn.ModuleList(Warp(t, c, h) for t in seq) for _ in range(K))

    def forward(s, x):
        f = s.enc(x); out = []; deviations = []
        for k in range(s.K):
            y = s.prototypes[k].expand(len(x), -1, -1, -1)
            z = s.sigma[k].expand(len(x), -1, -1, -1) if s.gmm else None
            for head, warp in zip(s.heads[k], s.warps[k]):
                b = head(f); y = warp(y, b)
                if s.gmm and warp.t in SPATIAL: z = warp(z, b)
            out.append(y); deviations.append(z)
        if s.gmm: return gmm_loss(x, torch.stack(out, 1), torch.stack(deviations, 1), s.logits)
        return kmeans_loss(x, torch.stack(out, 1))


class Batched(nn.Module):
    def __init__(s, c, h, K, seq, gmm=False):
        super().__init__(); s.K, s.T = K, len(seq); s.prototypes = nn.Parameter(torch.rand(K, c, h, h)); s.enc = resnet20(c); s.gmm = gmm
        if gmm: mixture(c, h, K, s)
        G = K * s.T; s.dims = [dim(t, c) for t in seq]
        s.w1 = nn.Parameter(torch.randn(64, G * HIDDEN) / 8); s.b1 = nn.Parameter(torch.zeros(G * HIDDEN))
        s.w2 = nn.Parameter(torch.randn(G, HIDDEN, HIDDEN) / math.sqrt(HIDDEN)); s.b2 = nn.Parameter(torch.zeros(G, 1, HIDDEN))
        s.w3 = nn.ParameterList(torch.zeros(K, HIDDEN, d) for d in s.dims); s.b3 = nn.ParameterList(torch.zeros(K, 1, d) for d in s.dims)
        s.warps = nn.ModuleList(Warp(t, c, h) for t in seq)

    def forward(s, x):
        B, f = len(x), s.enc(x)
        z = F.relu(f @ s.w1 + s.b1).view(B, s.K * s.T, HIDDEN).transpose(0, 1)
        z = F.relu(torch.baddbmm(s.b2, z, s.w2)).view(s.K, s.T, B, HIDDEN)
        y = s.prototypes[:, None].expand(-1, B, -1, -1, -1).flatten(0, 1)
        sigma = s.sigma[:, None].expand(-1, B, -1, -1, -1).flatten(0, 1) if s.gmm else None
        for t, warp in enumerate(s.warps):
            b = torch.baddbmm(s.b3[t], z[:, t], s.w3[t]).flatten(0, 1); y = warp(y, b)
            if s.gmm and warp.t in SPATIAL: sigma = warp(sigma, b)
        by_image = lambda t: t.view(s.K, B, *x.shape[1:]).transpose(0, 1)
        if s.gmm: return gmm_loss(x, by_image(y), by_image(sigma), s.logits)
        return kmeans_loss(x, by_image(y))


def main():
    p = argparse.ArgumentParser(); p.add_argument('--device', default='cpu'); p.add_argument('--threads', type=int, default=0)
    p.add_argument('--preset', default='mnist', choices=PRESETS); p.add_argument('--style', default='modules', choices=['modules', 'batched'])
    p.add_argument('--model', default='kmeans', choices=['kmeans', 'gmm'])
    p.add_argument('--clusters', type=int); p.add_argument('--batch', type=int)
    p.add_argument('--compile', action='store_true'); p.add_argument('--graph', action='store_true'); p.add_argument('--steps', type=int, default=10)
    a = p.parse_args()
    if a.threads: torch.set_num_threads(a.threads)
    torch.manual_seed(0); c, h, K, seq, B = PRESETS[a.preset]; K, B = a.clusters or K, a.batch or B; dev = torch.device(a.device)
    m = (Modules if a.style == 'modules' else Batched)(c, h, K, seq, a.model == 'gmm').to(dev).train(); x = torch.rand(B, c, h, h, device=dev)
    own = ('prototypes', 'sigma', 'logits'); rest = [q for n, q in m.named_parameters() if n not in own]
    opt = torch.optim.Adam([dict(params=[q for n, q in m.named_parameters() if n in own]), dict(params=rest, weight_decay=1e-6)], lr=1e-3, capturable=a.graph)
    f = torch.compile(m) if a.compile else m
    def step():
        opt.zero_grad(set_to_none=not a.graph); loss = f(x); loss.backward(); opt.step(); return loss
    sync = torch.cuda.synchronize if dev.type == 'cuda' else (lambda: None)
    run = step
    if a.graph:
        s = torch.cuda.Stream(); s.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(s):
            for _ in range(5): step()
        torch.cuda.current_stream().wait_stream(s); g = torch.cuda.CUDAGraph()
        with torch.cuda.graph(g): step()
        run = g.replay
    for _ in range(3): run()
    ts = []
    for _ in range(a.steps):
        sync(); t = time.perf_counter(); run(); sync(); ts.append((time.perf_counter() - t) * 1e3)
    ts.sort()
    name = torch.cuda.get_device_name() if dev.type == 'cuda' else f'cpu x{torch.get_num_threads()}'
    print(json.dumps(dict(k=K, batch=B, preset=a.preset, model=a.model, style=a.style, compile=a.compile, graph=a.graph, device=name, torch=torch.__version__,
                          ms_median=round(ts[len(ts) // 2], 3), ms_min=round(ts[0], 3))))

if __name__ == '__main__': main()

//! Runs of operations on rows become one kernel each, see [`Chain`].

use super::{Draft, Lowering};
use crate::cpu::rows::{Chain, Cut, From, Link, RowKernel};
use crate::cpu::*;
use crate::tape::{Arena, Call, Op, Operand, Place, Shape, Work};
use std::collections::HashMap;

/// Most inputs and outputs of a chain, by what [`Args`] holds.
const MOST: [usize; 2] = [INPUTS, OUTPUTS];

/// A chain under construction. Its operations wait until another one needs a result of them.
#[derive(Default)]
pub struct Waiting {
    rows: usize,
    links: Vec<Link>,
    locals: Vec<usize>,
    /// Storages that it reads.
    arguments: Vec<usize>,
    /// Storages that it computes, by local.
    produced: Vec<usize>,
    /// The operations, each as often as it comes.
    names: Vec<&'static str>,
    flops: u64,
}

impl Waiting {
    fn local(&self, storage: usize) -> Option<usize> {
        self.produced.iter().position(|&s| s == storage)
    }

    /// Whether the operation can join: it reads earlier results row by row, and there is room.
    fn accepts(&self, kernel: &RowKernel, inputs: &[Operand]) -> bool {
        let fits = |(o, cut): (&Operand, &Cut)| match (self.local(o.storage), cut) {
            (None, _) => true,
            (Some(local), Cut::Own(n)) => self.locals[local] == *n,
            _ => false,
        };
        let room =
            self.arguments.len() + inputs.len() <= MOST[0] && self.produced.len() + kernel.outputs.len() <= MOST[1];
        self.links.is_empty() || self.rows == kernel.rows && room && inputs.iter().zip(&kernel.inputs).all(fits)
    }
}

impl Lowering<'_> {
    /// Adds an operation on rows to the chain that waits.
    pub fn row_call(&mut self, call: &Call, kernel: RowKernel) {
        if !self.waiting.accepts(&kernel, &call.inputs) {
            self.emit_waiting();
        }
        let mut inputs = Vec::new();
        for operand in &call.inputs {
            inputs.push(match self.waiting.local(operand.storage) {
                Some(local) => From::Local(local),
                None => {
                    let storage = self.planar(operand);
                    let known = self.waiting.arguments.iter().position(|&s| s == storage);
                    From::Argument(known.unwrap_or_else(|| {
                        self.waiting.arguments.push(storage);
                        self.waiting.arguments.len() - 1
                    }))
                }
            });
        }
        let waiting = &mut self.waiting;
        let mut outputs = Vec::new();
        for (output, &n) in call.outputs.iter().zip(&kernel.outputs) {
            outputs.push(waiting.locals.len());
            waiting.locals.push(n);
            waiting.produced.push(output.storage);
        }
        waiting.rows = kernel.rows;
        waiting.names.push(call.op.name());
        waiting.flops += call.flops();
        waiting.links.push(Link { kernel, inputs, outputs });
        if !self.chains {
            self.emit_waiting();
        }
    }

    /// Emits the chain that waits if `calls` depend on it, or change what it reads.
    pub fn settle(&mut self, calls: &[Call]) {
        let place = |storage: usize| self.storages[storage].1;
        let arenas = |storages: &[usize]| -> Vec<Arena> {
            let arena = |&s: &usize| match place(s) {
                Place::Persistent { arena, .. } => Some(arena),
                Place::Transient => None,
            };
            storages.iter().filter_map(arena).collect()
        };
        let (reads, writes) = (arenas(&self.waiting.arguments), arenas(&self.waiting.produced));
        let depends = calls.iter().any(|call| {
            let touched = |o: &Operand, arenas: &[&[Arena]]| {
                self.waiting.local(o.storage).is_some()
                    || matches!(place(o.storage), Place::Persistent { arena, .. } if arenas.concat().contains(&arena))
            };
            call.inputs.iter().any(|o| touched(o, &[&writes]))
                || call.outputs.iter().any(|o| touched(o, &[&reads, &writes]))
        });
        if depends {
            self.emit_waiting();
        }
    }

    /// Emits the chain that waits. Results that only the chain itself reads are not stored.
    pub fn emit_waiting(&mut self) {
        let Waiting { rows, links, locals, arguments, produced, names, flops } = std::mem::take(&mut self.waiting);
        if links.is_empty() {
            return;
        }
        let mut used: HashMap<usize, usize> = HashMap::new();
        for from in links.iter().flat_map(|link| &link.inputs) {
            if let From::Local(local) = from {
                *used.entry(*local).or_default() += 1;
            }
        }
        let needed = |local: &usize| {
            let storage = produced[*local];
            let inside = used.get(local).copied().unwrap_or(0);
            self.storages[storage].1 != Place::Transient || self.uses(storage) > inside
        };
        let stored: Vec<usize> = (0..produced.len()).filter(needed).collect();
        let outputs: Vec<usize> = stored.iter().map(|&local| produced[local]).collect();
        let kernel = Chain { rows, links, locals, stored }.kernel();
        let words: usize = arguments.iter().chain(&outputs).map(|&s| self.storages[s].0).sum();
        let name = if names.len() == 1 { names[0] } else { CHAIN };
        let work =
            Work { kernel: name, detail: format!("{rows} rows: {}", names.join(" ")), flops, bytes: 4 * words as u64 };
        self.drafts.push(Draft { work, kernel, inputs: arguments, outputs });
    }

    /// The kernel of an operation on rows; `None` for other operations.
    pub fn row_kernel(&self, call: &Call) -> Option<RowKernel> {
        let isa = self.isa;
        let input = |i: usize| &call.inputs[i].shape;
        let output = &call.outputs[0].shape;
        let item = |shape: &Shape| shape.tail::<3>().iter().product::<usize>();
        let images = |shape: &Shape| {
            let [c, h, w] = shape.tail();
            Map { b: shape.rows(3), c, h, w }
        };
        let grid = |shape: &Shape| {
            let [h, w, _] = shape.tail();
            (shape.rows(3), h, w)
        };
        let distance =
            |r: usize| squared_distance::Extents { b: input(0).rows(3), r, s: input(1).rows(3), n: item(input(0)) };
        let normal = |r: usize| neg_log_normal::Extents {
            b: input(0).rows(3),
            r,
            s: input(1).rows(3),
            t: input(2).rows(3),
            n: item(input(0)),
        };
        let source = |image: Map, padding| bilinear::Source { h: image.h, w: image.w, padding };
        let width = |shape: &Shape| shape.tail::<1>()[0];
        Some(match call.op {
            Op::AffineGrid => {
                let (r, h, w) = grid(output);
                affine_grid::kernel(isa, r, h, w)
            }
            Op::AffineGridGrad => {
                let (r, h, w) = grid(input(0));
                affine_grid_grad::kernel(isa, r, h, w)
            }
            Op::ProjectiveGrid => {
                let (r, h, w) = grid(output);
                projective_grid::kernel(isa, r, h, w)
            }
            Op::ProjectiveGridGrad => {
                let (r, h, w) = grid(input(1));
                projective_grid_grad::kernel(isa, r, h, w)
            }
            Op::ControlGrid => {
                let (r, h, w) = grid(output);
                control_grid::kernel(isa, r, input(0).rows(2), h * w)
            }
            Op::ControlGridGrad => {
                let (r, h, w) = grid(input(1));
                control_grid_grad::kernel(isa, r, input(0).rows(2), h * w)
            }
            Op::GridSample(padding, rows) => {
                let image = images(input(0));
                grid_sample::kernel(isa, image, images(output), source(image, padding), rows)
            }
            Op::GridSampleGradImage(padding) => {
                let image = images(output);
                grid_sample_grad_image::kernel(isa, image, images(input(1)), source(image, padding))
            }
            Op::GridSampleGradGrid(padding, rows) => {
                let image = images(input(0));
                grid_sample_grad_grid::kernel(isa, image, images(input(2)), source(image, padding), rows)
            }
            Op::Color(rows) => color::kernel(isa, output.rows(3), images(input(0)), rows),
            Op::ColorGradImage => color_grad_image::kernel(isa, images(output)),
            Op::ColorGradBeta(rows) => color_grad_beta::kernel(isa, output.rows(1), images(input(0)), rows),
            Op::MorphoWeights => morpho_weights::kernel(output.rows(1), width(output)),
            Op::MorphoWeightsGrad => morpho_weights_grad::kernel(output.rows(1), width(output)),
            Op::MorphoExp(rows) => morpho_exp::kernel(isa, output.rows(3), images(input(0)), width(input(1)), rows),
            Op::Morpho { kernel, rows } => morpho::kernel(isa, output.rows(3), images(input(0)), kernel, rows),
            Op::MorphoGradImage { kernel, rows } => {
                morpho_grad_image::kernel(isa, output.rows(3), images(input(0)), kernel, rows)
            }
            Op::MorphoGradWeights { kernel, rows } => {
                morpho_grad_weights::kernel(isa, output.rows(1), images(input(0)), kernel, rows)
            }
            Op::MorphoLimit { kernel, rows } => morpho_limit::kernel(output.rows(3), images(input(0)), kernel, rows),
            Op::SquaredDistance { rows, weighted } => {
                squared_distance::kernel(isa, distance(output.len()), rows, weighted)
            }
            Op::SquaredDistanceGrad { rows, weighted } => {
                squared_distance_grad::kernel(isa, distance(input(2).len()), rows, weighted)
            }
            Op::NegLogNormal { mean, deviation, weighted, min_variance } => {
                let form = neg_log_normal::Form { mean, deviation, weighted, min_variance };
                neg_log_normal::kernel(isa, normal(output.len()), form)
            }
            Op::NegLogNormalGradMean { mean, deviation, weighted, min_variance } => {
                let form = neg_log_normal::Form { mean, deviation, weighted, min_variance };
                neg_log_normal_grad_mean::kernel(isa, normal(input(3).len()), form)
            }
            Op::NegLogNormalGradDeviation { mean, deviation, weighted, min_variance } => {
                let form = neg_log_normal::Form { mean, deviation, weighted, min_variance };
                neg_log_normal_grad_deviation::kernel(isa, normal(input(3).len()), form)
            }
            _ => return None,
        })
    }
}

//! One Adam step (Kingma and Ba 2015) with L2 decay added to the gradient, over a stretch of parameters.

use super::Kernel;
use super::relu::TASK;
use rayon::prelude::*;

/// Constants of the step and the column of the schedule [T,groups,2].
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub group: usize,
    pub groups: usize,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f32,
    pub weight_decay: f32,
}

pub fn kernel(step: Step) -> Kernel {
    let Step { beta1, beta2, eps, weight_decay, .. } = step;
    // Complements are taken before rounding: 1 - 0.999f32 is off by 1e-5 of its size.
    let (keep1, take1) = (beta1 as f32, (1.0 - beta1) as f32);
    let (keep2, take2) = (beta2 as f32, (1.0 - beta2) as f32);
    Box::new(move |args| {
        let (gradient, schedule, clock) = (args.f32(0), args.f32(1), args.u32(2));
        let (parameter, m, v) = (args.out(0), args.out(1), args.out(2));
        // A clock past the end of the schedule keeps the last rates.
        let last = schedule.len() / (2 * step.groups) - 1;
        let row = 2 * ((clock[1] as usize).min(last) * step.groups + step.group);
        let (rate, correction) = (schedule[row], schedule[row + 1]);
        let moments = m.par_chunks_mut(TASK).zip(v.par_chunks_mut(TASK));
        let pieces = parameter.par_chunks_mut(TASK).zip(gradient.par_chunks(TASK)).zip(moments);
        pieces.for_each(|((p, g), (m, v))| {
            for i in 0..p.len() {
                let g = g[i] + weight_decay * p[i];
                m[i] = keep1 * m[i] + take1 * g;
                v[i] = keep2 * v[i] + take2 * g * g;
                p[i] -= rate * m[i] / (v[i].sqrt() * correction + eps);
            }
        });
    })
}

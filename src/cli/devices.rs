//! `proteus devices`.

use super::failure::Failure;
use crate::cpu::CpuEngine;
use crate::gpu::adapters;
use crate::tape::Engine;
use std::io::Write;

/// List the devices that can be used, and what each can do
#[derive(clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let cpu = CpuEngine::new(None).map_err(|e| Failure::Failed(e.to_string()))?;
    writeln!(out, "{}", cpu.device())?;
    let found = adapters();
    let yes = |b: bool| if b { "yes" } else { "no" };
    for a in &found {
        writeln!(out, "{a}")?;
        writeln!(
            out,
            "    timestamps {}, subgroups of {} to {} (operations {}), f16 {}, matrix unit {}",
            yes(a.timestamps),
            a.subgroup.0,
            a.subgroup.1,
            yes(a.subgroup_operations),
            yes(a.f16),
            a.matrix_unit.map_or("none".into(), |u| format!("of {0}x{0}", u.side)),
        )?;
        let l = &a.limits;
        writeln!(
            out,
            "    bindings up to {} MiB, {} storage buffers a stage, {} KiB of workgroup memory",
            l.max_storage_buffer_binding_size >> 20,
            l.max_storage_buffers_per_shader_stage,
            l.max_compute_workgroup_storage_size >> 10,
        )?;
    }
    if found.iter().all(|a| a.software) {
        let what = if found.is_empty() { "No GPU was found" } else { "Only software adapters were found" };
        writeln!(
            out,
            "{what}: a GPU needs its driver with Vulkan (on Debian libvulkan1 and the vendor's driver), Metal or DX12. \
             --device auto uses the CPU."
        )?;
    }
    Ok(())
}

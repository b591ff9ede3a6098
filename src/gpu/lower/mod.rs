//! Lowering: a program's calls become dispatches of kernels. Needs no device.

mod adam;
mod calls;
mod chain;
mod conv;
mod fold;
mod fuse;
mod launch;
mod linear;
mod norm;
mod parts;
mod together;
mod variants;

pub(super) use conv::MATRIX_BYTES;
pub use variants::{
    CHAIN, HALF, MATRIX, MatrixUnit, Need, PLAIN, SUBGROUP, TILED, VARIANTS, VariantChoice, Variants, is_inexact,
    sizes, variant_of,
};

use crate::tape::{Arena, Call, Dtype, EngineError, Operand, Place, Program, Storage, Work};

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `read` in WGSL.
    Read,
    /// `read_write` in WGSL: outputs, and persistent tensors updated in place.
    Write,
}

/// One storage binding; they are numbered from 1, in the order of the kernel's declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Index into [`Lowered::storages`]; `None` for an input that this specialisation does not have, which gets a
    /// placeholder that is never read.
    pub storage: Option<usize>,
    /// How it is used.
    pub access: Access,
}

/// One member of a kernel's `Params`, as the 32 bits that the device gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name of the member.
    pub name: &'static str,
    /// Its bits.
    pub bits: u32,
    /// Whether they are those of an f32; u32 otherwise.
    pub float: bool,
}

impl From<(&'static str, usize)> for Param {
    fn from((name, value): (&'static str, usize)) -> Self {
        // Lowering has checked that no storage has more elements than a u32 counts.
        Param { name, bits: value as u32, float: false }
    }
}

impl From<(&'static str, f32)> for Param {
    fn from((name, value): (&'static str, f32)) -> Self {
        Param { name, bits: value.to_bits(), float: true }
    }
}

/// One launch of a kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Values of its `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// The uniform at binding 0, member by member.
    pub params: Vec<Param>,
    /// Storage buffers, from binding 1 on.
    pub bindings: Vec<Binding>,
    /// Workgroups along x, y and z.
    pub groups: [u32; 3],
    /// The call of the program that it belongs to.
    pub call: usize,
    /// What it does; the cost is that of the call at its first dispatch.
    pub work: Work,
}

/// A program in terms of kernels.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The program's storages, then workspaces: partial sums, coefficients, what a kernel binds and does not write.
    pub storages: Vec<Storage>,
    /// Launches in order.
    pub dispatches: Vec<Dispatch>,
    /// What the host may read.
    pub outputs: Vec<Operand>,
}

/// What decides whether two bindings are the same buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Arena(Arena),
    Transient(usize),
}

/// Which calls run as one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fusion {
    /// None.
    Off,
    /// What follows a result element by element is done where the result is, and sums that can wait are one launch.
    Results,
    /// And maps are normalised where they are loaded, and summed where they are computed.
    #[default]
    Loads,
}

/// Lowers a program, with calls that go together as one kernel as `fusion` says, by the kernels that `variants` chooses.
/// Fails if a tensor has more elements than 32-bit indices reach, or if a kernel would read and write one arena.
pub fn lower(program: &Program, fusion: Fusion, variants: &Variants) -> Result<Lowered, EngineError> {
    let limit = u32::MAX as usize;
    if let Some(storage) = program.storages.iter().find(|s| s.len > limit) {
        let (bytes, limit) = (storage.len * storage.dtype.size(), limit * storage.dtype.size());
        let what = "a tensor".to_string();
        return Err(EngineError::TooLarge { device: "32-bit indexing".to_string(), what, bytes, limit });
    }
    let mut lowered = Lowered {
        storages: program.storages.clone(),
        dispatches: Vec::with_capacity(program.calls.len()),
        outputs: program.outputs.clone(),
    };
    let chained = |call: &Call| variants.kernel(call.op.name(), call) == chain::KERNEL;
    let mut units = fuse::units(program, fusion != Fusion::Off, chained);
    if fusion == Fusion::Loads {
        let computes = |call: &Call| conv::computes_maps(call, variants);
        let writes = |call: &Call| conv::writes_maps(call, variants);
        let loading = fold::Loading { computes: &computes, writes: &writes };
        units = fold::fold(&mut lowered, program, units, &loading);
        parts::share(&mut lowered, &mut units, |call| conv::splits(call, variants));
    }
    for unit in units {
        let first = lowered.dispatches.len();
        calls::lower_call(&mut lowered, &unit.call, &unit.besides, variants);
        let whole = unit.work();
        for (i, dispatch) in lowered.dispatches[first..].iter_mut().enumerate() {
            dispatch.call = unit.index;
            let (flops, bytes) = if i == 0 { (whole.flops, whole.bytes) } else { (0, 0) };
            dispatch.work = Work { kernel: dispatch.kernel, detail: whole.detail.clone(), flops, bytes };
        }
    }
    if fusion != Fusion::Off {
        together::unite(&mut lowered);
    }
    for dispatch in &lowered.dispatches {
        lowered.check_aliases(dispatch)?;
    }
    Ok(lowered)
}

impl Lowered {
    /// A transient storage for partial results.
    fn workspace(&mut self, len: usize) -> usize {
        self.storages.push(Storage { len, dtype: Dtype::F32, place: Place::Transient });
        self.storages.len() - 1
    }

    fn region(&self, storage: usize) -> Region {
        match self.storages[storage].place {
            Place::Persistent { arena, .. } => Region::Arena(arena),
            Place::Transient => Region::Transient(storage),
        }
    }

    /// WebGPU forbids a buffer that one dispatch both reads and writes, even in ranges that do not overlap.
    fn check_aliases(&self, dispatch: &Dispatch) -> Result<(), EngineError> {
        let regions = |access| {
            let with = dispatch.bindings.iter().filter(move |b| b.access == access);
            with.filter_map(|b| b.storage).map(|s| self.region(s))
        };
        for written in regions(Access::Write) {
            if regions(Access::Read).any(|read| read == written) {
                let message = match written {
                    Region::Arena(arena) => format!(
                        "it would read one tensor and write another of the arena {arena:?}, which WebGPU forbids; \
                         put them into different arenas"
                    ),
                    Region::Transient(_) => "it would overwrite its own input".to_string(),
                };
                return Err(EngineError::Kernel { kernel: dispatch.kernel.to_string(), message });
            }
        }
        Ok(())
    }
}

/// Bytes of workgroup memory that every device offers.
const WORKGROUP_BYTES: usize = 16 << 10;

/// Largest number of workgroups along one dimension that every device offers.
const MAX_GROUPS: usize = 65_535;

/// A grid of at least `n` workgroups in two dimensions; kernels number them `y * groups.x + x` and drop the surplus.
fn workgroups(n: usize) -> [u32; 3] {
    let rows = n.div_ceil(MAX_GROUPS).max(1);
    [n.div_ceil(rows).max(1) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_grid_covers_and_stays_within_limits() {
        for n in [1, 64, 65_535, 65_536, 1_000_000, 4_000_000_000usize / 64] {
            let [x, y, _] = workgroups(n).map(|g| g as usize);
            assert!(x * y >= n && x <= MAX_GROUPS && y <= MAX_GROUPS, "{n} workgroups in {x} x {y}");
            assert!(x * y < n + y, "{n} workgroups waste less than a row");
        }
    }
}

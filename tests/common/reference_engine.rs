//! The reference as an engine: it tests the harness itself, and with a fault built in it tests that the harness
//! notices faults.

use super::reference::{Memory, run, written};
use proteus::tape::{Arena, Dtype, Engine, EngineError, PlanId, Program, Store};

/// A mistake that an engine might make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// One element of each output is off by a thousandth of the largest.
    OneElement,
    /// One element of each output is not a number.
    NotANumber,
    /// Outputs miss their last element.
    Short,
    /// Every second run differs in the last bit of an output.
    Unrepeatable,
    /// A guard is overwritten.
    Stray,
}

/// An engine that interprets.
pub struct ReferenceEngine {
    arenas: Vec<Vec<u8>>,
    programs: Vec<(Program, Vec<Vec<u8>>)>,
    fault: Fault,
    runs: usize,
}

impl ReferenceEngine {
    pub fn new(fault: Fault) -> Self {
        ReferenceEngine { arenas: Vec::new(), programs: Vec::new(), fault, runs: 0 }
    }

    fn spoil(&self, dtype: Dtype, bytes: &mut Vec<u8>) {
        let last = bytes.len() - dtype.size();
        match (self.fault, dtype) {
            (Fault::Short, _) => bytes.truncate(last),
            (Fault::Unrepeatable, _) => bytes[last] ^= (self.runs % 2) as u8,
            (Fault::OneElement, Dtype::F32) => {
                let mut values: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
                let largest = values.iter().fold(f32::MIN_POSITIVE, |m, x| m.max(x.abs()));
                let middle = values.len() / 2;
                values[middle] += 1e-3 * largest;
                *bytes = bytemuck::cast_slice(&values).to_vec();
            }
            (Fault::OneElement, _) => bytes[last] ^= 1,
            (Fault::NotANumber, Dtype::F32) => bytes[last..].copy_from_slice(&f32::NAN.to_ne_bytes()),
            (Fault::NotANumber | Fault::None | Fault::Stray, _) => {}
        }
    }
}

impl Engine for ReferenceEngine {
    fn device(&self) -> String {
        "reference in f64".to_owned()
    }

    fn kind(&self) -> &'static str {
        "cpu"
    }

    fn allocate(&mut self, store: &Store) -> Result<(), EngineError> {
        self.arenas = Memory::zero_bytes(store);
        self.programs.clear();
        Ok(())
    }

    fn load(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError> {
        self.programs = programs.iter().map(|p| (p.clone(), Vec::new())).collect();
        Ok((0..programs.len()).map(PlanId).collect())
    }

    fn run(&mut self, plan: PlanId, times: usize) -> Result<(), EngineError> {
        let program = self.programs[plan.0].0.clone();
        for _ in 0..times {
            let mut memory = Memory::from_bytes(&self.arenas);
            let outputs = run(&program, &mut memory);
            // Only what was written goes back: a round trip through f64 need not keep the bits of a NaN.
            for (arena, offset, len) in written(&program) {
                let bytes = memory.get(arena, offset, len).to_bytes();
                let from = offset * arena.dtype().size();
                self.arenas[arena.index()][from..from + bytes.len()].copy_from_slice(&bytes);
            }
            self.programs[plan.0].1 = outputs.iter().map(|o| o.to_bytes()).collect();
        }
        self.runs += 1;
        if self.fault == Fault::Stray {
            let guard = self.arenas[Arena::Parameters.index()].last_mut();
            *guard.expect("cases have guards") ^= 1;
        }
        Ok(())
    }

    fn write(&mut self, arena: Arena, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
        self.arenas[arena.index()][offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, arena: Arena, offset: usize, len: usize) -> Result<Vec<u8>, EngineError> {
        Ok(self.arenas[arena.index()][offset..offset + len].to_vec())
    }

    fn read_output(&mut self, plan: PlanId, index: usize) -> Result<Vec<u8>, EngineError> {
        let (program, outputs) = &self.programs[plan.0];
        let mut bytes = outputs[index].clone();
        self.spoil(program.storages[program.outputs[index].storage].dtype, &mut bytes);
        Ok(bytes)
    }

    fn memory(&self) -> usize {
        self.arenas.iter().map(Vec::len).sum()
    }
}

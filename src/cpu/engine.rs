//! The engine: arenas, loaded plans and the thread pool that replays them.

use super::lower::{Lowered, lower};
use super::memory::{Memory, Span};
use super::simd::Isa;
use super::words::Words;
use crate::tape::memory::ACTIVATIONS;
use crate::tape::{Arena, Engine, EngineError, Launch, PlanId, Program, Store};
use std::time::Instant;

/// Choices for a [`CpuEngine`].
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of threads; `None` is one per core.
    pub threads: Option<usize>,
    /// Instruction set of the kernels.
    pub isa: Isa,
    /// Whether transient tensors share memory.
    pub reuse: bool,
    /// Whether operations on rows run one after the other on each row; off, each kernel is timed by itself.
    pub chains: bool,
    /// Whether 3x3 convolutions of stride 1 use Winograd's algorithm where it applies.
    pub winograd: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { threads: None, isa: Isa::detect(), reuse: true, chains: true, winograd: true }
    }
}

/// The launches since a moment.
struct Timing {
    begin: Instant,
    launches: Vec<Launch>,
}

/// Runs plans on the processor.
pub struct CpuEngine {
    pool: rayon::ThreadPool,
    options: Options,
    memory: Memory,
    plans: Vec<Lowered>,
    timing: Option<Timing>,
}

impl CpuEngine {
    /// An engine with default options and the given number of threads (`None`: one per core).
    pub fn new(threads: Option<usize>) -> Result<Self, EngineError> {
        Self::with_options(Options { threads, ..Options::default() })
    }

    /// An engine with the given options.
    ///
    /// An instruction set that this processor lacks is replaced by the best that it has.
    pub fn with_options(mut options: Options) -> Result<Self, EngineError> {
        // No instruction set may be reached without the processor's word.
        options.isa = options.isa.min(Isa::detect());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads.unwrap_or(0))
            .thread_name(|i| format!("proteus-{i}"))
            .build()
            .map_err(|e| EngineError::Kernel { kernel: "thread pool".into(), message: e.to_string() })?;
        Ok(CpuEngine { pool, options, memory: Memory::default(), plans: Vec::new(), timing: None })
    }

    fn words(&self, what: &str, words: usize) -> Result<Words, EngineError> {
        let bytes = words.saturating_mul(4);
        Words::zeroed(words).map_err(|_| EngineError::OutOfMemory { device: self.device(), what: what.into(), bytes })
    }

    fn out_of_range(&self, arena: Arena, end: usize) -> EngineError {
        let size = self.memory.arenas.get(arena.index()).map_or(0, |a| a.len() * 4);
        EngineError::Kernel {
            kernel: "memory".into(),
            message: format!("byte {end} of {arena:?} was addressed, which has {size}"),
        }
    }
}

impl Engine for CpuEngine {
    fn device(&self) -> String {
        format!("cpu ({} threads, {})", self.pool.current_num_threads(), self.driver())
    }

    fn driver(&self) -> String {
        self.options.isa.name().into()
    }

    fn kind(&self) -> &'static str {
        "cpu"
    }

    fn allocate(&mut self, store: &Store) -> Result<(), EngineError> {
        self.plans.clear();
        self.memory = Memory::default();
        for arena in Arena::ALL {
            let bytes = store.arena_len(arena) * arena.dtype().size();
            let buffer = self.words(arena.label(), bytes.div_ceil(4))?;
            self.memory.arenas.push(buffer);
        }
        Ok(())
    }

    fn load(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError> {
        self.plans.clear();
        self.memory.slots.clear();
        let plans: Vec<_> = programs.iter().map(|p| lower(p, &self.options)).collect();
        let count = plans.iter().map(|p| p.slots.len()).max().unwrap_or(0);
        for slot in 0..count {
            let words = plans.iter().filter_map(|p| p.slots.get(slot)).max().copied().unwrap_or(0);
            let buffer = self.words(ACTIVATIONS, words)?;
            self.memory.slots.push(buffer);
        }
        self.plans = plans;
        Ok((0..programs.len()).map(PlanId).collect())
    }

    fn run(&mut self, plan: PlanId, times: usize) -> Result<(), EngineError> {
        let CpuEngine { pool, memory, plans, timing, .. } = self;
        pool.install(|| {
            for _ in 0..times {
                for step in &plans[plan.0].steps {
                    let start = Instant::now();
                    (step.kernel)(&mut memory.args(&step.spans));
                    if let Some(Timing { begin, launches }) = timing {
                        let (work, time) = (step.work.clone(), start.elapsed());
                        launches.push(Launch { work, start: start.duration_since(*begin), time });
                    }
                }
            }
        });
        Ok(())
    }

    fn write(&mut self, arena: Arena, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
        let end = offset + bytes.len();
        match self.memory.arena_bytes(arena).get_mut(offset..end) {
            Some(to) => to.copy_from_slice(bytes),
            None => return Err(self.out_of_range(arena, end)),
        }
        Ok(())
    }

    fn read(&mut self, arena: Arena, offset: usize, len: usize) -> Result<Vec<u8>, EngineError> {
        match self.memory.arena_bytes(arena).get(offset..offset + len) {
            Some(from) => Ok(from.to_vec()),
            None => Err(self.out_of_range(arena, offset + len)),
        }
    }

    fn read_output(&mut self, plan: PlanId, index: usize) -> Result<Vec<u8>, EngineError> {
        let span: &Span = &self.plans[plan.0].outputs[index];
        Ok(bytemuck::cast_slice(self.memory.words(span)).to_vec())
    }

    fn memory(&self) -> usize {
        self.memory.bytes()
    }

    fn time_kernels(&mut self, on: bool) -> bool {
        self.timing = on.then(|| Timing { begin: Instant::now(), launches: Vec::new() });
        true
    }

    fn launches(&self) -> &[Launch] {
        self.timing.as_ref().map_or(&[], |t| &t.launches)
    }
}

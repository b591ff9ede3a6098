//! An engine that takes fewer images at once than it could.

use crate::tape::{Arena, Engine, EngineError, Launch, PlanId, Program, Store};

/// Passes everything on to an engine but the limit of its images.
struct Limited {
    engine: Box<dyn Engine>,
    bytes: usize,
}

/// `engine`, which takes at most `bytes` bytes of images at once. Larger sets are streamed to it, with the same results.
pub fn limit_images(engine: Box<dyn Engine>, bytes: usize) -> Box<dyn Engine> {
    Box::new(Limited { engine, bytes })
}

impl Engine for Limited {
    fn device(&self) -> String {
        self.engine.device()
    }

    fn driver(&self) -> String {
        self.engine.driver()
    }

    fn kind(&self) -> &'static str {
        self.engine.kind()
    }

    fn allocate(&mut self, store: &Store) -> Result<(), EngineError> {
        self.engine.allocate(store)
    }

    fn load(&mut self, programs: &[Program]) -> Result<Vec<PlanId>, EngineError> {
        self.engine.load(programs)
    }

    fn run(&mut self, plan: PlanId, times: usize) -> Result<(), EngineError> {
        self.engine.run(plan, times)
    }

    fn write(&mut self, arena: Arena, offset: usize, bytes: &[u8]) -> Result<(), EngineError> {
        self.engine.write(arena, offset, bytes)
    }

    fn read(&mut self, arena: Arena, offset: usize, len: usize) -> Result<Vec<u8>, EngineError> {
        self.engine.read(arena, offset, len)
    }

    fn keep(&mut self, arenas: &[Arena]) -> Result<bool, EngineError> {
        self.engine.keep(arenas)
    }

    fn put_back(&mut self) -> Result<(), EngineError> {
        self.engine.put_back()
    }

    fn read_output(&mut self, plan: PlanId, index: usize) -> Result<Vec<u8>, EngineError> {
        self.engine.read_output(plan, index)
    }

    fn memory(&self) -> usize {
        self.engine.memory()
    }

    fn image_limit(&self) -> usize {
        self.bytes.min(self.engine.image_limit())
    }

    fn time_kernels(&mut self, on: bool) -> bool {
        self.engine.time_kernels(on)
    }

    fn launches(&self) -> &[Launch] {
        self.engine.launches()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuEngine;

    #[test]
    fn only_the_limit_is_another() {
        let cpu = CpuEngine::new(Some(1)).expect("an engine");
        let about = [cpu.device(), cpu.driver(), cpu.kind().to_string()];
        let limited = limit_images(Box::new(cpu), 1000);
        assert_eq!([limited.device(), limited.driver(), limited.kind().to_string()], about);
        assert_eq!(limited.image_limit(), 1000);
        let mut twice = limit_images(limited, 2000);
        assert_eq!(twice.image_limit(), 1000, "the engine's own limit holds");
        assert!(twice.time_kernels(true) && twice.launches().is_empty());
    }
}

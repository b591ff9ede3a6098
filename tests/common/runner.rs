//! Puts a recorded case on an engine and checks everything that can be checked of it.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::builder::Recorded;
use super::compare::{Tolerance, compare, same_bits, untouched};
use super::reference::{Data, Memory, run, written};
use super::table::Case;
use proteus::tape::{Arena, Engine, EngineError};

/// What a run leaves: outputs and arenas, as bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub outputs: Vec<Vec<u8>>,
    pub arenas: Vec<Vec<u8>>,
}

/// The reference's results: outputs, then the persistent tensors that the program writes.
pub struct Expected {
    pub outputs: Vec<Data>,
    pub memory: Memory,
}

impl Expected {
    pub fn new(recorded: &Recorded, times: usize) -> Expected {
        let mut memory = Memory::from_bytes(&recorded.initial);
        let mut outputs = Vec::new();
        for _ in 0..times {
            outputs = run(&recorded.program, &mut memory);
        }
        Expected { outputs, memory }
    }
}

/// Runs the program twice from the same initial contents.
pub fn execute(engine: &mut dyn Engine, recorded: &Recorded, times: usize) -> Result<[Outcome; 2], EngineError> {
    engine.allocate(&recorded.store)?;
    let plan = engine.load(std::slice::from_ref(&recorded.program))?[0];
    let mut once = || {
        for (&arena, bytes) in Arena::ALL.iter().zip(&recorded.initial).filter(|(_, bytes)| !bytes.is_empty()) {
            engine.write(arena, 0, bytes)?;
        }
        engine.run(plan, times)?;
        let count = recorded.program.outputs.len();
        let outputs = (0..count).map(|i| engine.read_output(plan, i)).collect::<Result<_, _>>()?;
        let read = |(&arena, bytes): (&Arena, &Vec<u8>)| match bytes.len() {
            0 => Ok(Vec::new()),
            len => engine.read(arena, 0, len),
        };
        let arenas = Arena::ALL.iter().zip(&recorded.initial).map(read).collect::<Result<_, _>>()?;
        Ok(Outcome { outputs, arenas })
    };
    Ok([once()?, once()?])
}

/// As [`execute`], with panics of the engine as messages, so that one kernel does not hide the others.
pub fn try_execute(engine: &mut dyn Engine, recorded: &Recorded, times: usize) -> Result<[Outcome; 2], String> {
    match catch_unwind(AssertUnwindSafe(|| execute(engine, recorded, times))) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("without a message")))
        }
    }
}

/// Checks both runs of a case against the reference, against each other, and for stray writes; `leave` is what an engine
/// may be off at least. Returns one line per result.
pub fn check(
    case: &Case,
    leave: Option<Tolerance>,
    recorded: &Recorded,
    expected: &Expected,
    runs: &[Outcome; 2],
) -> Result<String, String> {
    let mut report = String::new();
    let first = &runs[0];
    for (i, (operand, name)) in recorded.program.outputs.iter().zip(&recorded.names).enumerate() {
        let dtype = recorded.program.storages[operand.storage].dtype;
        if first.outputs[i].len() != operand.shape.len() * dtype.size() {
            return Err(format!("{name}: {} bytes for {:?}", first.outputs[i].len(), operand.shape));
        }
        let actual = Data::from_bytes(dtype, &first.outputs[i]);
        let tolerance = if i < recorded.forward { case.tolerance } else { case.gradient_tolerance };
        let found =
            compare(&expected.outputs[i], &actual, tolerance.at_least(leave)).map_err(|e| format!("{name}: {e}"))?;
        writeln!(report, "    {name} {:?}: {found}", operand.shape).expect("strings accept text");
        same_bits(&first.outputs[i], &runs[1].outputs[i]).map_err(|e| format!("{name}, run twice: {e}"))?;
    }
    let written = written(&recorded.program);
    for arena in Arena::ALL {
        let size = arena.dtype().size();
        let after = &first.arenas[arena.index()];
        let mut ranges = Vec::new();
        for &(_, offset, len) in written.iter().filter(|w| w.0 == arena) {
            let bytes = offset * size..(offset + len) * size;
            let actual = Data::from_bytes(arena.dtype(), &after[bytes.clone()]);
            let found = compare(&expected.memory.get(arena, offset, len), &actual, case.tolerance.at_least(leave))
                .map_err(|e| format!("{arena:?} from {offset}: {e}"))?;
            writeln!(report, "    {arena:?} {offset}+{len}: {found}").expect("strings accept text");
            ranges.push(bytes);
        }
        untouched(&recorded.initial[arena.index()], after, &ranges).map_err(|e| format!("{arena:?}: {e}"))?;
        same_bits(after, &runs[1].arenas[arena.index()]).map_err(|e| format!("{arena:?}, run twice: {e}"))?;
    }
    Ok(report)
}

/// Compares two engines within the tolerance of the case: errors common to both are caught by the reference, a
/// difference beyond it by this.
pub fn check_twins(
    case: &Case,
    leave: Option<Tolerance>,
    recorded: &Recorded,
    one: &Outcome,
    other: &Outcome,
) -> Result<(), String> {
    for (i, (operand, name)) in recorded.program.outputs.iter().zip(&recorded.names).enumerate() {
        let dtype = recorded.program.storages[operand.storage].dtype;
        let [a, b] = [one, other].map(|o| Data::from_bytes(dtype, &o.outputs[i]));
        let tolerance = if i < recorded.forward { case.tolerance } else { case.gradient_tolerance };
        compare(&a, &b, tolerance.at_least(leave)).map_err(|e| format!("{name}: {e}"))?;
    }
    for (arena, offset, len) in written(&recorded.program) {
        let [a, b] = [one, other].map(|o| Memory::from_bytes(&o.arenas).get(arena, offset, len));
        compare(&a, &b, case.tolerance.at_least(leave)).map_err(|e| format!("{arena:?} from {offset}: {e}"))?;
    }
    Ok(())
}

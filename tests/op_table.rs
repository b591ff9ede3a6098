//! Every operation, on every engine, against a reference in f64: values, repeatability, stray writes.
//!
//! `PROTEUS_CASES=word` runs the cases whose names contain the word, `PROTEUS_ENGINES=word` the engines likewise, and
//! `PROTEUS_VERBOSE=1` prints every comparison.

mod common;

use std::collections::BTreeSet;

use common::adapter::say;
use common::builder::Recorded;
use common::compare::{Tolerance, compare, same_bits, untouched};
use common::engines::{self, Candidate, make_or_skip};
use common::reference::Data;
use common::reference_engine::{Fault, ReferenceEngine};
use common::runner::{Expected, Outcome, check, check_twins, try_execute};
use common::table::{Case, cases};
use proteus::tape::Arena;

/// Runs every case and reports all failures together.
fn every_case(name: &str, mut run: impl FnMut(&Case, &Recorded, &Expected) -> Result<String, String>) {
    let (mut failures, cases) = (Vec::new(), cases());
    let started = std::time::Instant::now();
    for case in &cases {
        let recorded = Recorded::new(case);
        let expected = Expected::new(&recorded, case.times);
        match run(case, &recorded, &expected) {
            Ok(report) if std::env::var_os("PROTEUS_VERBOSE").is_some() => say(&format!("{}\n{report}", case.name)),
            Ok(_) => {}
            Err(error) => failures.push(format!("  {}: {error}", case.name)),
        }
    }
    let (bad, all) = (failures.len(), cases.len());
    say(&format!("{name}: {} of {all} cases pass ({:.1} s)", all - bad, started.elapsed().as_secs_f64()));
    assert!(failures.is_empty(), "{bad} of {all} cases fail on {name}:\n{}", failures.join("\n"));
}

/// One engine against the reference, and against itself.
fn against_reference(candidate: &Candidate) {
    let Some(mut engine) = make_or_skip(candidate) else { return };
    every_case(candidate.name, |case, recorded, expected| {
        let runs = try_execute(engine.as_mut(), recorded, case.times)?;
        check(case, None, recorded, expected, &runs)
    });
}

#[test]
fn the_reference_agrees_with_itself() {
    against_reference(&engines::REFERENCE);
}

#[test]
fn the_cpu_engine_agrees_with_the_reference_in_every_variant() {
    variants(engines::CPU, None);
}

#[test]
fn gpu_engines_agree_with_the_reference_and_the_cpu_engine() {
    variants(engines::GPU, engines::CPU.first());
}

/// Variants of one engine against the reference, against each other to the bit where their arithmetic is the same,
/// and against another engine.
fn variants(candidates: &[Candidate], twin: Option<&Candidate>) {
    let word = std::env::var("PROTEUS_ENGINES").unwrap_or_default();
    let wanted = candidates.iter().filter(|c| c.name.contains(&word));
    let mut engines: Vec<_> = wanted.filter_map(|c| Some((c, make_or_skip(c)?))).collect();
    let Some((_, first)) = engines.first() else { return };
    let name = first.device();
    let mut twin = twin.and_then(make_or_skip);
    every_case(&name, |case, recorded, expected| {
        let mut report = String::new();
        let mut outcomes: Vec<(&Candidate, Outcome)> = Vec::new();
        for (candidate, engine) in &mut engines {
            let about = |e: String| format!("{}: {e}", candidate.name);
            let runs = try_execute(engine.as_mut(), recorded, case.times).map_err(about)?;
            let leave = candidate.leave(&recorded.program);
            report += &check(case, leave, recorded, expected, &runs).map_err(about)?;
            let [run, _] = runs;
            for (other, outcome) in outcomes.iter().filter(|o| o.0.arithmetic == candidate.arithmetic) {
                if *outcome != run {
                    return Err(format!("{} and {} differ in bits", other.name, candidate.name));
                }
            }
            outcomes.push((candidate, run));
        }
        if let Some(twin) = &mut twin {
            let other = try_execute(twin.as_mut(), recorded, case.times)?;
            for (candidate, outcome) in &outcomes {
                check_twins(case, candidate.leave(&recorded.program), recorded, &other[0], outcome)
                    .map_err(|e| format!("{} beside {}: {e}", candidate.name, twin.device()))?;
            }
        }
        Ok(report)
    });
}

#[test]
fn the_table_has_every_operation() {
    if std::env::var_os("PROTEUS_CASES").is_some() {
        return;
    }
    let mut seen = BTreeSet::new();
    for case in cases() {
        seen.extend(Recorded::new(&case).program.calls.iter().map(|call| call.op.name()));
    }
    // Every operation has a kernel of its name, and every other kernel is a variant of one, but for that which unites sums.
    let plain = |name: &&str| proteus::gpu::variant_of(name).1 == proteus::gpu::PLAIN && *name != "sum_parts";
    let kernels: BTreeSet<&str> = proteus::gpu::wgsl::KERNELS.iter().map(|(name, _)| *name).filter(plain).collect();
    assert_eq!(seen, kernels);
}

#[test]
fn no_program_reads_and_writes_one_arena_but_in_place() {
    use proteus::tape::Place;
    for case in cases() {
        let program = Recorded::new(&case).program;
        for call in &program.calls {
            let arena = |o: &proteus::tape::Operand| match program.storages[o.storage].place {
                Place::Persistent { arena, .. } => Some(arena),
                Place::Transient => None,
            };
            let written: Vec<Arena> = call.outputs.iter().filter_map(arena).collect();
            let both = call.inputs.iter().filter_map(arena).find(|a| written.contains(a));
            assert_eq!(both, None, "{}: {} reads and writes one arena", case.name, call.op.name());
        }
    }
}

#[test]
fn arenas_start_zero_filled_each_time() {
    let all = [&engines::REFERENCE].into_iter().chain(engines::CPU).chain(engines::GPU);
    for mut engine in all.filter_map(make_or_skip) {
        let case = cases().pop().expect("there are cases");
        let recorded = Recorded::new(&case);
        for _ in 0..2 {
            engine.allocate(&recorded.store).expect("the arenas are small");
            for arena in Arena::ALL.into_iter().filter(|&a| recorded.store.arena_len(a) > 0) {
                let len = recorded.store.arena_len(arena) * arena.dtype().size();
                let bytes = engine.read(arena, 0, len).expect("the arena is there");
                assert!(bytes.iter().all(|&b| b == 0), "{arena:?} of {} is not zero", engine.device());
                engine.write(arena, 0, &vec![1; len]).expect("the arena is there");
            }
        }
    }
}

/// Two plans share transient memory and are run in turn.
#[test]
fn plans_loaded_together_do_not_disturb_each_other() {
    let all = [&engines::REFERENCE].into_iter().chain(engines::CPU).chain(engines::GPU);
    for mut engine in all.filter_map(make_or_skip) {
        for case in cases().iter().filter(|c| c.name.starts_with("reshape") || c.name.starts_with("a chain")) {
            let recorded = Recorded::new(case);
            let loss = recorded.loss.clone().expect("the case is differentiable");
            engine.allocate(&recorded.store).expect("the arenas are small");
            let plans = engine.load(&[loss, recorded.program.clone()]).expect("the plans are small");
            for (&arena, bytes) in Arena::ALL.iter().zip(&recorded.initial).filter(|(_, bytes)| !bytes.is_empty()) {
                engine.write(arena, 0, bytes).expect("the arena is there");
            }
            let expected = Expected::new(&recorded, 1);
            for round in 0..2 {
                engine.run(plans[0], 1).expect("the plan runs");
                engine.run(plans[1], 2).expect("the plan runs");
                for (i, operand) in recorded.program.outputs.iter().enumerate() {
                    let bytes = engine.read_output(plans[1], i).expect("the output is there");
                    let actual = Data::from_bytes(recorded.program.storages[operand.storage].dtype, &bytes);
                    compare(&expected.outputs[i], &actual, Tolerance::F32)
                        .unwrap_or_else(|e| panic!("{} on {}, round {round}: {e}", case.name, engine.device()));
                }
            }
        }
    }
}

#[test]
fn comparisons_notice_one_element_a_wrong_length_and_nan_in_every_case() {
    for case in cases() {
        let recorded = Recorded::new(&case);
        let expected = Expected::new(&recorded, case.times);
        for (i, data) in expected.outputs.iter().enumerate() {
            let tolerance = if i < recorded.forward { case.tolerance } else { case.gradient_tolerance };
            let rejected = |actual: &Data, what: &str| {
                for leave in [None, Some(Tolerance::half(20))] {
                    let verdict = compare(data, actual, tolerance.at_least(leave));
                    assert!(verdict.is_err(), "{}, {}: {what} passes", case.name, recorded.names[i]);
                }
            };
            assert!(compare(data, data, Tolerance { worst: 1e-9, ..tolerance }).is_ok(), "{}", case.name);
            let middle = data.len() / 2;
            match data {
                Data::Real(x) => {
                    let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
                    let mut bad = x.clone();
                    bad[middle] += 0.01 * (rms + bad[middle].abs()) + 1e-6;
                    rejected(&Data::Real(bad), "one element that is one percent off");
                    let mut bad = x.clone();
                    bad[middle] = f64::NAN;
                    rejected(&Data::Real(bad), "a NaN");
                    rejected(&Data::Real(x[1..].to_vec()), "a missing element");
                    rejected(&Data::Index(vec![0; x.len()]), "another type");
                }
                Data::Index(x) => {
                    let mut bad = x.clone();
                    bad[middle] += 1;
                    rejected(&Data::Index(bad), "one index that is one off");
                    rejected(&Data::Index(x[1..].to_vec()), "a missing element");
                }
                Data::Bytes(_) => unreachable!("no operation writes bytes"),
            }
        }
    }
}

#[test]
fn comparisons_of_bytes_notice_one_bit() {
    let bytes = vec![7u8; 300];
    let mut other = bytes.clone();
    other[299] ^= 1;
    assert!(same_bits(&bytes, &bytes).is_ok());
    assert!(same_bits(&bytes, &other).is_err());
    assert!(same_bits(&bytes, &bytes[1..]).is_err());
    assert!(untouched(&bytes, &bytes, &[]).is_ok());
    assert!(untouched(&bytes, &other, &[]).is_err());
    assert!(untouched(&bytes, &other, &[0..150, 150..299]).is_err());
    assert!(untouched(&bytes, &other, &[0..150, 299..300]).is_ok());
    assert!(untouched(&bytes, &bytes[1..], &[]).is_err());
}

#[test]
fn faulty_engines_are_caught() {
    for fault in [Fault::OneElement, Fault::NotANumber, Fault::Short, Fault::Unrepeatable, Fault::Stray] {
        for case in cases().iter().filter(|case| !case.name.contains("training")) {
            let recorded = Recorded::new(case);
            if recorded.program.outputs.is_empty() && fault != Fault::Stray {
                continue;
            }
            let expected = Expected::new(&recorded, case.times);
            let mut engine = ReferenceEngine::new(fault);
            let verdict = try_execute(&mut engine, &recorded, case.times)
                .and_then(|runs| check(case, None, &recorded, &expected, &runs));
            assert!(verdict.is_err(), "{fault:?} passes in {}", case.name);
        }
    }
}

#[test]
fn twins_that_differ_are_caught() {
    for case in cases() {
        let recorded = Recorded::new(&case);
        let good = try_execute(&mut ReferenceEngine::new(Fault::None), &recorded, case.times).expect("it runs");
        assert_eq!(check_twins(&case, None, &recorded, &good[0], &good[1]), Ok(()), "{}", case.name);
        if !recorded.program.outputs.is_empty() {
            let bad =
                try_execute(&mut ReferenceEngine::new(Fault::OneElement), &recorded, case.times).expect("it runs");
            assert!(check_twins(&case, None, &recorded, &good[0], &bad[0]).is_err(), "{}", case.name);
        }
    }
}

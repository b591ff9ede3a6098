//! Finding the first value that is not a finite number.

use super::programs::{Ledger, tracing_step};
use crate::model::Model;
use crate::nn::{Mode, STACKED};
use crate::tape::{Engine, EngineError, Persistent, Store};

/// Names a parameter or running statistic with a value that is not finite, if there is one. Some operations turn what is
/// not a number into one, so the loss alone does not tell.
pub fn broken_parameter(
    model: &dyn Model,
    store: &Store,
    engine: &mut dyn Engine,
) -> Result<Option<String>, EngineError> {
    for id in model.state() {
        let tensor = &store[id];
        let values = engine.read_f32(tensor)?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Ok(Some(format!("the parameter {}", published_name(tensor, at, model.spec().k))));
        }
    }
    Ok(None)
}

/// Names the first tensor with a value that is not finite: among the parameters and running statistics, and then in the
/// order in which the next `batch` images go through the model. Loads a plan of its own.
pub fn first_not_finite(
    model: &dyn Model,
    store: &Store,
    engine: &mut dyn Engine,
    ledger: &Ledger,
    pass: (usize, usize, Mode),
) -> Result<String, EngineError> {
    if let Some(parameter) = broken_parameter(model, store, engine)? {
        return Ok(parameter);
    }
    let (program, names) = tracing_step(model, store, ledger, pass);
    let plan = engine.load(&[program])?[0];
    engine.run(plan, 1)?;
    for (index, name) in names.into_iter().enumerate() {
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&engine.read_output(plan, index)?);
        if values.iter().any(|v| !v.is_finite()) {
            return Ok(name);
        }
    }
    Ok("the loss alone".into())
}

/// The published name of the tensor that element `at` is part of.
fn published_name(tensor: &Persistent, at: usize, k: usize) -> String {
    let cluster = at / (tensor.shape.len() / k).max(1);
    tensor.name.replace(STACKED, &cluster.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuEngine;
    use crate::data::mnist5k;
    use crate::model::Start;
    use crate::train::Config;
    use rand::SeedableRng;

    /// Where the trouble is found when the tensor `name` holds `value` at element `at`.
    fn found(name: &str, at: usize, value: f32, mode: Mode) -> String {
        let changes = ["clusters=3", "batch_size=4", "sequence=identity color affine", "curriculum=[0,0]"];
        let config = Config::default().set(&changes).expect("a configuration");
        let set = mnist5k::load().expect("the embedded digits").spread(8);
        let mut store = Store::new();
        let model = config.spec(&set).expect("a model").declare(&mut store);
        let ledger = Ledger::new(&mut store, &set, &config, model.groups(2).len());
        let mut engine = CpuEngine::new(Some(1)).expect("an engine");
        engine.allocate(&store).expect("memory");
        let start = Start { prototypes: vec![0.5; 3 * 784], deviations: Vec::new() };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        model.initialise(&store, &mut engine, &start, &mut rng).expect("written");
        let (_, tensor) = store.iter().find(|(_, t)| t.name == name).expect(name);
        let mut values = engine.read_f32(tensor).expect("readable");
        values[at] = value;
        engine.write_f32(tensor, &values).expect("writable");
        first_not_finite(model.as_ref(), &store, &mut engine, &ledger, (4, 2, mode)).expect("a diagnosis")
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        let bias = "transformer.tsf_sequences.*.tsf_modules.2.regressor.4.bias";
        let third = "the parameter transformer.tsf_sequences.2.tsf_modules.2.regressor.4.bias";
        assert_eq!(found(bias, 2 * 6 + 5, f32::NAN, Mode::Train), third);
        let colour = "transformer.tsf_sequences.*.tsf_modules.1.regressor.4.bias";
        // Each of them is finite, their squares are not.
        assert_eq!(found("prototypes", 784, 3e38, Mode::Eval), "the distances");
        assert_eq!(found(colour, 2, f32::MAX, Mode::Train), "the distances");
        let stem = found("transformer.encoder.encoder.1.bias", 3, f32::MAX, Mode::Eval);
        assert_eq!(stem, "the features of the encoder");
        assert_eq!(found("prototypes", 0, 0.5, Mode::Train), "the loss alone", "nothing is wrong");
    }
}

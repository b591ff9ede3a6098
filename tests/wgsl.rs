//! Every kernel and every variant that lowering uses: valid WGSL within WebGPU's default limits, with bindings and
//! parameters that agree with the Rust side. Needs no device.

use std::collections::{BTreeMap, BTreeSet};

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ScalarKind, StorageAccess, TypeInner};
use proteus::gpu::{Access, Dispatch, Lowered, lower, wgsl};
use proteus::tape::{AdamSpec, Arena, ConvSpec, Dtype, Padding, PersistentId, Program, Rows, Store, Tape, Var};

const ADAM: AdamSpec = AdamSpec { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 1e-4 };

/// Records small models that use every operation in every mode.
struct Recorder {
    tape: Tape,
    store: Store,
}

impl Recorder {
    fn new() -> Self {
        Recorder { tape: Tape::new(), store: Store::new() }
    }

    fn tensor<const N: usize>(&mut self, shape: [usize; N], arena: Arena) -> (Var, PersistentId) {
        let id = self.store.add(format!("{arena:?} {shape:?}"), shape, arena);
        (self.tape.persistent(&self.store, id), id)
    }

    fn parameter<const N: usize>(&mut self, shape: [usize; N]) -> (Var, PersistentId) {
        let id = self.store.parameter(format!("parameter {shape:?}"), shape);
        (self.tape.persistent(&self.store, id), id)
    }

    /// Differentiates `loss`, stores the gradients of the parameters and steps them with Adam.
    fn train(mut self, loss: Var, parameters: &[PersistentId], clock: Var) -> Program {
        let (schedule, _) = self.tensor([10, 2, 2], Arena::State);
        let vars: Vec<Var> = parameters.iter().map(|&id| self.tape.persistent(&self.store, id)).collect();
        let gradients = self.tape.gradients(loss, &vars).expect("differentiable");
        for (&id, gradient) in parameters.iter().zip(gradients) {
            let in_arena = |r: &mut Recorder, arena| {
                let view = r.store.view(id, id, arena);
                (r.tape.persistent(&r.store, view), view)
            };
            let (gradient_var, gradient_id) = in_arena(&mut self, Arena::Gradients);
            self.tape.store(gradient.expect("the loss depends on it"), &self.store, gradient_id);
            let state = [Arena::Parameters, Arena::Moment1, Arena::Moment2].map(|arena| in_arena(&mut self, arena).0);
            self.tape.adam((state[0], state[1], state[2]), gradient_var, schedule, clock, 1, ADAM);
        }
        let (history, _) = self.tensor([10], Arena::State);
        self.tape.record(loss, clock, history);
        self.tape.advance(clock, 8);
        Program::new(&self.tape)
    }
}

/// An encoder with everything that encoders have, in training and in evaluation.
fn encoder(batch: usize, size: usize, batch_stats: bool) -> Program {
    let mut r = Recorder::new();
    let (data, _) = r.tensor([100, 3, size, size], Arena::Images);
    let (order, _) = r.tensor([100], Arena::Control);
    let (clock, _) = r.tensor([2], Arena::Control);
    let x = r.tape.gather_images(data, order, clock, batch);
    let (w1, p1) = r.parameter([16, 3, 3, 3]);
    let (w2, p2) = r.parameter([20, 16, 3, 3]);
    let (w3, p3) = r.parameter([20, 20, 1, 1]);
    let ((gamma, p4), (beta, p5)) = (r.parameter([16]), r.parameter([16]));
    let ((head, p6), (bias, p7)) = (r.parameter([1, 5, 20]), r.parameter([1, 5]));
    let mut y = r.tape.conv2d(x, w1, ConvSpec { stride: 1, pad: 1 });
    let (running_mean, running_variance) = (r.tensor([16], Arena::State).0, r.tensor([16], Arena::State).0);
    let stats = if batch_stats {
        let stats = r.tape.batch_norm_stats(y);
        r.tape.running_stats(stats, (running_mean, running_variance), 0.1, batch * size * size);
        stats
    } else {
        (running_mean, running_variance)
    };
    y = r.tape.batch_norm(y, stats, gamma, beta, 1e-5, batch_stats);
    y = r.tape.relu(y);
    let short = r.tape.shortcut(y, 20, 2);
    y = r.tape.conv2d(y, w2, ConvSpec { stride: 2, pad: 1 });
    y = r.tape.add(y, short);
    y = r.tape.conv2d(y, w3, ConvSpec { stride: 1, pad: 0 });
    let pooled = r.tape.global_avg_pool(y);
    let out = r.tape.linear(pooled, head, bias, Rows::Each, None);
    let loss = r.tape.mean(out);
    r.train(loss, &[p1, p2, p3, p4, p5, p6, p7], clock)
}

/// Heads, warps and distances with one way of finding rows.
fn warps(rows: Rows, padding: Padding, weighted: bool) -> Program {
    let (batch, k, size) = (8, 3, 12);
    let mut r = Recorder::new();
    let (clock, _) = r.tensor([2], Arena::Control);
    let (x, _) = r.tensor([batch, 2, size, size], Arena::Constants);
    let (features, _) = r.tensor([batch, 7], Arena::Constants);
    let shared = if rows == Rows::Own { batch } else { k };
    let (prototypes, p1) = r.parameter([shared, 2, size, size]);
    let ((w, p2), (b, p3)) = (r.parameter([shared, 6, 7]), r.parameter([shared, 6]));
    let ((w0, p4), (b0, p5)) = (r.parameter([1, 7, 7]), r.parameter([1, 7]));
    let weights = weighted.then(|| r.tensor([2 * size * size], Arena::Constants).0);

    // An assignment to select by, noted and counted.
    let (means, _) = r.tensor([k, 2, size, size], Arena::Constants);
    let d = r.tape.squared_distance(x, means, weights, Rows::Each, None);
    let (_, argmin) = r.tape.min_row(d);
    let (assigned, _) = r.tensor([100], Arena::Results);
    let (counts, _) = r.tensor([k], Arena::Results);
    r.tape.store_rows(argmin, clock, assigned);
    r.tape.count(argmin, counts);
    let index = (rows == Rows::Selected).then_some(argmin);

    let features = r.tape.linear(features, w0, b0, Rows::Each, None);
    // With `Each` every image meets every head: repeat the features by distance-like bookkeeping of shapes.
    let rows_per_image = if rows == Rows::Each { k } else { 1 };
    let features = if rows == Rows::Each {
        let (repeated, _) = r.tensor([batch * k, 7], Arena::Constants);
        let part = r.tape.linear(repeated, w0, b0, Rows::Each, None);
        r.tape.add(part, repeated)
    } else {
        features
    };
    let beta = r.tape.linear(features, w, b, rows, index);
    let grid = r.tape.affine_grid(beta, size, size);
    let warped = r.tape.grid_sample(prototypes, grid, padding, rows, index);
    let warped = r.tape.reshape(warped, [batch * rows_per_image, 2, size, size]);
    let d = r.tape.squared_distance(x, warped, weights, Rows::Own, None);
    let (m, _) = r.tape.min_row(d);
    let direct = r.tape.squared_distance(x, prototypes, weights, rows, index);
    let (direct, _) = r.tape.min_row(direct);
    let sum = r.tape.add(m, direct);
    let loss = r.tape.mean(sum);
    r.train(loss, &[p1, p2, p3, p4, p5], clock)
}

/// All transformations of prototypes, the first of a chain on rows found by `rows`.
fn transformations(rows: Rows) -> Program {
    let (batch, k, size) = (8, 3, 12);
    let mut r = Recorder::new();
    let (clock, _) = r.tensor([2], Arena::Control);
    let (x, _) = r.tensor([batch, 2, size, size], Arena::Constants);
    let (own, s) = match rows {
        Rows::Own => (batch, batch),
        Rows::Each => (batch * k, k),
        Rows::Selected => (batch, k),
    };
    let index = (rows == Rows::Selected).then(|| r.tensor([batch], Arena::Control).0);
    let (prototypes, p1) = r.parameter([s, 2, size, size]);
    let ((color, p2), (projective, p3)) = (r.parameter([own, 4]), r.parameter([own, 9]));
    let (morpho, p5) = r.parameter([own, 26]);
    let shaped = r.tape.morpho(prototypes, morpho, 5, rows, index);
    let y = r.tape.color(prototypes, color, rows, index);
    let y = r.tape.add(y, shaped);
    let grid = r.tape.projective_grid(projective, size, size);
    let y = r.tape.grid_sample(y, grid, Padding::Border, Rows::Own, None);
    let (controls, p4) = r.parameter([own, 32]);
    let (matrix, base) =
        (r.tensor([16, size, size], Arena::Constants).0, r.tensor([size, size, 2], Arena::Constants).0);
    let grid = r.tape.control_grid(matrix, base, controls);
    let y = r.tape.grid_sample(y, grid, Padding::Border, Rows::Own, None);
    let d = r.tape.squared_distance(x, y, None, Rows::Own, None);
    let loss = r.tape.mean(d);
    r.train(loss, &[p1, p2, p3, p4, p5], clock)
}

/// A tensor that is computed straight into one place and copied to another.
fn copies() -> Program {
    let mut r = Recorder::new();
    let (x, _) = r.tensor([4], Arena::Constants);
    let y = r.tape.relu(x);
    let (_, a) = r.tensor([4], Arena::State);
    let (_, b) = r.tensor([4], Arena::State);
    r.tape.store(y, &r.store, a);
    let z = r.tape.relu(x);
    r.tape.output(z);
    r.tape.store(z, &r.store, b);
    Program::new(&r.tape)
}

fn everything() -> Vec<Lowered> {
    let mut programs = vec![encoder(8, 12, true), encoder(128, 28, true), encoder(8, 12, false), copies()];
    for rows in [Rows::Own, Rows::Each, Rows::Selected] {
        programs.push(transformations(rows));
        for padding in [Padding::Border, Padding::Zeros] {
            programs.extend([false, true].map(|weighted| warps(rows, padding, weighted)));
        }
    }
    programs.iter().map(|p| lower(p).expect("lowers")).collect()
}

/// A module with its constants resolved, valid at WebGPU's baseline.
fn specialise(text: &str, constants: &[(&str, f64)]) -> Result<naga::Module, String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    for (_, constant) in module.overrides.iter() {
        let name = constant.name.as_deref().unwrap_or_default();
        if !constants.iter().any(|(given, _)| *given == name) {
            return Err(format!("lowering does not set the override {name}"));
        }
    }
    let validate = |m: &naga::Module| {
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        validator.validate(m).map_err(|e| e.emit_to_string(text))
    };
    let info = validate(&module)?;
    let values = constants.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    let entry = Some((naga::ShaderStage::Compute, "main"));
    let (module, _) =
        naga::back::pipeline_constants::process_overrides(&module, &info, entry, &values).map_err(|e| e.to_string())?;
    validate(&module)?;
    Ok(module.into_owned())
}

/// Compares a specialised kernel with what lowering gives it.
fn agree(module: &naga::Module, lowered: &Lowered, dispatch: &Dispatch) -> Result<(), String> {
    let mut bindings = BTreeMap::new();
    let mut workgroup_bytes = 0;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| e.to_string())?;
    for (_, variable) in module.global_variables.iter() {
        let name = variable.name.clone().unwrap_or_default();
        match (&variable.binding, variable.space) {
            (Some(place), _) if place.group == 0 => {
                bindings.insert(place.binding as usize, variable);
            }
            (None, AddressSpace::WorkGroup) => {
                workgroup_bytes += layouter[variable.ty].size;
                if !name.starts_with("sh_") {
                    return Err(format!("workgroup variable {name} does not start with sh_"));
                }
            }
            other => return Err(format!("variable {name} is bound as {other:?}")),
        }
    }
    if workgroup_bytes > 16_384 {
        return Err(format!("{workgroup_bytes} bytes of workgroup memory"));
    }
    let [entry] = &module.entry_points[..] else { return Err("more than one entry point".into()) };
    if entry.name != "main" || entry.workgroup_size.iter().product::<u32>() > 256 {
        return Err(format!("entry point {} of {:?} invocations", entry.name, entry.workgroup_size));
    }
    if dispatch.groups.iter().any(|&g| g == 0 || g > 65_535) {
        return Err(format!("a grid of {:?}", dispatch.groups));
    }

    // Resolving constants drops what a variant does not use, so a binding may be missing but not different.
    let params = bindings.remove(&0).ok_or("no parameters at binding 0")?;
    let TypeInner::Struct { members, .. } = &module.types[params.ty].inner else {
        return Err("the parameters are no struct".into());
    };
    if params.space != AddressSpace::Uniform || members.len() != dispatch.params.len() {
        return Err(format!("{} parameters for {} members", dispatch.params.len(), members.len()));
    }
    for (i, (member, param)) in members.iter().zip(&dispatch.params).enumerate() {
        let kind = if param.float { ScalarKind::Float } else { ScalarKind::Uint };
        let same_kind = matches!(module.types[member.ty].inner, TypeInner::Scalar(s) if s.kind == kind && s.width == 4);
        if member.name.as_deref() != Some(param.name) || !same_kind || member.offset as usize != 4 * i {
            return Err(format!("member {i} is {:?}, lowering gives {param:?}", member.name));
        }
    }
    if dispatch.bindings.len() > 8 {
        return Err(format!("{} storage buffers", dispatch.bindings.len()));
    }
    if let Some(extra) = bindings.keys().find(|&&b| b > dispatch.bindings.len()) {
        return Err(format!("binding {extra}, but lowering binds {}", dispatch.bindings.len()));
    }
    for (position, binding) in dispatch.bindings.iter().enumerate() {
        let Some(variable) = bindings.get(&(position + 1)) else { continue };
        let write = match variable.space {
            AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
            other => return Err(format!("binding {} is {other:?}", position + 1)),
        };
        if write != (binding.access == Access::Write) {
            return Err(format!("binding {} is writable: {write}, lowering says {:?}", position + 1, binding.access));
        }
        let TypeInner::Array { base, .. } = module.types[variable.ty].inner else {
            return Err(format!("binding {} is no array", position + 1));
        };
        let float = module.types[base].inner.scalar_kind() == Some(ScalarKind::Float);
        let words = ["copy", "store_rows"].contains(&dispatch.kernel);
        let dtype = binding.storage.map(|s| lowered.storages[s].dtype);
        if !words && dtype.is_some_and(|dtype| float != (dtype == Dtype::F32)) {
            return Err(format!("binding {} is float: {float}, the tensor is {dtype:?}", position + 1));
        }
    }
    Ok(())
}

#[test]
fn every_variant_is_valid_and_agrees_with_lowering() {
    let mut seen = BTreeSet::new();
    let mut variants: BTreeMap<String, Result<naga::Module, String>> = BTreeMap::new();
    for lowered in everything() {
        for dispatch in &lowered.dispatches {
            let text = wgsl::source(dispatch.kernel, None).expect("a kernel");
            let name = format!("{} {:?}", dispatch.kernel, dispatch.constants);
            let module = variants.entry(name.clone()).or_insert_with(|| specialise(&text, &dispatch.constants));
            let module = module.as_ref().unwrap_or_else(|e| panic!("{name}: {e}"));
            agree(module, &lowered, dispatch).unwrap_or_else(|e| panic!("{name}: {e}"));
            seen.insert(dispatch.kernel);
        }
    }
    let all: BTreeSet<&str> = wgsl::KERNELS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen, all, "every kernel is used by some program of this test");
    println!("{} variants of {} kernels", variants.len(), all.len());
}

#[test]
fn every_file_declares_all_bindings_and_has_a_header() {
    for (name, text) in wgsl::KERNELS {
        let text = wgsl::expand(name, text).expect("imports exist");
        assert!(text.starts_with("// "), "{name} opens with its formula");
        for word in ["Deterministic", "invocation"] {
            assert!(text.contains(word), "the header of {name} says {word}");
        }
        let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
        let mut numbers: Vec<u32> =
            module.global_variables.iter().filter_map(|(_, v)| Some(v.binding?.binding)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>(), "bindings of {name} are 0, 1, 2, ...");
    }
}

/// Kernels on disk and kernels built in are the same set.
#[test]
fn no_file_is_forgotten() {
    for (folder, list) in [("kernels", wgsl::KERNELS), ("kernels/shared", wgsl::SHARED)] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files: BTreeSet<String> = std::fs::read_dir(&folder)
            .expect("the folder exists")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
            .map(|path| path.file_stem().expect("has a name").to_string_lossy().into_owned())
            .collect();
        assert_eq!(files, list.iter().map(|(name, _)| name.to_string()).collect(), "{}", folder.display());
    }
}

/// Negative controls: what these tests are for is found.
#[test]
fn faults_are_found() {
    let lowered = lower(&encoder(8, 12, true)).expect("lowers");
    let dispatch = lowered.dispatches.iter().find(|d| d.kernel == "batch_norm").expect("is used");
    let text = wgsl::source("batch_norm", None).expect("a kernel");
    let check = |text: &str, dispatch: &Dispatch| {
        specialise(text, &dispatch.constants).and_then(|module| agree(&module, &lowered, dispatch))
    };
    check(&text, dispatch).expect("unchanged it is right");

    for (from, to) in [
        ("y[i] = (x[i]", "y[i] = (x[i"),                                        // syntax
        ("y[i] = (x[i] - mean[c])", "y[i] = (i - mean[c])"),                    // types
        ("var<storage, read> mean", "var<storage, read_write> mean"),           // access
        ("@binding(6)", "@binding(7)"),                                         // numbering
        ("channels: u32,\n    pixels: u32", "pixels: u32,\n    channels: u32"), // order of the parameters
        ("eps: f32", "eps: u32"),                                               // type of a parameter
        ("beta: array<f32>", "beta: array<u32>"),                               // type of a tensor
        ("@workgroup_size(256)", "@workgroup_size(512)"),                       // invocations
        ("@group(0) @binding(0)", "override FORGOTTEN: u32 = 0u;\n@group(0) @binding(0)"), // a constant nobody sets
    ] {
        assert!(text.contains(from), "{from} is in the kernel");
        check(&text.replacen(from, to, 1), dispatch).expect_err(to);
    }
    let with_memory = format!("{text}\nvar<workgroup> sh_big: array<f32, 4097>;").replacen(
        "if i >= params.n",
        "sh_big[lane] = 0.0;\n    if i >= params.n",
        1,
    );
    check(&with_memory, dispatch).expect_err("too much workgroup memory");

    let mut wide = dispatch.clone();
    wide.groups = [65_536, 1, 1];
    check(&text, &wide).expect_err("too many workgroups");
    let mut short = dispatch.clone();
    short.bindings.pop();
    check(&text, &short).expect_err("a binding too few");
}

#[test]
fn reading_and_writing_one_arena_is_refused() {
    let mut program = copies();
    // Redirect the input of the first call to the arena that it writes.
    let output = program.calls[0].outputs[0].storage;
    let input = program.calls[0].inputs[0].storage;
    program.storages[input].place = program.storages[output].place;
    let error = lower(&program).expect_err("one arena is read and written").to_string();
    assert!(error.contains("relu") && error.contains("State"), "{error}");
}

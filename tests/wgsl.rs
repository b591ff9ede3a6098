//! Every kernel and every variant that lowering uses: valid WGSL within WebGPU's default limits, with bindings and
//! parameters that agree with the Rust side. Needs no device.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::builder::Recorded;
use common::table::cases;
use naga::back::{hlsl, msl};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, ScalarKind, StorageAccess, TypeInner};
use proteus::data::ImageSet;
use proteus::gpu::{
    Access, CHAIN, Dispatch, Fusion, HALF, Lowered, MATRIX, MatrixUnit, SUBGROUP, TILED, Variants, lower, variant_of,
    wgsl,
};
use proteus::tape::{Arena, Dtype, Place, Program, Store, Tape};
use proteus::train::{Ledger, alignment_step, evaluation_step, preset, training_step};

/// Training and evaluation steps of presets, as they are run.
fn preset_steps() -> Vec<Program> {
    let sets: [(&str, [usize; 3], &[&str]); 4] = [
        ("mnist5k", [1, 28, 28], &[]),
        ("mnist", [1, 28, 28], &["model=gmm"]),
        ("usps", [1, 16, 16], &["model=gmm", "gaussian_weights_std=5"]),
        ("megadepth", [3, 128, 128], &[]),
    ];
    sets.into_iter().flat_map(|(name, shape, changes)| steps(name, shape, changes)).collect()
}

/// The steps of a preset on images of a shape.
fn steps(name: &str, [c, h, w]: [usize; 3], changes: &[&str]) -> Vec<Program> {
    let config = preset(name).and_then(|config| config.set(changes)).expect(name);
    let batch = config.batch_size;
    let set = ImageSet::new(name, c, h, w, vec![7; batch * c * h * w], None).expect(name);
    let mut store = Store::new();
    let model = config.spec(&set).expect(name).declare(&mut store);
    let last = config.curriculum.len();
    let ledger = Ledger::new(&mut store, &set, &config, model.groups(last).len());
    let mut programs = Vec::new();
    for active in [0, last] {
        let step = training_step(model.as_ref(), &mut store, &ledger, &config, batch, active);
        programs.push(step.expect("differentiable"));
        programs.push(evaluation_step(model.as_ref(), &store, &ledger, batch, active));
        programs.extend(alignment_step(model.as_ref(), &store, &ledger, active));
    }
    programs
}

/// Whatever the tests of operations and the preset lower.
fn everything() -> Vec<Lowered> {
    let cases = cases().into_iter().map(|case| Recorded::new(&case).program);
    let all = [TILED, HALF, SUBGROUP, CHAIN].map(|variant| (Fusion::Loads, Variants::all(variant)));
    let units = [MatrixUnit::LARGE, MatrixUnit { side: 16, subgroup: 64 }, MatrixUnit { side: 8, subgroup: 8 }];
    let matrix = units.map(|unit| (Fusion::Loads, Variants::all(MATRIX).with_unit(Some(unit))));
    let plain = [Fusion::Off, Fusion::Results].map(|fusion| (fusion, Variants::default()));
    let ways: Vec<_> = plain.into_iter().chain(all).chain(matrix).collect();
    let programs = cases.chain(preset_steps());
    let lowered = |p: Program| {
        ways.iter().map(|(fusion, variants)| lower(&p, *fusion, variants).expect("lowers")).collect::<Vec<_>>()
    };
    programs.flat_map(lowered).collect()
}

/// What a kernel may use beyond WebGPU's baseline.
fn capabilities(kernel: &str) -> Capabilities {
    match variant_of(kernel).1 {
        HALF => Capabilities::SHADER_FLOAT16,
        SUBGROUP => Capabilities::SUBGROUP,
        MATRIX => Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP,
        _ => Capabilities::empty(),
    }
}

/// A module with its constants resolved, valid at WebGPU's baseline and with these capabilities.
fn specialise(text: &str, constants: &[(&str, f64)], with: Capabilities) -> Result<naga::Module, String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    for (_, constant) in module.overrides.iter() {
        let name = constant.name.as_deref().unwrap_or_default();
        if !constants.iter().any(|(given, _)| *given == name) {
            return Err(format!("lowering does not set the override {name}"));
        }
    }
    let validate = |m: &naga::Module| {
        let mut validator = Validator::new(ValidationFlags::all(), with);
        if with.contains(Capabilities::SUBGROUP) {
            // What the feature promises besides votes.
            validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::ARITHMETIC);
        }
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
            (None, AddressSpace::Private) => {}
            (None, AddressSpace::WorkGroup) => {
                workgroup_bytes += layouter[variable.ty].size;
                if !name.starts_with("sh_") {
                    return Err(format!("workgroup variable {name} does not start with sh_"));
                }
            }
            other => return Err(format!("variable {name} is bound as {other:?}")),
        }
    }
    let room = if variant_of(dispatch.kernel).1 == MATRIX { 32_768 } else { 16_384 };
    if workgroup_bytes > room {
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
            let text = wgsl::source(dispatch.kernel, &dispatch.constants, &[]).expect("a kernel");
            let name = format!("{} {:?}", dispatch.kernel, dispatch.constants);
            let with = capabilities(dispatch.kernel);
            let module = variants.entry(name.clone()).or_insert_with(|| specialise(&text, &dispatch.constants, with));
            let module = module.as_ref().unwrap_or_else(|e| panic!("{name}: {e}"));
            agree(module, &lowered, dispatch).unwrap_or_else(|e| panic!("{name}: {e}"));
            seen.insert(dispatch.kernel);
        }
    }
    let all: BTreeSet<&str> = wgsl::KERNELS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen, all, "every kernel is used by some program of this test");
    println!("{} variants of {} kernels", variants.len(), all.len());
}

/// The languages of the drivers that wgpu knows, besides Vulkan's; matrix units are used through Vulkan alone.
#[test]
fn every_variant_has_a_translation_for_metal_and_direct3d() {
    let mut seen = BTreeSet::new();
    for dispatch in everything().iter().flat_map(|lowered| &lowered.dispatches) {
        let name = format!("{} {:?}", dispatch.kernel, dispatch.constants);
        if variant_of(dispatch.kernel).1 == MATRIX || !seen.insert(name.clone()) {
            continue;
        }
        let text = wgsl::source(dispatch.kernel, &dispatch.constants, &[]).expect("a kernel");
        let with = capabilities(dispatch.kernel);
        let module = specialise(&text, &dispatch.constants, with).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut validator = Validator::new(ValidationFlags::all(), with);
        validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::ARITHMETIC);
        let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&text)));
        let metal = msl::Options { lang_version: (2, 4), ..Default::default() };
        let translated = msl::write_string(&module, &info, &metal, &Default::default());
        let (translated, _) = translated.unwrap_or_else(|e| panic!("{name} for Metal: {e}"));
        assert!(translated.contains("kernel void"), "{name} for Metal");
        let direct3d = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, ..Default::default() };
        let (mut translated, options) = (String::new(), Default::default());
        let written = hlsl::Writer::new(&mut translated, &direct3d, &options).write(&module, &info, None);
        written.unwrap_or_else(|e| panic!("{name} for Direct3D: {e}"));
        assert!(translated.contains("[numthreads("), "{name} for Direct3D");
    }
    println!("{} variants", seen.len());
}

#[test]
fn every_file_declares_all_bindings_and_has_a_header() {
    for (name, text) in wgsl::KERNELS {
        let text = wgsl::expand(name, text, &[("UNIT", 16.0)]).expect("imports exist");
        assert!(text.starts_with("// "), "{name} opens with its formula");
        let header: String = text.lines().take_while(|line| line.starts_with("//")).collect();
        for word in ["Deterministic", "invocation", "["] {
            // What it computes in which layout, who computes what, and why that is the same every time.
            assert!(header.contains(word), "the header of {name} says '{word}'");
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

/// The first transient storage that a plan reads, or hands to the host, before a kernel has written it.
fn read_too_early(lowered: &Lowered) -> Option<String> {
    let mut written = BTreeSet::new();
    let transient = |s: &usize| lowered.storages[*s].place == Place::Transient;
    for dispatch in &lowered.dispatches {
        let bound = |access| dispatch.bindings.iter().filter(move |b| b.access == access).filter_map(|b| b.storage);
        if bound(Access::Read).filter(transient).any(|s| !written.contains(&s)) {
            return Some(format!("{} reads what nobody has written", dispatch.kernel));
        }
        written.extend(bound(Access::Write));
    }
    let lacks = lowered.outputs.iter().map(|o| o.storage).filter(transient).any(|s| !written.contains(&s));
    lacks.then(|| "an output is never written".into())
}

#[test]
fn what_is_read_was_written_before() {
    let everything = everything();
    for lowered in &everything {
        assert_eq!(read_too_early(lowered), None);
    }
    let is_stats = |d: &Dispatch| d.kernel == "batch_norm_stats";
    let mut training = everything.into_iter().filter(|lowered| lowered.dispatches.iter().any(is_stats));
    let mut lowered = training.next().expect("a step");
    lowered.dispatches.retain(|d| !is_stats(d));
    assert!(read_too_early(&lowered).is_some(), "statistics that nobody computes are noticed");
}

/// Negative controls: what these tests are for is found.
#[test]
fn faults_are_found() {
    let training = preset_steps().into_iter().last().expect("a step");
    let lowered = lower(&training, Fusion::Loads, &Variants::default()).expect("lowers");
    let dispatch = lowered.dispatches.iter().find(|d| d.kernel == "batch_norm").expect("is used");
    let text = wgsl::source("batch_norm", &[], &[]).expect("a kernel");
    let check = |text: &str, dispatch: &Dispatch| {
        specialise(text, &dispatch.constants, Capabilities::empty())
            .and_then(|module| agree(&module, &lowered, dispatch))
    };
    check(&text, dispatch).expect("unchanged it is right");

    for (from, to) in [
        ("x[at.x]", "x[at.x"),                                                             // syntax
        ("centred = values", "centred = c"),                                               // types
        ("var<storage, read> mean", "var<storage, read_write> mean"),                      // access
        ("@binding(7)", "@binding(8)"),                                                    // numbering
        ("n: u32,\n    eps: f32", "eps: f32,\n    n: u32"),                                // order of the parameters
        ("eps: f32", "eps: u32"),                                                          // type of a parameter
        ("beta: array<f32>", "beta: array<u32>"),                                          // type of a tensor
        ("@workgroup_size(256)", "@workgroup_size(512)"),                                  // invocations
        ("@group(0) @binding(0)", "override FORGOTTEN: u32 = 0u;\n@group(0) @binding(0)"), // a constant nobody sets
    ] {
        assert!(text.contains(from), "{from} is in the kernel");
        check(&text.replacen(from, to, 1), dispatch).expect_err(to);
    }
    let with_memory = format!("{text}\nvar<workgroup> sh_big: array<f32, 4097>;").replacen(
        "if first >= params.n",
        "sh_big[lane] = 0.0;\n    if first >= params.n",
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
    let (mut tape, mut store) = (Tape::new(), Store::new());
    let [x, y] = ["x", "y"].map(|name| store.add(name, [8], Arena::State));
    let input = tape.persistent(&store, x);
    let result = tape.relu(input);
    tape.store(result, &store, y);
    let mut program = Program::new(&tape);
    // A program keeps them apart by a copy; undone here.
    program.calls.truncate(1);
    let (input, output) = (program.calls[0].inputs[0].storage, program.calls[0].outputs[0].storage);
    program.storages[output].place = program.storages[input].place;
    let error =
        lower(&program, Fusion::Loads, &Variants::default()).expect_err("one arena is read and written").to_string();
    assert!(error.contains("arena State"), "{error}");
}

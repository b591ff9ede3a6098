//! Checking a kernel that a user puts in the place of ours, before a device sees it.

use super::wgsl::{KERNELS, expand, source};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use std::collections::BTreeMap;
use std::path::Path;

/// What chooses among imports; the interface of a kernel does not depend on it.
const IMPORTED: &[(&str, f64)] = &[("UNIT", 16.0)];

/// Checks that a file is a valid kernel with the interface of the built-in one of this name: entry point `main`, the same
/// bindings and parameters, and the constants that lowering sets.
///
/// # Errors
/// What is wrong, with file, line and column where it is in the text.
pub fn check_kernel(name: &str, path: &Path) -> Result<(), String> {
    let file = path.display().to_string();
    if !KERNELS.iter().any(|(known, _)| *known == name) {
        let likeness = |known: &&str| strsim::jaro_winkler(name, known);
        let nearest = KERNELS.iter().map(|(known, _)| *known).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        return Err(format!("there is no kernel '{name}'; did you mean '{}'?", nearest.unwrap_or_default()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read the kernel {file}: {e}"))?;
    let text = expand(name, &text, IMPORTED).map_err(|e| format!("{file}: {e}"))?;
    let theirs = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string_with_path(&text, &file))?;
    Validator::new(ValidationFlags::all(), Capabilities::all())
        .subgroup_stages(ShaderStages::COMPUTE)
        .subgroup_operations(SubgroupOperationSet::all())
        .validate(&theirs)
        .map_err(|e| e.emit_to_string_with_path(&text, &file))?;
    let ours = source(name, IMPORTED, &[]).map_err(|e| e.to_string())?;
    let ours = naga::front::wgsl::parse_str(&ours).map_err(|e| e.to_string())?;
    agree(&theirs, &ours).map_err(|problem| format!("{file}: {problem}; see kernels/{name}.wgsl for what is expected"))
}

/// Whether a module can stand in for another.
fn agree(theirs: &Module, ours: &Module) -> Result<(), String> {
    if !matches!(&theirs.entry_points[..], [entry] if entry.name == "main") {
        return Err("a kernel has one entry point, `fn main`".into());
    }
    let (found, expected) = (bindings(theirs), bindings(ours));
    for (binding, expected) in &expected {
        match found.get(binding) {
            Some(found) if found == expected => {}
            Some(found) => return Err(format!("binding {binding} is {found}, and should be {expected}")),
            None => return Err(format!("binding {binding} is missing: {expected}")),
        }
    }
    if let Some(binding) = found.keys().find(|b| !expected.contains_key(b)) {
        return Err(format!("binding {binding} is one too many: nothing is bound there"));
    }
    let overrides = |m: &Module| m.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect::<Vec<_>>();
    let set = overrides(theirs);
    match overrides(ours).into_iter().find(|name| !set.contains(name)) {
        Some(name) => Err(format!("`override {name}` is missing, which is set for every variant of the kernel")),
        None => Ok(()),
    }
}

/// What is at each binding, in WGSL.
fn bindings(module: &Module) -> BTreeMap<u32, String> {
    let at = |(_, v): (_, &naga::GlobalVariable)| {
        let place = v.binding.as_ref()?;
        let space = match v.space {
            AddressSpace::Uniform => "uniform".to_string(),
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => "storage, read_write".into(),
            AddressSpace::Storage { .. } => "storage, read".into(),
            other => format!("{other:?}"),
        };
        Some((place.binding, format!("var<{space}> of {}", type_name(module, v.ty))))
    };
    module.global_variables.iter().filter_map(at).collect()
}

/// A type as WGSL writes it; structures by their members.
fn type_name(module: &Module, handle: naga::Handle<naga::Type>) -> String {
    let scalar = |s: naga::Scalar| format!("{:?}{}", s.kind, 8 * u32::from(s.width));
    match &module.types[handle].inner {
        TypeInner::Scalar(s) => scalar(*s),
        TypeInner::Atomic(s) => format!("atomic<{}>", scalar(*s)),
        TypeInner::Vector { size, scalar: s } => format!("vec{}<{}>", *size as u8, scalar(*s)),
        TypeInner::Array { base, .. } => format!("array<{}>", type_name(module, *base)),
        TypeInner::Struct { members, .. } => {
            let member =
                |m: &naga::StructMember| format!("{}: {}", m.name.as_deref().unwrap_or("?"), type_name(module, m.ty));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mine.wgsl");
        std::fs::write(&path, text).expect("written");
        check_kernel(name, &path)
    }

    #[test]
    fn the_built_in_kernels_fit_themselves() {
        for (name, text) in KERNELS {
            check(name, text).expect(name);
        }
    }

    #[test]
    fn errors_point_into_the_file() {
        let ours = KERNELS.iter().find(|(name, _)| *name == "linear").expect("linear").1;
        let broken = ours.replacen("fn main(", "fn main(;", 1);
        let line = 1 + broken.lines().position(|l| l.contains("fn main(;")).expect("a line");
        let error = check("linear", &broken).expect_err("it is broken");
        assert!(error.contains(&format!("mine.wgsl:{line}:")), "{error}");
        let error = check("linear", &ours.replacen("read_write", "read", 1)).expect_err("stores into what is read");
        assert!(error.contains("mine.wgsl"), "{error}");
    }

    #[test]
    fn another_interface_is_refused() {
        let ours = KERNELS.iter().find(|(name, _)| *name == "relu").expect("relu").1;
        for (from, to, told) in [
            ("n: u32,", "n: u32,\n    m: u32,", "binding 0 is"),
            ("@binding(2)", "@binding(3)", "binding 2 is missing"),
            ("fn main(", "fn other(", "fn main"),
            ("var<storage, read>", "var<storage, read_write>", "binding 1 is"),
        ] {
            let error = check("relu", &ours.replacen(from, to, 1)).expect_err(from);
            assert!(error.contains(told), "{from}: {error}");
        }
        let error = check("rel", ours).expect_err("no such kernel");
        assert!(error.contains("did you mean 'relu'"), "{error}");
    }
}

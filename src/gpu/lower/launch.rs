//! A dispatch under construction.

use super::fold::Folded;
use super::fuse::Besides;
use super::{Access, Binding, Dispatch, Lowered, Param, workgroups};
use crate::tape::{ConvSpec, Operand, Padding, Rows, Work};

type Constants = Vec<(&'static str, f64)>;

/// A dispatch under construction.
pub(super) struct Launch {
    kernel: &'static str,
    constants: Constants,
    params: Vec<Param>,
    bindings: Vec<Binding>,
}

impl Launch {
    pub fn new(kernel: &'static str) -> Self {
        Launch { kernel, constants: Vec::new(), params: Vec::new(), bindings: Vec::new() }
    }

    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    pub fn constants(self, constants: &[(&'static str, usize)]) -> Self {
        constants.iter().fold(self, |launch, &(name, value)| launch.constant(name, value as u32))
    }

    pub fn rows(self, rows: Rows) -> Self {
        self.mode("ROWS", rows)
    }

    pub fn mode(self, name: &'static str, rows: Rows) -> Self {
        let value = match rows {
            Rows::Own => 0,
            Rows::Each => 1,
            Rows::Selected => 2,
        };
        self.constant(name, value)
    }

    pub fn padding(self, padding: Padding) -> Self {
        self.constant("PADDING", if padding == Padding::Border { 0 } else { 1 })
    }

    pub fn window(self, kh: usize, kw: usize, spec: ConvSpec) -> Self {
        self.constants(&[("KH", kh), ("KW", kw), ("STRIDE", spec.stride), ("PAD", spec.pad)])
    }

    pub fn param<T>(mut self, name: &'static str, value: T) -> Self
    where
        Param: From<(&'static str, T)>,
    {
        self.params.push(Param::from((name, value)));
        self
    }

    pub fn read(self, operand: &Operand) -> Self {
        self.bind(Some(operand.storage), Access::Read)
    }

    pub fn read_all(self, operands: &[Operand]) -> Self {
        operands.iter().fold(self, Launch::read)
    }

    /// An input that the call may lack.
    pub fn read_optional(self, operand: Option<&Operand>) -> Self {
        self.bind(operand.map(|o| o.storage), Access::Read)
    }

    /// An operand, or what it is computed from as it is loaded, and whether it is.
    pub fn load(self, name: &'static str, operand: &Operand, folded: Option<&Folded>) -> Self {
        self.constant(name, folded.is_some()).read(folded.map_or(operand, Folded::loaded))
    }

    /// What a gradient is masked by, if anything.
    pub fn masked(self, besides: &Besides) -> Self {
        let mask = besides.mask.as_ref().map(|mask| besides.folds.of(mask).map_or(mask, Folded::loaded));
        self.constant("MASKED", mask.is_some()).read_optional(mask)
    }

    /// What is added to a gradient and what it is masked by, if anything.
    pub fn added_and_masked(self, besides: &Besides) -> Self {
        let residual = besides.residual.as_ref();
        self.constant("RESIDUAL", residual.is_some()).read_optional(residual).masked(besides)
    }

    /// The coefficients of maps that are computed as they are loaded, with the names of the parameters that say where each
    /// begins. All are in one storage.
    pub fn coefficients<const N: usize>(self, maps: [(&'static str, Option<&Folded>); N]) -> Self {
        let storage = maps.iter().find_map(|(_, folded)| folded.map(|f| f.slot.storage));
        let first = |folded: Option<&Folded>| folded.map_or(0, |f| f.slot.first);
        let launch = self.bind(storage, Access::Read);
        maps.into_iter().fold(launch, |launch, (name, folded)| launch.param(name, first(folded)))
    }

    /// The parts of sums over channels that a map's kernel writes, if any.
    pub fn write_parts(self, lowered: &mut Lowered, besides: &Besides) -> Self {
        let launch = self.constant("SUMS", besides.parts.is_some());
        match &besides.parts {
            Some(parts) => launch.write_storage(parts.storage),
            None => launch.write_spare(lowered, 1),
        }
    }

    pub fn read_storage(self, storage: usize) -> Self {
        self.bind(Some(storage), Access::Read)
    }

    pub fn write_storage(self, storage: usize) -> Self {
        self.bind(Some(storage), Access::Write)
    }

    /// A binding that this specialisation does not write: something else in each, since none may be bound twice.
    pub fn write_spare(self, lowered: &mut Lowered, len: usize) -> Self {
        self.write_storage(lowered.workspace(len))
    }

    pub fn write_all(self, operands: &[Operand]) -> Self {
        operands.iter().fold(self, |launch, o| launch.bind(Some(o.storage), Access::Write))
    }

    pub fn bind(mut self, storage: Option<usize>, access: Access) -> Self {
        self.bindings.push(Binding { storage, access });
        self
    }

    pub fn groups(self, lowered: &mut Lowered, groups: [u32; 3]) {
        lowered.dispatches.push(self.build(groups));
    }

    pub fn build(self, groups: [u32; 3]) -> Dispatch {
        let Launch { kernel, constants, params, bindings } = self;
        Dispatch { kernel, constants, params, bindings, groups, call: 0, work: Work::default() }
    }

    /// One invocation for each of `n` items.
    pub fn invocations(self, lowered: &mut Lowered, n: usize, workgroup: usize) {
        self.groups(lowered, workgroups(n.div_ceil(workgroup)));
    }
}

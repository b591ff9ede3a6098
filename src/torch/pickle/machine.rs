//! The stack machine that pickles are programs of: one instruction after the other becomes values.

use super::{Id, Value};
use crate::torch::error::PickleProblem;
use std::collections::HashMap;

/// Most values of a pickle. A checkpoint holds some thousands; one byte of a hostile file can make a value.
pub(super) const MOST: usize = 1 << 22;

/// Its stack, its memo and what it has made so far.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack where lists begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T> = Result<T, PickleProblem>;

impl<'a> Machine<'a> {
    /// One that begins with the first of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What it has made.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// Follows one instruction; the last one gives the result.
    pub(super) fn step(&mut self) -> Step<Option<Id>> {
        match self.number::<1>()?[0] {
            0x80 => drop(self.number::<1>()?), // PROTO
            0x95 => drop(self.number::<8>()?), // FRAME
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'J' => {
                let n = i32::from_le_bytes(self.number()?);
                self.push(Value::Int(n.into()))?;
            }
            b'K' => {
                let n = u8::from_le_bytes(self.number()?);
                self.push(Value::Int(n.into()))?;
            }
            b'M' => {
                let n = u16::from_le_bytes(self.number()?);
                self.push(Value::Int(n.into()))?;
            }
            0x8a => {
                let len = self.length8()?;
                self.long(len)?;
            }
            0x8b => {
                let len = self.length32()?;
                self.long(len)?;
            }
            b'G' => {
                let x = f64::from_be_bytes(self.number()?);
                self.push(Value::Float(x))?;
            }
            b'X' => {
                let len = self.length32()?;
                self.text(len)?;
            }
            0x8c => {
                let len = self.length8()?;
                self.text(len)?;
            }
            0x8d => {
                let len = self.length64()?;
                self.text(len)?;
            }
            // Bytes and the strings of Python 2.
            b'T' | b'B' => {
                let len = self.length32()?;
                self.skip(len)?;
            }
            b'U' | b'C' => {
                let len = self.length8()?;
                self.skip(len)?;
            }
            0x8e | 0x96 => {
                let len = self.length64()?;
                self.skip(len)?;
            }
            b']' => self.push(Value::List(Vec::new()))?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            0x8f => self.push(Value::Opaque)?, // EMPTY_SET
            0x91 => {
                self.since_mark()?; // FROZENSET
                self.push(Value::Opaque)?;
            }
            b'l' => {
                let items = self.since_mark()?;
                self.push(Value::List(items))?;
            }
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b'd' => {
                let items = pairs(self.since_mark()?)?;
                self.push(Value::Dict(items))?;
            }
            count @ 0x85..=0x87 => {
                let height =
                    self.stack.len().checked_sub(usize::from(count - 0x84)).ok_or(PickleProblem::EmptyStack)?;
                let items = self.split(height)?;
                self.push(Value::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(self.since_mark()?)?;
                self.insert(items)?;
            }
            b'h' => {
                let index = self.length8()?;
                self.recall(index as u32)?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.number()?);
                self.recall(index)?;
            }
            b'q' => {
                let index = self.length8()?;
                self.note(index as u32)?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.number()?);
                self.note(index)?;
            }
            0x94 => self.note(self.memo.len() as u32)?,
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Value::Global(module, name))?;
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                match [module, name].map(|id| self.values[id.0 as usize].clone()) {
                    [Value::Text(module), Value::Text(name)] => self.push(Value::Global(module, name))?,
                    _ => return Err(PickleProblem::Kind("the name of a class or function")),
                }
            }
            // REDUCE and NEWOBJ: a call either way.
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.call(function, arguments)?;
            }
            0x92 => {
                self.pop()?; // NEWOBJ_EX: arguments by name first.
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.call(function, arguments)?;
            }
            b'b' => drop(self.pop()?), // BUILD: attributes are not kept.
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }
            other => return Err(PickleProblem::Instruction(other)),
        }
        Ok(None)
    }

    fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or(PickleProblem::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(PickleProblem::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Step<[u8; N]> {
        let taken = self.take(N)?;
        Ok(std::array::from_fn(|i| taken[i]))
    }

    fn length8(&mut self) -> Step<usize> {
        Ok(self.number::<1>()?[0].into())
    }

    fn length32(&mut self) -> Step<usize> {
        // What does not fit is longer than the bytes can be.
        usize::try_from(u32::from_le_bytes(self.number()?)).map_err(|_| PickleProblem::Truncated)
    }

    fn length64(&mut self) -> Step<usize> {
        usize::try_from(u64::from_le_bytes(self.number()?)).map_err(|_| PickleProblem::Truncated)
    }

    fn text(&mut self, len: usize) -> Step<()> {
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| PickleProblem::Text)?;
        self.push(Value::Text(text.into()))
    }

    fn skip(&mut self, len: usize) -> Step<()> {
        self.take(len)?;
        self.push(Value::Opaque)
    }

    /// A whole number of `len` bytes, the lowest first.
    fn long(&mut self, len: usize) -> Step<()> {
        let bytes = self.take(len)?;
        let negative = bytes.last().is_some_and(|&b| b >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        let value = match wide.get_mut(..len) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Opaque,
        };
        self.push(value)
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Step<String> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&b| b == b'\n').ok_or(PickleProblem::Truncated)?;
        let line = std::str::from_utf8(self.take(len)?).map_err(|_| PickleProblem::Text)?;
        self.take(1)?;
        Ok(line.into())
    }

    fn push(&mut self, value: Value) -> Step<()> {
        if self.values.len() >= MOST {
            return Err(PickleProblem::TooMany(MOST));
        }
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
        Ok(())
    }

    /// The lowest height of the stack that instructions for single values may reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Step<Id> {
        let top = self.stack.get(self.floor()..).and_then(<[Id]>::last);
        top.copied().ok_or(PickleProblem::EmptyStack)
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above `height`.
    fn split(&mut self, height: usize) -> Step<Vec<Id>> {
        if height < self.floor() {
            return Err(PickleProblem::EmptyStack);
        }
        Ok(self.stack.drain(height..).collect())
    }

    fn since_mark(&mut self) -> Step<Vec<Id>> {
        let height = self.marks.pop().ok_or(PickleProblem::NoMark)?;
        self.split(height)
    }

    fn extend(&mut self, items: Vec<Id>) -> Step<()> {
        let target = self.top()?;
        match &mut self.values[target.0 as usize] {
            Value::List(list) => list.extend(items),
            // Sets and what is not called here may be filled unseen.
            Value::Opaque | Value::Call(..) => {}
            _ => return Err(PickleProblem::Kind("a list")),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<(Id, Id)>) -> Step<()> {
        let target = self.top()?;
        match &mut self.values[target.0 as usize] {
            Value::Dict(dict) => dict.extend(items),
            Value::Opaque | Value::Call(..) => {}
            _ => return Err(PickleProblem::Kind("a dictionary")),
        }
        Ok(())
    }

    /// A call stays a call, except that dictionaries with an order or a default are dictionaries.
    fn call(&mut self, function: Id, arguments: Id) -> Step<()> {
        let value = match (&self.values[function.0 as usize], &self.values[arguments.0 as usize]) {
            (Value::Global(module, name), Value::Tuple(given))
                if module == "collections"
                    && (name == "defaultdict" && given.len() <= 1 || name == "OrderedDict" && given.is_empty()) =>
            {
                Value::Dict(Vec::new())
            }
            _ => Value::Call(function, arguments),
        };
        self.push(value)
    }

    fn note(&mut self, index: u32) -> Step<()> {
        let top = self.top()?;
        if self.memo.len() >= MOST {
            return Err(PickleProblem::TooMany(MOST));
        }
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Step<()> {
        let noted = *self.memo.get(&index).ok_or(PickleProblem::Memo(index))?;
        self.stack.push(noted);
        Ok(())
    }
}

/// Keys and values in turn.
fn pairs(items: Vec<Id>) -> Step<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks();
    match rest {
        [] => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(PickleProblem::Kind("a value for every key")),
    }
}

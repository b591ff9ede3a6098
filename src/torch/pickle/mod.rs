//! Python's pickles, protocols 2 to 5, as values. Classes and functions stay names and calls stay calls: nothing is
//! executed or looked up.

mod machine;

use super::error::PickleError;
use machine::Machine;

/// A value of a [`Pickle`]. Values refer to each other by number, so that what is shared, or contains itself, costs
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u32);

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number of at most 64 bits.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A dictionary, in its order.
    Dict(Vec<(Id, Id)>),
    /// A class or function by module and name.
    Global(String, String),
    /// What the container keeps beside the pickle.
    Persistent(Id),
    /// What a function would return for arguments, a tuple.
    Call(Id, Id),
    /// Anything else: bytes, sets, larger numbers.
    Opaque,
}

/// A pickle that has been read.
#[derive(Clone, Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
    /// Bytes up to and with its last instruction.
    pub len: usize,
}

impl Pickle {
    /// Reads the pickle that `bytes` begin with.
    ///
    /// # Errors
    /// [`PickleError`] with the offset of the instruction that cannot be followed.
    pub fn read(bytes: &[u8]) -> Result<Self, PickleError> {
        let mut machine = Machine::new(bytes);
        loop {
            let start = machine.at();
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok(Pickle { root, len: machine.at(), values: machine.into_values() }),
                Err(problem) => return Err(PickleError { at: start, problem }),
            }
        }
    }

    /// The pickled object.
    pub fn root(&self) -> Id {
        self.root
    }

    /// What a value is.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// All values, in the order in which they were made.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::machine::MOST;
    use super::*;
    use crate::torch::error::PickleProblem;
    use PickleProblem::{EmptyStack, Instruction, Kind, Memo, NoMark, Text, Truncated};

    fn read(bytes: &[u8]) -> Result<Value, PickleError> {
        Pickle::read(bytes).map(|p| p.get(p.root()).clone())
    }

    #[test]
    fn plain_values_are_read() {
        for (bytes, expected) in [
            (&b"N."[..], Value::None),
            (b"\x80\x02\x88.", Value::Bool(true)),
            (b"K\xff.", Value::Int(255)),
            (b"M\x01\x02.", Value::Int(513)),
            (b"J\xfe\xff\xff\xff.", Value::Int(-2)),
            (b"\x8a\x00.", Value::Int(0)),
            (b"\x8a\x02\x00\xff.", Value::Int(-256)),
            (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", Value::Opaque),
            (b"G\x3f\xf8\x00\x00\x00\x00\x00\x00.", Value::Float(1.5)),
            (b"X\x02\x00\x00\x00\xc3\xa4.", Value::Text("\u{e4}".into())),
            (b"\x8c\x01a.", Value::Text("a".into())),
            (b"cos\nsystem\n.", Value::Global("os".into(), "system".into())),
            (b"\x8c\x02os\x94\x8c\x06system\x94\x93.", Value::Global("os".into(), "system".into())),
        ] {
            assert_eq!(read(bytes).expect("good bytes"), expected, "{bytes:?}");
        }
    }

    #[test]
    fn containers_are_filled_wherever_they_are_referred_to() {
        // x = []; (x, x) with 7 appended to x after the first is in the tuple's place.
        let pickle = Pickle::read(b"]q\x00h\x00K\x07a\x86.").expect("good bytes");
        let Value::Tuple(pair) = pickle.get(pickle.root()) else { panic!("a tuple") };
        assert_eq!(pair[0], pair[1]);
        let Value::List(list) = pickle.get(pair[0]) else { panic!("a list") };
        assert_eq!(pickle.get(list[0]), &Value::Int(7));
        // A list that contains itself.
        assert!(Pickle::read(b"]q\x00h\x00a.").is_ok());
        // OrderedDict() filled and given attributes.
        let ordered = read(b"ccollections\nOrderedDict\n)R(K\x01NK\x02Nu}b.").expect("good bytes");
        assert!(matches!(ordered, Value::Dict(items) if items.len() == 2));
        // Unknown calls swallow what they are filled with.
        let unknown = read(b"cos\nsystem\n)RK\x01a(K\x01NuNb.").expect("good bytes");
        assert!(matches!(unknown, Value::Call(..)));
    }

    #[test]
    fn bad_bytes_are_refused_with_their_place() {
        for (bytes, at, problem) in [
            (&b""[..], 0, Truncated),
            (b"N", 1, Truncated),
            (b"NJ\x00\x00", 1, Truncated),
            (b"X\xff\xff\xff\xffabc", 0, Truncated),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", 0, Truncated),
            (b"\x8b\xff\xff\xff\x7f.", 0, Truncated),
            (b"cos", 0, Truncated),
            (b"NI1\n.", 1, Instruction(b'I')),
            (b".", 0, EmptyStack),
            (b"N(0", 2, EmptyStack),
            (b"N\x87.", 1, EmptyStack),
            (b"N(N\x86.", 3, EmptyStack),
            (b"t", 0, NoMark),
            (b"h\x05", 0, Memo(5)),
            (b"NNa", 2, Kind("a list")),
            (b"}(Nu", 3, Kind("a value for every key")),
            (b"NN\x93", 2, Kind("the name of a class or function")),
            (b"\x8c\x01\xff", 0, Text),
        ] {
            assert_eq!(read(bytes).expect_err("bad bytes"), PickleError { at, problem }, "{bytes:?}");
        }
        // Values beyond all measure, at one byte each.
        let many = vec![b'N'; MOST + 9];
        assert_eq!(read(&many).expect_err("too many").problem, PickleProblem::TooMany(MOST));
        // Depth costs nothing.
        let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
        assert!(read(&deep).is_ok());
    }
}

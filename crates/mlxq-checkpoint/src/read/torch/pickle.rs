//! An interpreter of pickles that can only build data.
//!
//! It knows the opcodes of [`super::opcode`] and the names of [`super::global`]; nothing is imported,
//! looked up or called. Values lie in one list and refer to each other by place, so that sharing
//! costs nothing, a list may contain itself, and nothing is ever walked or dropped by recursion.

use std::collections::HashMap;

use super::global::{Global, Refusal, look_up};
use super::opcode::{Broken, Op, Opcodes};
use crate::read::limits::check_rank;
use crate::shown;
use crate::tensor::Dtype;

const VALUE_LIMIT: usize = 5_000_000;
const STACK_LIMIT: usize = 1_000_000;
const DEPTH_LIMIT: u16 = 1000;

/// The place of a value in a [`Pickle`].
pub(super) type Id = u32;

/// What a pickle builds.
#[derive(Debug)]
pub(super) enum Value<'p> {
    None,
    Bool(bool),
    Int(i64),
    /// Bytes of a text, perhaps no UTF-8.
    Text(&'p [u8]),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A dict that may have attributes.
    OrderedDict(Vec<(Id, Id)>),
    Global(Global),
    Storage(StorageRef),
    Tensor(Box<TensorRef>),
    /// Data without weights: a floating number, a set, a device …
    Other,
}

/// A storage, or a range of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct StorageRef {
    /// Its place in [`Pickle::storages`].
    pub(super) storage: usize,
    /// First element.
    pub(super) start: u64,
    /// Number of elements.
    pub(super) elements: u64,
}

/// A tensor as it stands in a pickle; nothing has been checked but the kinds of its fields.
#[derive(Debug, Clone)]
pub(super) struct TensorRef {
    pub(super) storage: StorageRef,
    /// `Err`: the name of an element type that is not read.
    pub(super) dtype: Result<Dtype, &'static str>,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// A storage that a pickle names.
#[derive(Debug)]
pub(super) struct StorageId<'p> {
    pub(super) key: &'p str,
    pub(super) dtype: Dtype,
    pub(super) elements: u64,
}

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'p> {
    values: Vec<Value<'p>>,
    /// How deep each value is nested.
    depths: Vec<u16>,
    pub(super) storages: Vec<StorageId<'p>>,
    by_key: HashMap<&'p str, usize>,
    root: Id,
}

/// Where the pickle at the start of `bytes` ends.
///
/// # Errors
/// [`Broken::Short`] when it does not end in `bytes`; else the reason, which lists every name of the
/// pickle that would have to be run.
pub(super) fn scan(bytes: &[u8]) -> Result<usize, Broken> {
    let mut opcodes = Opcodes::new(bytes);
    let (mut run, mut kinds) = (Vec::new(), Vec::new());
    let end = loop {
        let at = opcodes.at();
        match opcodes.next() {
            Ok(Op::Stop) => break Ok(opcodes.at()),
            Ok(Op::Global(module, name)) => {
                let list = match look_up(module, name) {
                    Ok(_) => continue,
                    Err(Refusal::Kind) => &mut kinds,
                    Err(Refusal::Run) => &mut run,
                };
                let name = format!("`{}.{}`", shown(module), shown(name));
                if list.len() < 20 && !list.contains(&name) {
                    list.push(name);
                }
            }
            Ok(_) => {}
            Err(Broken::Rule(rule)) => break Err(Broken::Rule(format!("byte {at}: {rule}"))),
            Err(Broken::Short) => break Err(Broken::Short),
        }
    };
    let refuse = |start: &str, names: &[String], rest: &str| {
        Err(Broken::Rule(format!("{start} {}{rest}", names.join(", "))))
    };
    match end {
        Err(Broken::Short) => Err(Broken::Short),
        _ if !run.is_empty() => {
            let rest = ", and nothing in a checkpoint is run; convert it to safetensors";
            refuse("would need to run", &run, rest)
        }
        _ if !kinds.is_empty() => {
            let rest = ": sparse, quantized, complex and meta tensors are not supported";
            refuse("holds", &kinds, rest)
        }
        end => end,
    }
}

impl<'p> Pickle<'p> {
    /// The values of the pickle `bytes`, of which [`scan`] has found the end.
    ///
    /// # Errors
    /// The reason with the byte.
    pub(super) fn parse(bytes: &'p [u8]) -> Result<Self, String> {
        let mut opcodes = Opcodes::new(bytes);
        let mut machine = Machine::new();
        loop {
            let at = opcodes.at();
            let refuse = |rule: &str| format!("byte {at}: {rule}");
            let op = match opcodes.next() {
                Ok(Op::Stop) => return machine.finish().map_err(|rule| refuse(&rule)),
                Ok(op) => op,
                Err(Broken::Short) => return Err(refuse("the pickle ends early")),
                Err(Broken::Rule(rule)) => return Err(refuse(&rule)),
            };
            machine.step(op).map_err(|rule| refuse(&rule))?;
        }
    }

    pub(super) fn root(&self) -> &Value<'p> {
        self.get(self.root)
    }

    pub(super) fn get(&self, id: Id) -> &Value<'p> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'p>, parts: &[Id]) -> Result<Id, String> {
        if self.values.len() >= VALUE_LIMIT {
            return Err(format!("more than {VALUE_LIMIT} values"));
        }
        self.values.push(value);
        self.depths.push(0);
        let id = (self.values.len() - 1) as Id;
        self.deepen(id, parts)?;
        Ok(id)
    }

    /// `parts` are put into the value `id`.
    fn deepen(&mut self, id: Id, parts: &[Id]) -> Result<(), String> {
        let deepest = parts.iter().map(|part| self.depths[*part as usize]).max();
        let depth = &mut self.depths[id as usize];
        *depth = (*depth).max(deepest.map_or(0, |deepest| deepest + 1));
        if *depth <= DEPTH_LIMIT {
            Ok(())
        } else {
            Err(format!("values nested deeper than {DEPTH_LIMIT}"))
        }
    }

    fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A tuple of integers, no more than a tensor has dimensions: calls copy it.
    fn ints(&self, id: Id) -> Option<Vec<i64>> {
        match self.get(id) {
            Value::Tuple(items) if check_rank(items.len()).is_ok() => {
                items.iter().map(|item| self.int(*item)).collect()
            }
            _ => None,
        }
    }

    /// What the result of a call to `global` is, by its arguments; `None` when they do not fit.
    fn call(&self, global: Global, arguments: &[Id]) -> Option<Value<'p>> {
        let is = |id: &Id, kind: fn(&Value) -> bool| kind(self.get(*id));
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        Some(match (global, arguments) {
            (Global::OrderedDict, []) => Value::OrderedDict(Vec::new()),
            (Global::Tensor, [storage, offset, size, strides]) => {
                self.tensor([storage, offset, size, strides], None)?
            }
            (Global::TensorV2, [storage, offset, size, strides, grad, hooks, rest @ ..]) => {
                self.check_unused(*grad, *hooks, rest)?;
                self.tensor([storage, offset, size, strides], None)?
            }
            (Global::TensorV3, [storage, offset, size, strides, grad, hooks, dtype, rest @ ..]) => {
                self.check_unused(*grad, *hooks, rest)?;
                let Value::Global(Global::Dtype(dtype)) = self.get(*dtype) else { return None };
                self.tensor([storage, offset, size, strides], Some(*dtype))?
            }
            (Global::Parameter, [data, grad, hooks]) => {
                self.check_unused(*grad, *hooks, &[])?;
                self.copied(*data)?
            }
            (Global::ParameterWithState, [data, grad, hooks, state]) => {
                self.check_unused(*grad, *hooks, std::slice::from_ref(state))?;
                self.copied(*data)?
            }
            (Global::ParameterClass, [data] | [data, _]) => self.copied(*data)?,
            (Global::Size, [sizes]) => {
                let Value::Tuple(items) = self.get(*sizes) else { return None };
                self.ints(*sizes)?;
                Value::Tuple(items.clone())
            }
            (Global::Set | Global::Counter | Global::ByteArray, []) => Value::Other,
            (Global::Set, [items]) if is(items, |v| matches!(v, Value::List(_))) => Value::Other,
            (Global::Counter, [items]) if is(items, |v| matches!(v, Value::Dict(_))) => {
                Value::Other
            }
            (Global::ByteArray | Global::Encode, [text, coding])
                if is(text, is_text) && is(coding, is_text) =>
            {
                Value::Other
            }
            (Global::ByteArray, [bytes]) if is(bytes, |v| matches!(v, Value::Other)) => {
                Value::Other
            }
            (Global::Layout | Global::Device, [name]) if is(name, is_text) => Value::Other,
            (Global::Device, [name, index]) if is(name, is_text) && self.int(*index).is_some() => {
                Value::Other
            }
            (Global::Complex, [re, im])
                if [re, im].into_iter().all(|x| is(x, |v| matches!(v, Value::Other))) =>
            {
                Value::Other
            }
            _ => return None,
        })
    }

    /// `requires_grad`, hooks and a state that must be empty: nothing here changes the numbers.
    fn check_unused(&self, grad: Id, hooks: Id, state: &[Id]) -> Option<()> {
        let is_empty = |id: &Id| match self.get(*id) {
            Value::None => true,
            Value::Dict(entries) | Value::OrderedDict(entries) => entries.is_empty(),
            _ => false,
        };
        let is_flag = matches!(self.get(grad), Value::Bool(_));
        (is_flag && is_empty(&hooks) && state.len() <= 1 && state.iter().all(is_empty))
            .then_some(())
    }

    fn copied(&self, tensor: Id) -> Option<Value<'p>> {
        match self.get(tensor) {
            Value::Tensor(tensor) => Some(Value::Tensor(tensor.clone())),
            _ => None,
        }
    }

    fn tensor(
        &self,
        [storage, offset, size, strides]: [&Id; 4],
        dtype: Option<Result<Dtype, &'static str>>,
    ) -> Option<Value<'p>> {
        let Value::Storage(storage) = self.get(*storage) else { return None };
        let stored = self.storages[storage.storage].dtype;
        Some(Value::Tensor(Box::new(TensorRef {
            storage: *storage,
            dtype: dtype.unwrap_or(Ok(stored)),
            offset: self.int(*offset)?,
            shape: self.ints(*size)?,
            strides: self.ints(*strides)?,
        })))
    }

    /// The storage of a persistent id: `('storage', class, key, location, elements[, view])`.
    fn storage(&mut self, id: Id) -> Result<StorageRef, String> {
        let wrong = || "a persistent id that is no ('storage', class, key, place, size)".to_owned();
        let Value::Tuple(fields) = self.get(id) else { return Err(wrong()) };
        let (first, view) = match fields.as_slice() {
            [first @ .., view] if fields.len() == 6 => (first, Some(*view)),
            first => (first, None),
        };
        let [word, class, key, place, elements] = *first else { return Err(wrong()) };
        let (Value::Text(b"storage"), Value::Text(_)) = (self.get(word), self.get(place)) else {
            return Err(wrong());
        };
        let dtype = match self.get(class) {
            Value::Global(Global::Storage(dtype)) => *dtype,
            Value::Global(Global::UntypedStorage) => Dtype::U8,
            _ => return Err(wrong()),
        };
        let Value::Text(key) = *self.get(key) else { return Err(wrong()) };
        let key = storage_key(key).ok_or("a storage whose key is no number or plain word")?;
        let count = self.int(elements).and_then(|count| u64::try_from(count).ok());
        let count = count.ok_or("a storage whose size is no number from 0 on")?;
        let view = view.map(|view| self.view(view, count)).transpose()?.flatten();
        let storage = *self.by_key.entry(key).or_insert_with(|| {
            self.storages.push(StorageId { key, dtype, elements: count });
            self.storages.len() - 1
        });
        let known = &self.storages[storage];
        if (known.dtype, known.elements) != (dtype, count) {
            return Err(format!(
                "storage `{key}` is {count} of {dtype:?} here, {} of {:?} before",
                known.elements, known.dtype
            ));
        }
        let (start, elements) = view.unwrap_or((0, count));
        Ok(StorageRef { storage, start, elements })
    }

    /// The first element and the size of a storage that is part of one of `whole` elements: None or
    /// `(key, offset, size)`.
    fn view(&self, id: Id, whole: u64) -> Result<Option<(u64, u64)>, String> {
        let fields = match self.get(id) {
            Value::None => return Ok(None),
            Value::Tuple(fields) => fields.as_slice(),
            _ => &[],
        };
        let number = |id: Id| self.int(id).and_then(|number| u64::try_from(number).ok());
        let found = match fields {
            [key, offset, size] if matches!(self.get(*key), Value::Text(_)) => {
                number(*offset).zip(number(*size))
            }
            _ => None,
        };
        let inside =
            |(offset, size): &(u64, u64)| offset.checked_add(*size).is_some_and(|end| end <= whole);
        let found = found.filter(inside);
        found.map(Some).ok_or_else(|| "a view that lies outside its storage".to_owned())
    }
}

/// A storage's key: digits, or a plain word of up to 64 characters.
fn storage_key(bytes: &[u8]) -> Option<&str> {
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let good = plain && (1..=64).contains(&bytes.len());
    std::str::from_utf8(bytes).ok().filter(|_| good)
}

/// A pickle that is being built.
struct Machine<'p> {
    pickle: Pickle<'p>,
    stack: Vec<Id>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'p> Machine<'p> {
    fn new() -> Self {
        let pickle = Pickle {
            values: Vec::new(),
            depths: Vec::new(),
            storages: Vec::new(),
            by_key: HashMap::new(),
            root: 0,
        };
        Self { pickle, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    fn finish(mut self) -> Result<Pickle<'p>, String> {
        match (self.stack.as_slice(), self.marks.as_slice()) {
            ([root], []) => {
                self.pickle.root = *root;
                Ok(self.pickle)
            }
            (stack, _) => Err(format!("the pickle ends with {} values, expected 1", stack.len())),
        }
    }

    fn step(&mut self, op: Op<'p>) -> Result<(), String> {
        let value = match op {
            Op::Stop | Op::Protocol => return Ok(()),
            Op::None => Value::None,
            Op::Bool(truth) => Value::Bool(truth),
            Op::Int(number) => Value::Int(number),
            Op::Number | Op::EmptySet => Value::Other,
            Op::Text(bytes) => Value::Text(bytes),
            Op::EmptyList => Value::List(Vec::new()),
            Op::EmptyDict => Value::Dict(Vec::new()),
            Op::Global(module, name) => Value::Global(
                look_up(module, name).map_err(|_| format!("`{module}.{name}` is not allowed"))?,
            ),
            Op::Reduce | Op::NewObject => return self.call(op),
            Op::PersistentId => {
                let id = self.pop()?;
                Value::Storage(self.pickle.storage(id)?)
            }
            Op::Build => return self.build(),
            Op::Mark => return self.mark(),
            Op::Tuple => {
                let parts = self.pop_to_mark()?;
                return self.push_tuple(parts);
            }
            Op::TupleOf(count) => {
                let parts = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                return self.push_tuple(parts.into_iter().rev().collect());
            }
            Op::Append => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            Op::Appends => {
                let items = self.pop_to_mark()?;
                return self.append(items);
            }
            Op::SetItem => {
                let value = self.pop()?;
                let key = self.pop()?;
                return self.set(vec![key, value]);
            }
            Op::SetItems => {
                let items = self.pop_to_mark()?;
                return self.set(items);
            }
            Op::Get(place) => {
                let known = self.memo.get(&place);
                let id = *known.ok_or_else(|| format!("memo {place} is read before written"))?;
                return self.push(id);
            }
            Op::Put(place) => {
                let top = self.top()?;
                if self.memo.len() >= VALUE_LIMIT {
                    return Err(format!("more than {VALUE_LIMIT} memos"));
                }
                self.memo.insert(place, top);
                return Ok(());
            }
        };
        let id = self.pickle.push(value, &[])?;
        self.push(id)
    }

    fn push(&mut self, id: Id) -> Result<(), String> {
        if self.stack.len() >= STACK_LIMIT {
            return Err(format!("more than {STACK_LIMIT} values on the stack"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn push_tuple(&mut self, parts: Vec<Id>) -> Result<(), String> {
        let id = self.pickle.push(Value::Tuple(Vec::new()), &parts)?;
        self.pickle.values[id as usize] = Value::Tuple(parts);
        self.push(id)
    }

    fn mark(&mut self) -> Result<(), String> {
        if self.marks.len() >= STACK_LIMIT {
            return Err(format!("more than {STACK_LIMIT} marks"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// The lowest place of the stack that may be taken: what is below a mark belongs to others.
    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let free = self.stack.get(floor..).unwrap_or_default();
        free.last().copied().ok_or_else(|| "the stack is empty".to_owned())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let floor = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(floor.min(self.stack.len())))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        self.pickle.deepen(list, &items)?;
        match &mut self.pickle.values[list as usize] {
            Value::List(known) => known.extend(items),
            _ => return Err("something is appended to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Id>) -> Result<(), String> {
        let dict = self.top()?;
        self.pickle.deepen(dict, &items)?;
        match &mut self.pickle.values[dict as usize] {
            Value::Dict(entries) | Value::OrderedDict(entries) => {
                let (pairs, rest) = items.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err("a key without a value".to_owned());
                }
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err("an item is set in what is no dict".to_owned()),
        }
        Ok(())
    }

    /// The attributes of an ordered dict, such as `_metadata`, are passed over.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        let target = self.top()?;
        match (self.pickle.get(target), self.pickle.get(state)) {
            (Value::OrderedDict(_), Value::Dict(_) | Value::OrderedDict(_)) => Ok(()),
            _ => Err("BUILD of something other than an OrderedDict's attributes".to_owned()),
        }
    }

    fn call(&mut self, op: Op) -> Result<(), String> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let (Value::Global(global), Value::Tuple(arguments)) =
            (self.pickle.get(callee), self.pickle.get(arguments))
        else {
            return Err("a call of what is no name, or without a tuple of arguments".to_owned());
        };
        let may_be_new = matches!(
            global,
            Global::OrderedDict | Global::Counter | Global::Set | Global::ParameterClass
        );
        let result = match op {
            Op::NewObject if !may_be_new => None,
            _ => self.pickle.call(*global, arguments),
        };
        let count = arguments.len();
        let result =
            result.ok_or_else(|| format!("{global:?} does not take these {count} arguments"))?;
        let id = self.pickle.push(result, &[])?;
        self.push(id)
    }
}

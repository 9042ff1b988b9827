//! Values of the contract, written as JSON, laid out in a plugin's memory.

use serde_json::Value;
use wit_parser::{Int, Resolve, SizeAlign, Type, TypeDefKind};

/// The first address that is used.
pub(super) const BASE: usize = 1024;

/// A data segment that starts at [`BASE`].
pub(super) struct Data<'a> {
    resolve: &'a Resolve,
    sizes: SizeAlign,
    bytes: Vec<u8>,
}

impl<'a> Data<'a> {
    pub(super) fn new(resolve: &'a Resolve) -> Self {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        Data { resolve, sizes, bytes: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lays a value out; answers its address.
    pub(super) fn place(&mut self, ty: &Type, value: &Value) -> usize {
        let at = self.reserve(self.size(ty));
        self.store(ty, value, at);
        at
    }

    fn size(&self, ty: &Type) -> usize {
        self.sizes.size(ty).size_wasm32()
    }

    fn reserve(&mut self, size: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(at + size, 0);
        BASE + at
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at - BASE..at - BASE + bytes.len()].copy_from_slice(bytes);
    }

    fn write_slice(&mut self, at: usize, address: usize, length: usize) {
        self.write(at, &u32::try_from(address).unwrap().to_le_bytes());
        self.write(at + 4, &u32::try_from(length).unwrap().to_le_bytes());
    }

    fn store_bytes(&mut self, text: &str, at: usize) {
        let address = self.reserve(text.len());
        self.write(address, text.as_bytes());
        self.write_slice(at, address, text.len());
    }

    fn store(&mut self, ty: &Type, value: &Value, at: usize) {
        match ty {
            Type::Bool => self.write(at, &[u8::from(value.as_bool().unwrap())]),
            Type::String => self.store_bytes(value.as_str().unwrap(), at),
            Type::Id(id) => self.store_kind(&self.resolve.types[*id].kind, value, at),
            _ => {
                let number = value.as_i64().unwrap_or_else(|| value.as_u64().unwrap().cast_signed()).to_le_bytes();
                let size = self.size(ty);
                self.write(at, &number[..size]);
            }
        }
    }

    fn store_kind(&mut self, kind: &'a TypeDefKind, value: &Value, at: usize) {
        match kind {
            TypeDefKind::Type(ty) => self.store(ty, value, at),
            TypeDefKind::Record(record) => {
                let offsets = self.sizes.field_offsets(record.fields.iter().map(|field| &field.ty));
                for (field, (offset, ty)) in record.fields.iter().zip(offsets) {
                    let value = value.get(&field.name).unwrap_or_else(|| panic!("no member {}", field.name));
                    self.store(ty, value, at + offset.size_wasm32());
                }
            }
            TypeDefKind::Tuple(tuple) => {
                for (index, (offset, ty)) in self.sizes.field_offsets(&tuple.types).into_iter().enumerate() {
                    self.store(ty, &value[index], at + offset.size_wasm32());
                }
            }
            TypeDefKind::List(Type::U8) => self.store_bytes(value.as_str().unwrap(), at),
            TypeDefKind::List(ty) => {
                let items = value.as_array().unwrap();
                let size = self.size(ty);
                let address = self.reserve(size * items.len());
                for (index, item) in items.iter().enumerate() {
                    self.store(ty, item, address + index * size);
                }
                self.write_slice(at, address, items.len());
            }
            TypeDefKind::Option(ty) => {
                let cases = [None, Some(ty)];
                self.store_case(Int::U8, &cases, usize::from(!value.is_null()), Some(value), at);
            }
            TypeDefKind::Result(result) => {
                let cases = [result.ok.as_ref(), result.err.as_ref()];
                let (index, value) = if value.get("ok").is_some() { (0, &value["ok"]) } else { (1, &value["err"]) };
                self.store_case(Int::U8, &cases, index, Some(value), at);
            }
            TypeDefKind::Enum(cases) => {
                let index = cases.cases.iter().position(|case| Some(case.name.as_str()) == value.as_str()).unwrap();
                self.write(at, &[u8::try_from(index).unwrap()]);
            }
            TypeDefKind::Variant(variant) => {
                let (name, payload) = match value {
                    Value::String(name) => (name, None),
                    value => value.as_object().unwrap().iter().next().map(|(name, value)| (name, Some(value))).unwrap(),
                };
                let index = variant.cases.iter().position(|case| case.name == *name).unwrap();
                let cases: Vec<_> = variant.cases.iter().map(|case| case.ty.as_ref()).collect();
                self.store_case(variant.tag(), &cases, index, payload, at);
            }
            _ => panic!("the contract has no such type"),
        }
    }

    fn store_case(&mut self, tag: Int, cases: &[Option<&'a Type>], index: usize, payload: Option<&Value>, at: usize) {
        self.write(at, &[u8::try_from(index).unwrap()]);
        if let (Some(ty), Some(payload)) = (cases[index], payload) {
            let offset = self.sizes.payload_offset(tag, cases.iter().copied()).size_wasm32();
            self.store(ty, payload, at + offset);
        }
    }
}

//! Small plugins for tests: components whose functions answer constants, or run a few given instructions first.

mod lower;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, WorldItem};

use super::{Engine, EngineOptions, Limits, Plugin, wit};

/// The contract as it is in the repository.
pub(crate) const WIT: &str = include_str!("../../../wit/incident-sink.wit");

/// One engine for all tests of a process.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).unwrap())
}

/// Generous for a machine that runs other tests too.
pub(crate) fn limits() -> Limits {
    Limits { deadline: super::units::Wait::millis(5000), ..Limits::default() }
}

/// A plugin under construction.
#[derive(Clone)]
pub(crate) struct Guest {
    wit: String,
    world: &'static str,
    answers: BTreeMap<String, Value>,
    preludes: BTreeMap<String, String>,
    pages: u32,
    fields: String,
}

impl Default for Guest {
    fn default() -> Self {
        let request = json!({ "target": "connector", "method": "post", "headers": [], "query": [], "body": "{}" });
        let answer = json!({ "status": 200, "headers": [], "body": "" });
        let answers = [
            (
                "describe",
                json!({
                    "name": "chat", "version": "1.0.0", "config-schema": "{\"type\":\"object\"}",
                    "pace": { "messages": 20, "window-ms": 60000, "penalty-ms": 600000 },
                    "max-batch": 20, "max-body": 20000, "extra": [],
                }),
            ),
            ("check", json!([])),
            ("begin", json!({ "ok": { "send": { "request": request, "covers": 1, "continuation": "note" } } })),
            ("resume", json!({ "ok": { "done": { "delivered": { "id": "r1", "memo": null } } } })),
            ("sign", json!({ "ok": [{ "place": "query", "name": "sign", "value": "s" }] })),
            ("verify", json!({ "ok": null })),
            ("read", json!({ "ok": { "id": "q1", "commands": [], "answer": answer } })),
            ("reply", json!({ "ok": { "answer": answer, "late": null } })),
        ];
        Guest {
            wit: WIT.to_owned(),
            world: "incident-sink",
            answers: answers.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect(),
            preludes: BTreeMap::new(),
            pages: 2,
            fields: String::new(),
        }
    }
}

impl Guest {
    /// With the inbox.
    pub(crate) fn interactive(mut self) -> Self {
        self.world = "interactive-incident-sink";
        self
    }

    /// Against another text of the contract.
    pub(crate) fn wit(mut self, wit: String) -> Self {
        self.wit = wit;
        self
    }

    /// What a function answers, by the contract's names.
    pub(crate) fn answer(mut self, function: &str, answer: Value) -> Self {
        self.answers.insert(function.to_owned(), answer);
        self
    }

    /// One member of what `describe` answers.
    pub(crate) fn describe(mut self, member: &str, value: Value) -> Self {
        self.answers.get_mut("describe").unwrap()[member] = value;
        self
    }

    /// A `send` whose request has these members changed.
    pub(crate) fn sends(self, changes: Value) -> Self {
        let mut answer = self.answers["begin"].clone();
        for (name, value) in changes.as_object().unwrap() {
            answer["ok"]["send"]["request"][name] = value.clone();
        }
        self.answer("begin", answer)
    }

    /// Instructions that a function runs before it answers. Addresses below 1024 are free.
    pub(crate) fn runs(mut self, function: &str, instructions: &str) -> Self {
        self.preludes.insert(function.to_owned(), instructions.to_owned());
        self
    }

    /// Further fields of the core module.
    pub(crate) fn fields(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// The memory that it starts with.
    pub(crate) fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    /// The component's bytes.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("incident-sink.wit", &self.wit).unwrap();
        let world = resolve.select_world(&[package], Some(self.world)).unwrap();
        let mut data = lower::Data::new(&resolve);
        let mut functions = String::new();
        for (key, item) in &resolve.worlds[world].exports {
            let WorldItem::Interface { id, .. } = item else { continue };
            for function in resolve.interfaces[*id].functions.values() {
                functions.push_str(&self.function(&resolve, &mut data, &resolve.name_world_key(key), function));
            }
        }
        let module = self.module(&functions, data.bytes());
        let mut bytes = wat::parse_str(&module).unwrap();
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().validate(true).module(&bytes).unwrap().encode().unwrap()
    }

    fn function(&self, resolve: &Resolve, data: &mut lower::Data<'_>, interface: &str, function: &Function) -> String {
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        let params: String = signature.params.iter().map(|ty| format!(" (param {})", core_type(*ty))).collect();
        let answer = self.answers.get(&function.name).map_or(0, |answer| data.place(&function.result.unwrap(), answer));
        let prelude = self.preludes.get(&function.name).map_or("", String::as_str);
        let name = &function.name;
        format!("(func $g_{name} (export \"{interface}#{name}\"){params} (result i32) {prelude} (i32.const {answer}))\n")
    }

    fn module(&self, functions: &str, data: &[u8]) -> String {
        let mut escaped = String::with_capacity(data.len() * 3);
        for byte in data {
            write!(escaped, "\\{byte:02x}").unwrap();
        }
        let heap = (lower::BASE + data.len()).next_multiple_of(16);
        let pages = self.pages.max(u32::try_from(heap.div_ceil(1 << 16)).unwrap() + 1);
        format!(
            r#"(module
              (memory (export "memory") {pages})
              (global $heap (mut i32) (i32.const {heap}))
              (data (i32.const {base}) "{escaped}")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                (local.set $at (global.get $heap))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (block $fits
                  (br_if $fits (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
                  (br_if $fits (i32.ne (memory.grow (i32.shr_u (i32.add (local.get 3) (i32.const 65535)) (i32.const 16)))
                                       (i32.const -1)))
                  unreachable)
                (local.get $at))
              {fields}
              {functions})"#,
            base = lower::BASE,
            fields = self.fields,
        )
    }

    /// Loaded, with [`limits`].
    pub(crate) fn load(&self) -> Plugin {
        self.load_with(&limits())
    }

    /// Loaded.
    pub(crate) fn load_with(&self, limits: &Limits) -> Plugin {
        Plugin::load(engine(), &self.build(), limits).unwrap()
    }
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}

/// A context with everything that is optional left out.
pub(crate) fn context() -> wit::Context {
    wit::Context {
        connector: "ops".into(),
        now: wit::Timestamp { unix_ms: 1_780_000_000_000, offset_minutes: 480 },
        attempt: 1,
        message_id: "m1".into(),
        memo: None,
        waiting: 0,
        links: vec![],
        title: None,
        text: None,
        extra: vec![],
    }
}

/// An event as the host knows it.
pub(crate) fn host_event() -> crate::event::Event {
    use crate::event::{Event, Image, Kind, Link, Named, Person, Priority, Responder, Status};
    let person = Person { id: "1".into(), username: "ada".into(), first_name: "Ada".into(), ..Person::default() };
    Event {
        id: "e1".into(),
        kind: Kind::Created,
        incident_id: "17".into(),
        status: Status::Pending,
        priority: Some(Priority::High),
        severity: Some(2),
        summary: "Disk full".into(),
        details: "Free: 0".into(),
        alert_key: None,
        alert_source: Some(Named { id: "9".into(), name: "Zabbix".into() }),
        escalation_policy: Some(Named { id: "8".into(), name: "Ops".into() }),
        assigned_to: Some(person.clone()),
        responders: vec![Responder { person, accepted: true }],
        actor: None,
        comment: None,
        links: vec![Link { text: "graph".into(), href: "https://example.com/g".into() }],
        images: vec![Image { alt: "a".into(), src: "https://example.com/i.png".into(), href: None }],
        reported_at: "2026-06-01T10:00:00Z".parse().unwrap(),
        occurred_at: "2026-06-01T10:00:01Z".parse().unwrap(),
        incident_url: None,
        extra: vec![],
    }
}

/// The same, as a plugin sees it.
pub(crate) fn event() -> wit::Event {
    super::convert::event(&host_event(), 0, 1, &jiff::tz::TimeZone::UTC)
}

//! One instance that serves every call: what a host without isolation would pay. Not what this host does.

use incident_sink::plugin::wit;
use wasmtime::component::{Component, ComponentNamedList, Instance, Lift, Linker, Lower, TypedFunc};
use wasmtime::{Config, Engine, Store};

type Step = (Result<wit::Step, wit::Failure>,);
type Begin = TypedFunc<(&'static str, &'static [wit::Event], &'static wit::Context), Step>;
type Resume = TypedFunc<(&'static str, &'static [u8], &'static wit::Response, &'static wit::Context), Step>;
type Sign = TypedFunc<(&'static [(String, String)], &'static wit::Outline, u64), (Result<Vec<wit::Stamp>, wit::Failure>,)>;

/// An instance and its functions, looked up once.
pub(crate) struct Reused {
    store: Store<()>,
    begin: Begin,
    resume: Resume,
    sign: Sign,
}

impl Reused {
    /// With deadlines armed, as in the host.
    pub(crate) fn new(bytes: &[u8]) -> wasmtime::Result<Reused> {
        let mut config = Config::new();
        config.epoch_interruption(true).concurrency_support(false);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, bytes)?;
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1_000_000);
        let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
        let (begin, resume) = (function(&mut store, &instance, "sink", "begin")?, function(&mut store, &instance, "sink", "resume")?);
        let sign = function(&mut store, &instance, "signer", "sign")?;
        Ok(Reused { store, begin, resume, sign })
    }

    pub(crate) fn begin(&mut self, batch: &'static [wit::Event], cx: &'static wit::Context) -> wasmtime::Result<Step> {
        self.begin.call(&mut self.store, ("{}", batch, cx))
    }

    pub(crate) fn resume(
        &mut self,
        continuation: &'static [u8],
        answer: &'static wit::Response,
        cx: &'static wit::Context,
    ) -> wasmtime::Result<Step> {
        self.resume.call(&mut self.store, ("{}", continuation, answer, cx))
    }

    pub(crate) fn sign(
        &mut self,
        secrets: &'static [(String, String)],
        outline: &'static wit::Outline,
        now: u64,
    ) -> wasmtime::Result<usize> {
        let (stamps,) = self.sign.call(&mut self.store, (secrets, outline, now))?;
        Ok(stamps.map_or(0, |stamps| stamps.len()))
    }
}

fn function<P, R>(store: &mut Store<()>, instance: &Instance, interface: &str, name: &str) -> wasmtime::Result<TypedFunc<P, R>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let missing = || wasmtime::Error::msg(format!("there is no {interface}.{name}"));
    let interface = instance.get_export_index(&mut *store, None, &format!("incident-sink:plugin/{interface}@1.0.0")).ok_or_else(missing)?;
    let function = instance.get_export_index(&mut *store, Some(&interface), name).ok_or_else(missing)?;
    instance.get_typed_func(store, function)
}

//! Whether a component is a plugin: what it imports, what it exports, by name and by shape.

use semver::Version;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower};
use wasmtime::{Engine, Store};

use super::load::LoadError;
use super::sandbox::Sandbox;
use super::wit;

/// The package that the contract is.
const PACKAGE: &str = "incident-sink:plugin";
/// The version that this host was built with. Plugins of any 1.x run: a host *calls* a plugin, and what 1.0 requires is frozen.
pub(crate) const VERSION: &str = "1.0.0";

/// Where the functions of a plugin are.
pub(super) struct Exports {
    pub(super) describe: ComponentExportIndex,
    pub(super) check: ComponentExportIndex,
    pub(super) begin: ComponentExportIndex,
    pub(super) resume: ComponentExportIndex,
    pub(super) sign: ComponentExportIndex,
    pub(super) inbox: Option<Inbox>,
}

/// Where the functions of the optional interface are.
pub(super) struct Inbox {
    pub(super) verify: ComponentExportIndex,
    pub(super) read: ComponentExportIndex,
    pub(super) reply: ComponentExportIndex,
}

/// What a component says of itself.
pub(super) struct Outside {
    pub(super) world: String,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

// The signatures of the contract, as the host calls them.
pub(super) type DescribeIn = ();
pub(super) type DescribeOut = (wit::Descriptor,);
pub(super) type CheckIn<'a> = (&'a str,);
pub(super) type CheckOut = (Vec<wit::Problem>,);
pub(super) type BeginIn<'a> = (&'a str, &'a [wit::Event], &'a wit::Context);
pub(super) type ResumeIn<'a> = (&'a str, &'a [u8], &'a wit::Response, &'a wit::Context);
pub(super) type StepOut = (Result<wit::Step, wit::Failure>,);
pub(super) type SignIn<'a> = (&'a [(String, String)], &'a wit::Outline, u64);
pub(super) type SignOut = (Result<Vec<wit::Stamp>, wit::Failure>,);
pub(super) type VerifyIn<'a> = (&'a [(String, String)], &'a wit::Incoming, u64);
pub(super) type VerifyOut = (Result<(), wit::Refusal>,);
pub(super) type ReadIn<'a> = (&'a str, &'a wit::Incoming, &'a wit::Context);
pub(super) type ReadOut = (Result<wit::Received, wit::Refusal>,);
pub(super) type ReplyIn<'a> = (&'a str, &'a wit::Incoming, &'a [Result<String, String>], &'a wit::Context);
pub(super) type ReplyOut = (Result<wit::Replied, wit::Failure>,);

/// Checks the names: imports first, then exports.
pub(super) fn inspect(engine: &Engine, component: &Component) -> Result<(Outside, Exports), LoadError> {
    let outside = Outside { imports: imports(engine, component)?, ..exports(engine, component)? };
    let (sink, signer) = (interface(component, "sink")?, interface(component, "signer")?);
    let inbox = match component.get_export_index(None, full("inbox")) {
        Some(inbox) => Some(Inbox {
            verify: function(component, &inbox, "inbox", "verify")?,
            read: function(component, &inbox, "inbox", "read")?,
            reply: function(component, &inbox, "inbox", "reply")?,
        }),
        None => None,
    };
    let exports = Exports {
        describe: function(component, &sink, "sink", "describe")?,
        check: function(component, &sink, "sink", "check")?,
        begin: function(component, &sink, "sink", "begin")?,
        resume: function(component, &sink, "sink", "resume")?,
        sign: function(component, &signer, "signer", "sign")?,
        inbox,
    };
    Ok((outside, exports))
}

fn full(interface: &str) -> String {
    format!("{PACKAGE}/{interface}@{VERSION}")
}

/// `incident-sink:plugin/sink@1.0.0` → `sink`, `1.0.0`. `None` for names of other packages.
fn ours(name: &str) -> Option<(&str, Version)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
    Some((interface, Version::parse(version).ok()?))
}

/// A plugin imports the types of the contract, or nothing. A function, a resource or another package would be a way out of the sandbox.
fn imports(engine: &Engine, component: &Component) -> Result<Vec<String>, LoadError> {
    let mut names = Vec::new();
    for (name, import) in component.component_type().imports(engine) {
        let types = matches!(ours(name), Some(("types", _)));
        let ComponentItem::ComponentInstance(instance) = import.ty else { return Err(LoadError::Import(name.to_owned())) };
        if !types {
            return Err(LoadError::Import(name.to_owned()));
        }
        if let Some((item, _)) = instance.exports(engine).find(|(_, item)| !matches!(item.ty, ComponentItem::Type(_))) {
            return Err(LoadError::Import(format!("{name}#{item}")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// The exports, and the world that they make.
fn exports(engine: &Engine, component: &Component) -> Result<Outside, LoadError> {
    let exports: Vec<String> = component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect();
    let mut versions: Vec<Version> = exports.iter().filter_map(|name| ours(name)).map(|(_, version)| version).collect();
    versions.sort();
    let Some(newest) = versions.last() else { return Err(LoadError::OtherWorld(exports)) };
    let same_track = |version: &&Version| version.major == 1 && version.pre.is_empty();
    let Some(version) = versions.iter().rev().find(same_track) else { return Err(LoadError::Contract(newest.clone())) };
    let interactive = component.get_export_index(None, full("inbox")).is_some();
    let world = if interactive { "interactive-incident-sink" } else { "incident-sink" };
    Ok(Outside { world: format!("{PACKAGE}/{world}@{version}"), imports: Vec::new(), exports })
}

fn interface(component: &Component, name: &'static str) -> Result<ComponentExportIndex, LoadError> {
    component.get_export_index(None, full(name)).ok_or(LoadError::MissingInterface(name))
}

fn function(
    component: &Component,
    index: &ComponentExportIndex,
    interface: &'static str,
    name: &'static str,
) -> Result<ComponentExportIndex, LoadError> {
    component.get_export_index(Some(index), name).ok_or(LoadError::MissingFunction { interface, name })
}

impl Exports {
    /// Checks the shapes: every record and variant, which only an instance can tell.
    pub(super) fn check(&self, store: &mut Store<Sandbox>, instance: &Instance) -> Result<(), LoadError> {
        shape::<DescribeIn, DescribeOut>(store, instance, &self.describe, "describe")?;
        shape::<CheckIn, CheckOut>(store, instance, &self.check, "check")?;
        shape::<BeginIn, StepOut>(store, instance, &self.begin, "begin")?;
        shape::<ResumeIn, StepOut>(store, instance, &self.resume, "resume")?;
        shape::<SignIn, SignOut>(store, instance, &self.sign, "sign")?;
        if let Some(inbox) = &self.inbox {
            shape::<VerifyIn, VerifyOut>(store, instance, &inbox.verify, "verify")?;
            shape::<ReadIn, ReadOut>(store, instance, &inbox.read, "read")?;
            shape::<ReplyIn, ReplyOut>(store, instance, &inbox.reply, "reply")?;
        }
        Ok(())
    }
}

fn shape<P, R>(
    store: &mut Store<Sandbox>,
    instance: &Instance,
    index: &ComponentExportIndex,
    function: &'static str,
) -> Result<(), LoadError>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    match instance.get_typed_func::<P, R>(store, index) {
        Ok(_) => Ok(()),
        Err(error) => Err(LoadError::Shape { function, detail: format!("{error:#}") }),
    }
}

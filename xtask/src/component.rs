//! Makes a component of a core module, and sees that it keeps the contract's promise: it imports nothing but types.

use anyhow::{Context as _, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// What every plugin exports, without the package's version.
const EXPORTS: [&str; 2] = ["incident-sink:plugin/sink", "incident-sink:plugin/signer"];

/// Wraps a core module that carries the contract's description in a custom section.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let module = crate::names::shorten(module)?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("the module does not describe a component")?
        .encode()
        .context("the module does not fit its description")?;
    check(&component)?;
    Ok(component)
}

fn check(component: &[u8]) -> Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).context("the component cannot be read back")? else {
        bail!("the encoder made a WIT package, not a component");
    };
    let world = &resolve.worlds[world];
    for (key, item) in &world.imports {
        let only_types = match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.is_empty(),
            WorldItem::Type { .. } => true,
            WorldItem::Function(_) => false,
        };
        if !only_types {
            bail!("a plugin may import only types, but this one imports `{}`", name(&resolve, key));
        }
    }
    let exports: Vec<String> = world.exports.keys().map(|key| name(&resolve, key)).collect();
    for wanted in EXPORTS {
        if !exports.iter().any(|export| export.split('@').next() == Some(wanted)) {
            bail!("the component does not export `{wanted}`");
        }
    }
    Ok(())
}

fn name(resolve: &Resolve, key: &WorldKey) -> String {
    resolve.name_world_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_the_contract_is_no_plugin() {
        let empty = [0, b'a', b's', b'm', 1, 0, 0, 0];
        assert!(encode(&empty).is_err());
    }
}

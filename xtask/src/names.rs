//! Shortens the names of functions in a module: a path as people read it says as much after a crash as the symbol does, in half the bytes.

use anyhow::{Context as _, Result};
use rustc_demangle::demangle;
use wasm_encoder::{CustomSection, Module, NameMap, NameSection, RawSection};
use wasmparser::{KnownCustom, Name, NameSectionReader, Parser, Payload};

/// The same module with short names; other custom sections stay as they are.
pub(crate) fn shorten(module: &[u8]) -> Result<Vec<u8>> {
    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("the compiler made no module")?;
        match &payload {
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) => {
                    out.section(&shortened(&names)?);
                }
                _ => {
                    out.section(&CustomSection { name: section.name().into(), data: section.data().into() });
                }
            },
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = module.get(range).context("a section is longer than its module")?;
                    out.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(out.finish())
}

fn shortened(section: &NameSectionReader<'_>) -> Result<NameSection> {
    let mut functions = NameMap::new();
    for part in section.clone() {
        if let Name::Function(names) = part.context("the names cannot be read")? {
            for name in names {
                let name = name.context("a name cannot be read")?;
                functions.append(name.index, &short(name.name));
            }
        }
    }
    let mut out = NameSection::new();
    out.functions(&functions);
    Ok(out)
}

/// `card::Card::below` for `_ZN22incident_sink_dingtalk4card4Card5below17h…E`: no hash, no types of generics, the last three steps.
fn short(symbol: &str) -> String {
    let path = format!("{:#}", demangle(symbol));
    let mut depth = 0usize;
    let mut plain = String::new();
    for c in path.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let steps: Vec<&str> = plain.split("::").filter(|step| !step.is_empty()).collect();
    steps[steps.len().saturating_sub(3)..].join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_becomes_the_end_of_its_path() {
        assert_eq!(short("_ZN22incident_sink_dingtalk4card4Card5below17hed7a675b9445e81aE"), "card::Card::below");
        assert_eq!(short("_ZN5alloc3vec16Vec$LT$T$C$A$GT$4push17h49ee79758984153bE"), "vec::Vec::push");
        assert_eq!(short("cabi_realloc"), "cabi_realloc");
    }

    #[test]
    fn a_module_without_names_stays_as_it_is() {
        let empty = [0, b'a', b's', b'm', 1, 0, 0, 0];
        assert_eq!(shorten(&empty).unwrap(), empty);
        assert!(shorten(b"text").is_err());
    }
}

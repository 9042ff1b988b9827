//! Whole documents, from text to section.

mod broken;
mod fill_in;
mod read_back;
mod sections;
mod size;

use super::{ConfigErrors, Document, Format};

/// Parses with an environment in which only `TOKEN` is set.
fn parse(text: &str, format: Format) -> Result<Document, ConfigErrors> {
    let file = match format {
        Format::Toml => "c.toml",
        Format::Yaml => "c.yaml",
        Format::Json => "c.json",
    };
    Document::parse(text, format, file, ".".as_ref(), &|name| (name == "TOKEN").then(|| "hunter2hunter2".to_owned()))
}

fn toml(text: &str) -> Document {
    parse(text, Format::Toml).unwrap_or_else(|errors| panic!("{errors}"))
}

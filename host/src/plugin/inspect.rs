//! What an operator sees of a plugin before trusting it: `plugin inspect`.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::call::Plugin;
use super::config::read_capped;
use super::engine::Engine;
use super::limits::Limits;
use super::load::LoadError;
use super::signature::{self, PublicKey, SignatureError};
use super::wit;

/// Whether a file is signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignatureState {
    /// No signature was found.
    Unsigned,
    /// There is one, but no key to check it with.
    Unchecked,
    /// Signed by this key.
    Trusted {
        /// As in `trusted_keys`.
        key: String,
    },
    /// Signed, but not validly by a trusted key.
    Untrusted {
        /// Why.
        error: String,
    },
}

/// A plugin's outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// What a connector's `type` says.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The world of the contract.
    pub world: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Bytes.
    pub size: usize,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// How fast it may send; `None` for no limit.
    pub pace: Option<PaceView>,
    /// The most events in one message.
    pub max_batch: u32,
    /// The largest body in bytes.
    pub max_body: usize,
    /// Members of a connector's config that are secret, as JSON Pointers.
    pub secrets: Vec<String>,
    /// JSON Schema of its part of a connector's config.
    pub config_schema: Value,
    /// Whether it is signed.
    pub signature: SignatureState,
}

/// A pace, for people and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PaceView {
    /// Messages in any window.
    pub messages: u32,
    /// Milliseconds.
    pub window_ms: u64,
    /// Milliseconds.
    pub penalty_ms: u64,
}

impl From<wit::Pace> for PaceView {
    fn from(pace: wit::Pace) -> Self {
        PaceView { messages: pace.messages, window_ms: pace.window_ms, penalty_ms: pace.penalty_ms }
    }
}

impl SignatureState {
    /// Of a file with these bytes: looks for `FILE.sig` beside it.
    pub fn of(file: &Path, bytes: &[u8], keys: &[PublicKey]) -> SignatureState {
        let verified = match signature::read(file) {
            Err(SignatureError::Missing { .. }) => return SignatureState::Unsigned,
            Ok(_) if keys.is_empty() => return SignatureState::Unchecked,
            Ok(text) => signature::verify(keys, bytes, &text).map(PublicKey::to_base64),
            Err(error) => Err(error),
        };
        match verified {
            Ok(key) => SignatureState::Trusted { key },
            Err(error) => SignatureState::Untrusted { error: error.to_string() },
        }
    }
}

impl Inspection {
    /// Of a file, that is loaded for it but not put to use. Blocks.
    pub fn read(engine: &Engine, file: &Path, limits: &Limits, keys: &[PublicKey]) -> Result<Inspection, LoadError> {
        let bytes = read_capped(file, limits.component)?;
        let plugin = Plugin::load(engine, &bytes, limits)?;
        Ok(Inspection::of(&plugin, SignatureState::of(file, &bytes, keys)))
    }

    /// Of a loaded plugin.
    pub fn of(plugin: &Plugin, signature: SignatureState) -> Inspection {
        let descriptor = plugin.descriptor();
        Inspection {
            name: descriptor.name.clone(),
            version: descriptor.version.to_string(),
            world: plugin.world().to_owned(),
            imports: plugin.imports().to_vec(),
            exports: plugin.exports().to_vec(),
            size: plugin.size(),
            sha256: plugin.digest().to_owned(),
            pace: descriptor.pace.map(PaceView::from),
            max_batch: descriptor.max_batch,
            max_body: plugin.max_body(),
            secrets: descriptor.secrets.clone(),
            config_schema: descriptor.config_schema.clone(),
            signature,
        }
    }
}

impl fmt::Display for SignatureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignatureState::Unsigned => f.write_str("none"),
            SignatureState::Unchecked => f.write_str("present, not checked (no trusted_keys)"),
            SignatureState::Trusted { key } => write!(f, "valid, by {key}"),
            SignatureState::Untrusted { error } => write!(f, "NOT VALID: {error}"),
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        writeln!(f, "{} {}", self.name, self.version)?;
        writeln!(f, "  world      {}", self.world)?;
        // A component that imports a function is not loaded at all, so there are only types here.
        writeln!(f, "  imports    none (types only: {})", list(&self.imports))?;
        writeln!(f, "  exports    {}", list(&self.exports))?;
        writeln!(f, "  size       {} bytes", self.size)?;
        writeln!(f, "  sha256     {}", self.sha256)?;
        writeln!(f, "  signature  {}", self.signature)?;
        match self.pace {
            Some(pace) => writeln!(
                f,
                "  pace       {} messages in any {} s; left alone for {} s when overrun",
                pace.messages,
                pace.window_ms as f64 / 1000.0,
                pace.penalty_ms as f64 / 1000.0
            )?,
            None => writeln!(f, "  pace       no limit")?,
        }
        writeln!(f, "  digests    up to {} events in a message of {} bytes", self.max_batch, self.max_body)?;
        writeln!(f, "  secrets    {}", list(&self.secrets))?;
        writeln!(f, "  config     {:#}", self.config_schema)
    }
}

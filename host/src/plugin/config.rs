//! `[plugins.NAME]`: where a plugin is and what it may.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::call::Plugin;
use super::engine::Engine;
use super::limits::Limits;
use super::load::{self, LoadError};
use super::signature;
use super::units::Size;

/// One plugin in the config.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// The component; relative to the config file.
    pub path: PathBuf,
    /// The SHA-256 that the file must have, in hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// URLs that the plugin may name itself, as prefixes. Requests to the connector's own URL need none.
    #[serde(default, deserialize_with = "prefixes")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<Url>,
    /// What one call may use.
    #[serde(default)]
    pub limits: Limits,
    /// Public keys (ed25519, PEM or base64): where there are any, the file must be signed by one of them, in `FILE.sig`.
    #[serde(default)]
    pub trusted_keys: Vec<String>,
    /// Go back to the previous version by itself when a new one fails; by default on its first 20 messages.
    #[serde(default)]
    pub canary: Canary,
}

/// How long a new version is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The first messages of a new version that are watched; 0 watches none.
    pub messages: u32,
}

impl Default for Canary {
    fn default() -> Self {
        Canary { messages: 20 }
    }
}

/// A config that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {text}")]
pub struct PluginConfigError {
    /// The key within `[plugins.NAME]`.
    pub key: String,
    /// What is wrong.
    pub text: String,
}

impl PluginConfig {
    /// A plugin at a path, with everything else as by default.
    pub fn at(path: impl Into<PathBuf>) -> PluginConfig {
        let limits = Limits::default();
        PluginConfig { path: path.into(), sha256: None, allow: Vec::new(), limits, trusted_keys: Vec::new(), canary: Canary::default() }
    }

    /// Everything wrong with it that can be known without touching a file.
    pub fn validate(&self) -> Vec<PluginConfigError> {
        let mut errors = Vec::new();
        let mut wrong = |key: &str, text: String| errors.push(PluginConfigError { key: key.to_owned(), text });
        if self.path.as_os_str().is_empty() {
            wrong("path", "expected the path of a component".to_owned());
        }
        if self.sha256.as_ref().is_some_and(|pin| pin.len() != 64 || !pin.bytes().all(|b| b.is_ascii_hexdigit())) {
            wrong("sha256", "expected 64 hexadecimal digits, as `sha256sum` prints them".to_owned());
        }
        if let Err(error) = self.limits.validate() {
            wrong(&format!("limits.{}", error.key), error.to_string());
        }
        if let Err(error) = signature::parse_keys(&self.trusted_keys) {
            wrong("trusted_keys", error.to_string());
        }
        errors
    }

    /// Reads the file, checks its digest and signature, and loads it as `name`. Blocks.
    pub fn load(&self, engine: &Engine, name: &str, base: &Path) -> Result<Plugin, LoadError> {
        let path = base.join(&self.path);
        let bytes = read_capped(&path, self.limits.component)?;
        self.check_origin(&bytes, || signature::read(&path))?;
        Plugin::load_as(engine, &bytes, &self.limits, name)
    }

    /// As [`PluginConfig::load`], for bytes that did not come from the configured file: an upload. `signature` is the content of its
    /// `FILE.sig`, where it has one. A digest pin holds for uploads too.
    pub fn load_bytes(&self, engine: &Engine, name: &str, bytes: &[u8], signature: Option<&str>) -> Result<Plugin, LoadError> {
        self.check_upload(bytes, signature)?;
        Plugin::load_as(engine, bytes, &self.limits, name)
    }

    /// The pin and the signature of bytes that did not come from the configured file.
    pub fn check_upload(&self, bytes: &[u8], signature: Option<&str>) -> Result<(), LoadError> {
        self.check_origin(bytes, || {
            signature.map(str::to_owned).ok_or_else(|| signature::SignatureError::Missing {
                path: signature::path_of(&self.path),
                source: io::ErrorKind::NotFound.into(),
            })
        })
    }

    /// The pin and the signature.
    fn check_origin(&self, bytes: &[u8], signature: impl FnOnce() -> Result<String, signature::SignatureError>) -> Result<(), LoadError> {
        if let Some(pin) = &self.sha256 {
            let found = load::digest(bytes);
            if !found.eq_ignore_ascii_case(pin) {
                return Err(LoadError::Digest { expected: pin.clone(), found });
            }
        }
        if !self.trusted_keys.is_empty() {
            signature::verify(&signature::parse_keys(&self.trusted_keys)?, bytes, &signature()?)?;
        }
        Ok(())
    }
}

/// Reads a file that has at most so many bytes.
pub(crate) fn read_capped(path: &Path, limit: Size) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    // The size is not believed: the file may grow while it is read, or be a device.
    let read = file.take(limit.0 as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if read > limit.0 {
        return Err(LoadError::TooLarge { size: size.max(read as u64), limit });
    }
    Ok(bytes)
}

/// Prefixes that can be compared part by part: a scheme, a host, a path, nothing else.
fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    let urls = Vec::<Url>::deserialize(deserializer)?;
    let plain = |url: &&Url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    match urls.iter().position(|url| !plain(&url)) {
        // Not shown: what makes it wrong may be a credential.
        Some(index) => Err(serde::de::Error::custom(format!(
            "allow[{index}] must be an http or https URL without user, query and fragment, such as \"https://api.example.com/v1/\""
        ))),
        None => Ok(urls),
    }
}

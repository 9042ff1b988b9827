//! `plugin keygen`, `sign` and `verify`: who made a component.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;
use zeroize::Zeroizing;

use super::plugin::read;
use super::{Failure, output};
use crate::plugin::signature;

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// Makes a key pair. The private key is its owner's alone, and overwrites nothing.
pub(super) fn keygen(file: &Path, json: bool) -> Result<(), Failure> {
    let pair = signature::generate().map_err(failed)?;
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    write_new(file, pair.private_pem.as_bytes(), 0o600)?;
    write_new(Path::new(&public), pair.public_pem.as_bytes(), 0o644)?;
    let key = pair.public.to_base64();
    let told = json!({ "private": file, "public": Path::new(&public), "trusted_key": key });
    output::say_either(json, &told, || format!("trusted_keys = [\"{key}\"]"))
}

fn write_new(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(file).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| Failure::Failed(format!("cannot write {}: {error}", file.display())))
}

/// Writes `FILE.sig`.
pub(super) fn sign(key: &Path, file: &Path, json: bool) -> Result<(), Failure> {
    let pem = Zeroizing::new(read(key)?);
    let pem = std::str::from_utf8(&pem).map_err(|_| failed(signature::SignatureError::PrivateKey))?;
    let text = signature::sign(pem, &read(file)?).map_err(failed)?;
    let path = signature::path_of(file);
    std::fs::write(&path, text).map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
    output::say_either(json, &json!({ "signature": path }), || format!("wrote {}", path.display()))
}

/// Checks `FILE.sig`.
pub(super) fn verify(keys: &[String], file: &Path, json: bool) -> Result<(), Failure> {
    let text = |key: &String| match std::fs::read_to_string(key) {
        Ok(pem) => pem,
        // No file of that name: the key itself.
        Err(_) => key.clone(),
    };
    let keys = signature::parse_keys(&keys.iter().map(text).collect::<Vec<_>>())
        .map_err(|_| Failure::Config("a key is neither a file with an ed25519 public key in PEM nor the base64 of one".to_owned()))?;
    let signature = signature::read(file).map_err(|error| match error {
        signature::SignatureError::Missing { path, source } => Failure::Failed(format!("cannot read {}: {source}", path.display()))
            .next("`incident-sink plugin sign --key KEYFILE FILE` writes it"),
        error => failed(error),
    })?;
    let key = signature::verify(&keys, &read(file)?, &signature).map_err(failed)?;
    let key = key.to_base64();
    output::say_either(json, &json!({ "signed_by": key }), || format!("signed by {key}"))
}

//! Who made a plugin: detached ed25519 signatures, `FILE.sig` beside `FILE`.
//!
//! The signature is over the file's bytes as they are, so `openssl pkeyutl -sign -rawin` makes the same one. In the file it is base64; keys
//! are PEM (PKCS #8, SPKI), public ones also the base64 of their 32 bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::{Zeroize, Zeroizing};

/// What is read of a signature file.
const FILE: u64 = 4096;

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("the plugin must be signed, since `trusted_keys` is set, but {} cannot be read: {source}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no signature.
    #[error("the signature is not the base64 of 64 bytes")]
    Malformed,
    /// It was made with another key, or of another file.
    #[error("the signature was not made by a trusted key, or the file was changed after it was signed")]
    Untrusted,
    /// A key in the config is none.
    #[error("trusted_keys[{0}] is not an ed25519 public key, in PEM or as the base64 of its 32 bytes")]
    PublicKey(usize),
    /// A private key is none.
    #[error("the key is not an ed25519 private key in PEM (PKCS #8)")]
    PrivateKey,
    /// No randomness for a new key.
    #[error("the system has no random numbers: {0}")]
    Random(String),
}

/// A public key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads PEM or base64; `None` where it is neither, or a key that no honest signer has.
    pub fn parse(text: &str) -> Option<PublicKey> {
        let text = text.trim();
        let key = if text.starts_with("-----") {
            VerifyingKey::from_public_key_pem(text).ok()?
        } else {
            VerifyingKey::from_bytes(&STANDARD.decode(text).ok()?.try_into().ok()?).ok()?
        };
        (!key.is_weak()).then_some(PublicKey(key))
    }

    /// The base64 of its 32 bytes, for `trusted_keys`.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }
}

/// Reads the keys of a config.
pub fn parse_keys(texts: &[String]) -> Result<Vec<PublicKey>, SignatureError> {
    texts.iter().enumerate().map(|(index, text)| PublicKey::parse(text).ok_or(SignatureError::PublicKey(index))).collect()
}

/// A new key pair.
pub struct KeyPair {
    /// PEM, PKCS #8.
    pub private_pem: Zeroizing<String>,
    /// PEM, SPKI.
    pub public_pem: String,
    /// For `trusted_keys`.
    pub public: PublicKey,
}

/// Makes a key pair with the system's randomness.
pub fn generate() -> Result<KeyPair, SignatureError> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| SignatureError::Random(error.to_string()))?;
    let key = SigningKey::from_bytes(&seed);
    seed.zeroize();
    let private_pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| SignatureError::PrivateKey)?;
    let public_pem = key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| SignatureError::PrivateKey)?;
    Ok(KeyPair { private_pem, public_pem, public: PublicKey(key.verifying_key()) })
}

/// The content of `FILE.sig`: base64 and a line break.
pub fn sign(private_pem: &str, bytes: &[u8]) -> Result<String, SignatureError> {
    let key = SigningKey::from_pkcs8_pem(private_pem.trim()).map_err(|_| SignatureError::PrivateKey)?;
    Ok(format!("{}\n", STANDARD.encode(key.sign(bytes).to_bytes())))
}

/// Checks a signature, the content of `FILE.sig`, against each key; answers the one that made it.
pub fn verify<'k>(keys: &'k [PublicKey], bytes: &[u8], signature: &str) -> Result<&'k PublicKey, SignatureError> {
    let raw: [u8; 64] = STANDARD.decode(signature.trim()).ok().and_then(|raw| raw.try_into().ok()).ok_or(SignatureError::Malformed)?;
    let signature = Signature::from_bytes(&raw);
    keys.iter().find(|key| key.0.verify_strict(bytes, &signature).is_ok()).ok_or(SignatureError::Untrusted)
}

/// Where the signature of a file is.
pub fn path_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Reads the signature of a file.
pub fn read(file: &Path) -> Result<String, SignatureError> {
    let path = path_of(file);
    let mut text = String::new();
    let opened = File::open(&path).and_then(|file| file.take(FILE).read_to_string(&mut text));
    match opened {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(SignatureError::Malformed),
        Err(source) => Err(SignatureError::Missing { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_file_is_trusted_and_a_changed_one_is_not() {
        let pair = generate().unwrap();
        let other = generate().unwrap();
        let signature = sign(&pair.private_pem, b"plugin").unwrap();
        let keys = [other.public.clone(), pair.public.clone()];
        assert_eq!(verify(&keys, b"plugin", &signature).unwrap(), &pair.public);
        assert!(matches!(verify(&keys, b"plugim", &signature), Err(SignatureError::Untrusted)));
        assert!(matches!(verify(&[other.public], b"plugin", &signature), Err(SignatureError::Untrusted)));
        assert!(matches!(verify(&keys, b"plugin", "AAAA"), Err(SignatureError::Malformed)));
    }

    #[test]
    fn public_keys_are_read_as_pem_and_as_base64() {
        let pair = generate().unwrap();
        assert_eq!(PublicKey::parse(&pair.public_pem), Some(pair.public.clone()));
        assert_eq!(PublicKey::parse(&pair.public.to_base64()), Some(pair.public.clone()));
        assert!(matches!(parse_keys(&[pair.public.to_base64(), "x".into()]), Err(SignatureError::PublicKey(1))));
        // The neutral element: it "verifies" anything.
        assert_eq!(PublicKey::parse(&STANDARD.encode([1_u8].iter().chain(&[0; 31]).copied().collect::<Vec<u8>>())), None);
    }

    #[test]
    fn the_first_vector_of_rfc_8032_verifies() {
        let key = PublicKey::parse("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
        let signature = "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw==";
        assert!(verify(std::slice::from_ref(&key), b"", signature).is_ok());
    }
}

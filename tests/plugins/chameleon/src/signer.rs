//! The half that sees secrets.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::bindings::exports::incident_sink::plugin::signer::{Failure, Guest, Outline, Place, Stamp};
use crate::marker::Behaviour;
use crate::{Chameleon, havoc, memory};

impl Guest for Chameleon {
    fn sign(secrets: Vec<(String, String)>, _request: Outline, now_ms: u64) -> Result<Vec<Stamp>, Failure> {
        memory::count();
        let behaviour = Behaviour::get();
        havoc::at(behaviour.name(), "sign");
        let secret = secrets.first().map_or("", |(_, value)| value.as_str());
        let mut stamps = Vec::new();
        stamps.push(stamp(Place::Query, "sign", &digest(secret, now_ms)));
        match behaviour.name() {
            "secret-to-stamp" => {
                stamps.push(stamp(Place::Header, "x-leak", secret));
                stamps.push(stamp(Place::BodyField, "leak", secret));
            }
            "secret-in-static" | "secret-to-continuation" => memory::keep(secret),
            "secret-to-memo" => {
                memory::keep(secret);
                stamps.push(stamp(Place::Header, "x-leak", secret));
                stamps.push(stamp(Place::Query, "leak", secret));
            }
            "secret-to-name" => stamps.push(stamp(Place::Query, secret, "x")),
            "secret-to-error" => return Err(Failure { code: secret.to_string(), text: format!("The secret is {secret}.") }),
            "secret-to-rule" => stamps.push(stamp(Place::Header, secret, "a line\r\nand another")),
            "stamp-token" => stamps.push(stamp(Place::Query, "access_token", secret)),
            "many-stamps" => stamps.extend((0..10_000).map(|n| stamp(Place::Query, &format!("stamp-{n}"), "x"))),
            "stamp-host-header" => stamps.push(stamp(Place::Header, "host", "evil.example")),
            "stamp-body-overwrite" => stamps.push(stamp(Place::BodyField, "summary", "overwritten")),
            "sign-fails" => return Err(Failure { code: "sign".to_string(), text: "The secret has the wrong form.".to_string() }),
            _ => {}
        }
        Ok(stamps)
    }
}

fn stamp(place: Place, name: &str, value: &str) -> Stamp {
    Stamp { place, name: name.to_string(), value: value.to_string() }
}

/// FNV-1a: enough to see that a signature depends on the secret and the time, and gives neither away.
fn digest(secret: &str, now_ms: u64) -> String {
    let bytes = secret.bytes().chain(now_ms.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

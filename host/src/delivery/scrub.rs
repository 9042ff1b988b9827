//! Takes out of a receiver's answer what a signature put into the request. Pure.
//!
//! A receiver may repeat what it was sent. Then the half of a plugin that reads answers would see what only the half that signs may know, and
//! could keep it as a memo for a message to anywhere.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::http::Answer;
use super::request::Stamp;

/// Shorter values are found everywhere by chance, and say little.
const LEAST: usize = 6;

/// What may not come back.
#[derive(Default)]
pub(super) struct Scrub(Vec<Zeroizing<Vec<u8>>>);

impl Scrub {
    /// The secrets that were signed with, and what the signature consists of.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>, stamps: &'a [Stamp]) -> Scrub {
        let mut needles = Vec::new();
        for value in secrets.chain(stamps.iter().map(|stamp| stamp.value.as_str())).filter(|value| value.len() >= LEAST) {
            // As it is, as a part of a URL, as JSON writes it, and as JSON may write it.
            let json = serde_json::Value::from(value).to_string();
            let json = json[1..json.len() - 1].to_owned();
            let encoded = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            for form in [value.to_owned(), encoded, json.replace('/', "\\/"), json] {
                let form = Zeroizing::new(form.into_bytes());
                if !needles.contains(&form) {
                    needles.push(form);
                }
            }
        }
        // One value may be part of another.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Scrub(needles)
    }

    /// Overwrites every one of them. Lengths stay; a digit becomes a 1, so that a number in JSON is still one.
    pub(super) fn clean(&self, answer: &mut Answer) {
        for (_, value) in &mut answer.headers {
            let mut bytes = std::mem::take(value).into_bytes();
            self.overwrite(&mut bytes);
            *value = String::from_utf8(bytes).unwrap_or_default();
        }
        self.overwrite(&mut answer.body);
    }

    fn overwrite(&self, text: &mut [u8]) {
        for needle in &self.0 {
            let mut from = 0;
            while let Some(at) = text[from..].windows(needle.len()).position(|window| window == needle.as_slice()) {
                let found = &mut text[from + at..from + at + needle.len()];
                found.iter_mut().for_each(|byte| *byte = if byte.is_ascii_digit() { b'1' } else { b'*' });
                from += at + needle.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::Place;
    use super::*;

    fn scrubbed(secret: &str, stamp: &str, body: &str) -> String {
        let stamps = [Stamp { place: Place::Query, name: "sign".into(), value: stamp.into() }];
        let mut answer = Answer { status: 200, headers: vec![("x-echo".into(), body.into())], body: body.into() };
        Scrub::new([secret].into_iter(), &stamps).clean(&mut answer);
        assert_eq!(answer.headers[0].1.as_bytes(), answer.body);
        String::from_utf8(answer.body).unwrap()
    }

    #[test]
    fn no_form_of_a_secret_or_of_a_stamp_comes_back() {
        let echo = r#"{"a":"SEC/1+2=","b":"SEC%2F1%2B2%3D","c":"SEC\/1+2=","d":1780000000000,"sign":"c2lnbmF0dXJl"}"#;
        let text = scrubbed("SEC/1+2=", "1780000000000", echo);
        assert_eq!(text, r#"{"a":"****1*1*","b":"****1*1*1*1*1*","c":"*****1*1*","d":1111111111111,"sign":"c2lnbmF0dXJl"}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert!(!scrubbed("hush-hush", "c2lnbmF0dXJl", echo).contains("c2lnbmF0dXJl"));
    }

    #[test]
    fn an_answer_that_repeats_nothing_stays_as_it_is() {
        let text = r#"{"errcode":0,"errmsg":"ok"}"#;
        assert_eq!(scrubbed("ok", "0", text), text);
        assert_eq!(scrubbed("SEC0123456789", "c2lnbmF0dXJl", text), text);
    }

    proptest! {
        #[test]
        fn an_echo_anywhere_is_found(secret in "[ -~]{6,40}", before in "[ -~]{0,40}", after in "[ -~]{0,40}") {
            let text = scrubbed(&secret, "", &format!("{before}{secret}{after}"));
            prop_assert!(!text.contains(&secret) || secret.bytes().all(|byte| byte == b'*' || byte == b'1'));
        }
    }
}

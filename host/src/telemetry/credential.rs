//! Finds credentials by what stands around them, whoever put them there.

use super::redact::MASK;

/// Parameters whose values are credentials, wherever they come from.
const PARAMETERS: [&str; 8] = ["access_token", "sign", "session", "token", "secret", "password", "api_key", "integration_key"];

/// Before the signed part of a link to respond, which is good for whoever has it.
const RESPOND: &str = "/respond/";
/// Shorter ones are none of ours.
const SHORTEST_TOKEN: usize = 60;

/// A credential by what stands around it: how many bytes after `at` it begins, and its length.
pub(super) fn credential(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    if rest.starts_with("://") {
        return userinfo(rest);
    }
    if let Some(token) = rest.strip_prefix(RESPOND) {
        return link_token(token);
    }
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) || goes_on(text.get(..at)?) {
        return None;
    }
    let (encoded, value) = PARAMETERS.iter().find_map(|name| parameter(rest, name))?;
    let (value, length) = match value.strip_prefix('"') {
        // A field of a log line, quoted.
        Some(value) => (value, quoted(value)),
        None => bare(value.strip_prefix("\\\"").unwrap_or(value), encoded),
    };
    let masked = value.get(..length) == Some(MASK);
    (length > 0 && !masked).then(|| (rest.len() - value.len(), length))
}

/// Whether a word that follows is the rest of a longer one. An encoded `?` or `&` before it ends in letters and digits too.
fn goes_on(before: &str) -> bool {
    let encoded = before.len().checked_sub(3).and_then(|at| before.get(at..)).is_some_and(|last| last.starts_with('%'));
    !encoded && before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// What stands behind `name=`; whether the `=` is an encoded one.
fn parameter<'t>(text: &'t str, name: &str) -> Option<(bool, &'t str)> {
    let (begin, value) = text.split_at_checked(name.len())?;
    let value = begin.eq_ignore_ascii_case(name).then_some(value)?;
    let encoded = || value.strip_prefix("%3D").or_else(|| value.strip_prefix("%3d"));
    value.strip_prefix('=').map(|value| (false, value)).or_else(|| Some((true, encoded()?)))
}

/// How long a text is that ends before a quote which no backslash stands before.
fn quoted(value: &str) -> usize {
    let mut escaped = false;
    let end = value.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends || c == '\n'
    });
    end.unwrap_or(value.len())
}

/// A value in an address or a sentence, and its length: "sent to …/send?access_token=abc." ends with the sentence's period, not the
/// token's. In an encoded address the next parameter begins with `%26`.
fn bare(value: &str, encoded: bool) -> (&str, usize) {
    let end = value.find(|c: char| c.is_whitespace() || c.is_control() || "&#\"'<>\\)]},;".contains(c)).unwrap_or(value.len());
    let value_only = value.get(..end).unwrap_or_default();
    let next = if encoded { value_only.find("%26") } else { None };
    (value, value_only.get(..next.unwrap_or(end)).unwrap_or_default().trim_end_matches('.').len())
}

/// The signed part of a link, from the slash before it.
fn link_token(token: &str) -> Option<(usize, usize)> {
    let end = token.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(token.len());
    (end >= SHORTEST_TOKEN).then_some((RESPOND.len(), end))
}

/// `://user:password@`: the part between the slashes and the last `@` before the path.
fn userinfo(rest: &str) -> Option<(usize, usize)> {
    let after = rest.get(3..)?;
    let end = after.find(|c: char| c.is_whitespace() || "/?#\"'<>\\".contains(c)).unwrap_or(after.len());
    let length = after.get(..end)?.rfind('@')?;
    (length > 0).then_some((3, length))
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Redactor;

    #[test]
    fn credentials_are_known_by_what_stands_around_them() {
        let table = [
            (
                "https://x.example/send?access_token=abc&timestamp=1&sign=a%2Bb%3D",
                "https://x.example/send?access_token=…&timestamp=1&sign=…",
            ),
            ("session=abc, done", "session=…, done"),
            ("Access_Token=abc.", "Access_Token=…."),
            ("design=blue", "design=blue"),
            ("re%3Faccess_token%3Dabc", "re%3Faccess_token%3D…"),
            ("?access_token%3Dabc%26n%3D1", "?access_token%3D…%26n%3D1"),
            ("token=\"abc\" x", "token=\"…\" x"),
            ("token=\"a \\\"b c\" x", "token=\"…\" x"),
            ("{\"a\":\"token=\\\"abc\\\" x\"}", "{\"a\":\"token=\\\"…\\\" x\"}"),
            ("postgres://me:p@ss@db.example/x?sslmode=off", "postgres://…@db.example/x?sslmode=off"),
            ("https://x.example/@me", "https://x.example/@me"),
            ("sign=", "sign="),
            ("GET /respond/AQAAAAAALYdlAAABn0JcVEBvcHPxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-_x?r=1 ends", "GET /respond/…?r=1 ends"),
            ("/respond/later", "/respond/later"),
            ("中文 sign=é中 中文", "中文 sign=… 中文"),
        ];
        for (text, expected) in table {
            assert_eq!(Redactor::default().redact(text), expected);
        }
    }
}

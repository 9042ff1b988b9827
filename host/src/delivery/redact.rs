//! URLs as people may see them. A URL to deliver to is a credential.

use url::Url;

/// A URL as people may see it: values and long names of the query, the user, the fragment and long path
/// segments (they may be tokens) are left out.
///
/// ```
/// use incident_sink::delivery::redact::redact_url;
/// assert_eq!(redact_url("https://me:pw@chat.example/send?token=abc&x=1"), "https://…@chat.example/send?token=…&x=…");
/// assert_eq!(redact_url("no url: abc"), "(not a URL)");
/// ```
pub fn redact_url(url: &str) -> String {
    Url::parse(url).ok().filter(|url| url.has_host()).map_or_else(|| "(not a URL)".to_owned(), |url| redact_parsed(&url))
}

pub(super) fn redact_parsed(url: &Url) -> String {
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "…@" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let segment = |text: &str| if text.len() > 20 { "…".to_owned() } else { text.to_owned() };
    let path: Vec<String> = url.path().split('/').map(segment).collect();
    let mut text = format!("{}://{user}{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), path.join("/"));
    for (index, pair) in url.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if name.len() <= 20 => text.extend([name, "=…"]),
            Some(_) => text.push_str("…=…"),
            // A bare word may be the token itself.
            None => text.push('…'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_that_may_be_a_token_is_shown() {
        assert_eq!(redact_url("https://h:1/0123456789abcdef01234567/x?tokenonly"), "https://h:1/…/x?…");
        assert_eq!(redact_url("https://u:p@h/a/b?k=v&0123456789abcdef01234567=x#f"), "https://…@h/a/b?k=…&…=…");
        assert_eq!(redact_url("mailto:hush@example.com"), "(not a URL)");
    }
}

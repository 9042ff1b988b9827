//! The pages behind the links, as HTML that needs no script and nothing from elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use super::shared::Seen;
use super::words::Words;
use crate::delivery::links::is_web;
use crate::event::Status;
use crate::outbox::book::Verb;

const STYLE: &str = ":root{color-scheme:light dark;--line:#d5dae1;--soft:#667085;--back:#f4f5f7;--card:#fff;--text:#1d2433}\
@media(prefers-color-scheme:dark){:root{--line:#3a4150;--soft:#a3adbd;--back:#14171c;--card:#1e232b;--text:#edf0f5}}\
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--text);\
font:17px/1.5 system-ui,-apple-system,'PingFang SC','Microsoft YaHei',sans-serif}\
main{max-width:34rem;margin:0 auto;padding:1.25rem;background:var(--card);min-height:100vh}\
h1{font-size:1.25rem;line-height:1.35;margin:.75rem 0 .25rem;overflow-wrap:anywhere}p{margin:.5rem 0;overflow-wrap:anywhere}\
.soft{color:var(--soft);font-size:.9rem}.state{display:inline-block;padding:.1rem .7rem;border-radius:1rem;color:#fff;background:#667085;\
font-size:.9rem}.pending{background:#c4320a}.accepted{background:#1570cd}.resolved{background:#067647}\
.note{border-left:.25rem solid #1570cd;padding-left:.75rem;margin:1rem 0}.bad{border-color:#c4320a}\
label{display:block;margin:1rem 0 .25rem}input,textarea{width:100%;padding:.7rem;font:inherit;color:inherit;background:var(--back);\
border:1px solid var(--line);border-radius:.5rem}button,.button{display:block;width:100%;margin:1.25rem 0 0;padding:.85rem;font:inherit;\
font-weight:600;text-align:center;text-decoration:none;color:#fff;background:#1570cd;border:0;border-radius:.5rem}\
.plain{color:inherit;background:transparent;border:1px solid var(--line)}";

/// Nothing may be loaded or run; forms go to this server only; no page may frame it.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
});

/// The longest name.
pub(super) const MAX_NAME: usize = 64;
/// The longest comment, in characters.
pub(super) const MAX_TEXT: usize = 2_000;

/// What a form shows when it comes back.
#[derive(Debug, Default)]
pub(super) struct Form<'a> {
    pub(super) token: &'a str,
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// What a page is about besides the incident.
#[derive(Debug)]
pub(super) enum Say<'a> {
    /// Asks for confirmation; with what was missing.
    Confirm { verb: Verb, form: Form<'a>, missing: Option<&'a str> },
    /// Written down, not done yet; with who asked for it, if it was somebody else.
    Going { other: Option<&'a str> },
    /// Done by the reader.
    Done(Verb),
    /// Done by somebody else by the same link, which works once.
    Used { verb: Verb, who: &'a str },
    /// Given up; it can be asked for again.
    Failed { why: &'a str, verb: Verb, form: Form<'a> },
    /// Nothing is left to do.
    Already,
    /// Too late.
    Expired,
    /// Not ours.
    Forged,
    /// Any other trouble, in a sentence.
    Trouble(&'a str),
}

/// A page about an incident, or about none that may be named.
pub(super) fn render(words: &Words, incident: Option<(u64, &str, &Seen)>, say: &Say<'_>) -> String {
    let mut html = String::with_capacity(4096);
    let refresh = if matches!(say, Say::Going { other: None }) { "<meta http-equiv=\"refresh\" content=\"3\">" } else { "" };
    let title = incident.map_or(words.incident.to_owned(), |(id, ..)| format!("{} {id}", words.incident));
    // Writing into a string does not fail.
    let _ = write!(
        html,
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex,nofollow\">{refresh}<title>{}</title><style>{STYLE}</style></head><body><main>",
        words.code,
        escape(&title),
    );
    if let Some((id, connector, seen)) = incident {
        head(&mut html, words, id, connector, seen);
    }
    body(&mut html, words, incident.map(|(.., seen)| seen), say);
    if let Some(url) = incident.and_then(|(.., seen)| seen.url.as_deref()).filter(|url| is_web(url)) {
        let _ = write!(html, "<a class=\"button plain\" rel=\"noreferrer\" href=\"{}\">{}</a>", escape(url), words.open);
    }
    html.push_str("</main></body></html>\n");
    html
}

fn head(html: &mut String, words: &Words, id: u64, connector: &str, seen: &Seen) {
    let class = match &seen.status {
        Some(Status::Pending) => " pending",
        Some(Status::Accepted) => " accepted",
        Some(Status::Resolved) => " resolved",
        _ => "",
    };
    let _ = write!(html, "<span class=\"state{class}\">{}</span>", words.status(seen.status.as_ref()));
    let _ = write!(html, "<h1>{}</h1><p class=\"soft\">{} {id} · {}</p>", escape(&seen.summary), words.incident, escape(connector));
    if !seen.responders.is_empty() {
        let _ = write!(html, "<p class=\"soft\">{} {}</p>", words.by, escape(&seen.responders.join(", ")));
    }
    if !seen.live {
        let _ = write!(html, "<p class=\"soft\">{}</p>", words.last_known);
    }
}

fn body(html: &mut String, words: &Words, seen: Option<&Seen>, say: &Say<'_>) {
    match say {
        Say::Confirm { verb, form, missing } => {
            if let Some(missing) = missing {
                note(html, missing, true);
            }
            write_form(html, words, *verb, form, words.verb(*verb));
        }
        Say::Going { other } => {
            match other {
                Some(who) => note(html, &format!("{} {who}", words.in_progress_by), false),
                None => note(html, words.in_progress, false),
            }
            let _ = write!(html, "<a class=\"button plain\" href=\"\">{}</a>", words.look_again);
        }
        Say::Done(verb) => note(html, words.done(*verb), false),
        Say::Used { verb, who } => {
            note(html, &words.done_by(*verb, who), false);
            let _ = write!(html, "<p>{}</p>", words.used);
        }
        Say::Failed { why, verb, form } => {
            note(html, &format!("{} {why}", words.failed), true);
            write_form(html, words, *verb, form, words.try_again);
        }
        Say::Already => note(html, words.already(seen.and_then(|seen| seen.status.as_ref())), false),
        Say::Expired => {
            note(html, words.expired, true);
            let _ = write!(html, "<p>{}</p>", words.expired_help);
        }
        Say::Forged => {
            note(html, words.forged, true);
            let _ = write!(html, "<p>{}</p>", words.forged_help);
        }
        Say::Trouble(text) => note(html, text, true),
    }
}

fn note(html: &mut String, text: &str, bad: bool) {
    let _ = write!(html, "<p class=\"note{}\">{}</p>", if bad { " bad" } else { "" }, escape(text));
}

fn write_form(html: &mut String, words: &Words, verb: Verb, form: &Form<'_>, button: &str) {
    let _ = write!(
        html,
        "<form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{}\"><label for=\"name\">{}</label>\
         <input id=\"name\" name=\"name\" value=\"{}\" maxlength=\"{MAX_NAME}\" autocomplete=\"name\" aria-describedby=\"help\" required>\
         <p class=\"soft\" id=\"help\">{}</p>",
        escape(form.token),
        words.name,
        escape(form.name),
        words.name_help,
    );
    if verb == Verb::Comment {
        let _ = write!(
            html,
            "<label for=\"text\">{}</label><textarea id=\"text\" name=\"text\" rows=\"4\" maxlength=\"{MAX_TEXT}\" required>{}</textarea>",
            words.text,
            escape(form.text),
        );
    }
    let _ = write!(html, "<button type=\"submit\">{button}</button></form>");
}

/// For text and for attributes in double quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::words::{EN, ZH};
    use super::*;

    fn seen(summary: &str) -> Seen {
        Seen { status: Some(Status::Pending), summary: summary.into(), url: None, responders: vec![], live: true }
    }

    #[test]
    fn what_people_wrote_cannot_become_markup() {
        let evil = "<script>\"'&";
        let mut about = seen(evil);
        about.url = Some("javascript:alert(1)".into());
        about.responders = vec![evil.into()];
        let form = Form { token: evil, name: evil, text: evil };
        let html = render(&ZH, Some((7, evil, &about)), &Say::Confirm { verb: Verb::Comment, form, missing: Some(evil) });
        assert!(!html.contains("<script") && !html.contains("javascript:") && !html.contains(evil), "{html}");
        assert_eq!(html.matches("&lt;script&gt;&quot;&#39;&amp;").count(), 7);
    }

    #[test]
    fn a_page_loads_and_runs_nothing() {
        let html = render(&EN, Some((7, "ops", &seen("disk full"))), &Say::Going { other: None });
        for word in ["<script", "<img", "<link", "src=", "style=\"", "http://", "https://", "onclick"] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-") && !POLICY.contains("unsafe"));
    }
}

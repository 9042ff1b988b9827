//! The page that explains DingTalk's error codes, made from the table, so that neither says what the other does not.
//!
//! `INCIDENT_SINK_UPDATE_DOCS=1 cargo test --workspace --lib answer::reference` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::string::String;
use std::{env, format, fs};

use super::table::{Row, TABLE, Verdict};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/errors.md");

const HEAD: &str = "\
# DingTalk's answers

<!-- Made from plugin/dingtalk/src/answer/table.rs by `cargo xtask docs`; do not edit. -->

DingTalk answers HTTP 200 to failures too: only `errcode` 0 is success. This page says what each other answer means, what incident-sink does about
it by itself, and what is left for you. The code of a dead letter is shown by `incident-sink dead-letters list`, the whole answer and the advice by
`incident-sink dead-letters show NUMBER`. After the cause is gone, `incident-sink dead-letters replay --connector NAME` sends again what was given up.

Where two rows have the same code, DingTalk's text decides, and the first row that fits holds.

| errcode | DingTalk's text has | meaning | incident-sink | you |
|---|---|---|---|---|
";

const TAIL: &str = "
## Answers without an errcode

| answer | meaning | incident-sink | you |
|---|---|---|---|
| HTTP 429 | too many requests | leaves the robot alone for `Retry-After`, else for 10 minutes | nothing |
| HTTP 5xx, 408, 425 | DingTalk or a proxy could not answer | tries again, not before `Retry-After` | nothing; if it lasts, look at the proxy |
| HTTP 200 with `\"status\":1111` | this IP address sent too much (more than 10,000 calls in 20 seconds) and is blocked | leaves the robot alone for the minutes that DingTalk names, else 5 | find out what else sends from this address |
| HTTP 200 that is no JSON or has no code; a page with HTTP 403 | the address may be blocked, or a proxy answers instead of DingTalk | leaves the robot alone for 5 minutes | if it lasts: `incident-sink test-connection NAME`, then the proxy |
| redirects | the URL is not DingTalk's own | gives the message up: redirects are not followed | set `url` to the address that DingTalk shows |
| other HTTP codes | the request was refused | gives the message up | check `url` and the proxy |
| no answer in time, a connection that ended | nobody knows whether the message arrived | sends the same message again with the same `msgUuid`, so that DingTalk shows it once | nothing |
| no connection | DingTalk cannot be reached | tries again until `max_age` (a day), then gives it up | check DNS, the firewall and the proxy (`HTTPS_PROXY`) |

A code that is not in these tables gives the message up with DingTalk's text: an unknown answer never counts as success.
";

/// What DingTalk means, by code and by the first word that the row looks for.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("-1", "", "DingTalk is busy"),
    ("15", "", "DingTalk timed out within itself"),
    ("88", "timeout", "DingTalk timed out within itself"),
    ("88", "", "an error of the OpenAPI, most often authentication"),
    ("310000", "sign not match", "the signature does not fit the robot's secret"),
    ("310000", "invalid timestamp", "the signature is more than an hour old, or from the future"),
    ("310000", "keyword", "the robot demands a keyword that the message does not contain"),
    ("310000", "whitelist", "the robot takes messages from listed IP addresses only, and this one is not listed"),
    ("310000", "", "one of the robot's security settings refused the message"),
    ("130101", "", "more than 20 messages in a minute"),
    ("410100", "", "more than 20 messages in a minute"),
    ("660026", "", "more than 20 messages in a minute"),
    ("450101", "", "too many messages"),
    ("90002", "", "too many calls in a second"),
    ("90018", "", "too many calls in a second"),
    ("90020", "", "the organisation's quota of API calls for the month is used up"),
    ("90030", "", "the organisation's quota of webhook calls for the month is used up"),
    ("300001", "", "the token in the URL does not exist"),
    ("300005", "", "the token in the URL does not exist"),
    ("400101", "", "the token in the URL does not exist"),
    ("400106", "", "the robot is not in the group any more"),
    ("404", "", "there is nothing at this path"),
    ("400013", "", "the group was disbanded"),
    ("400102", "", "the robot was disabled"),
    ("40035", "", "a parameter is missing"),
    ("43002", "", "DingTalk saw a GET where a POST was sent"),
    ("43004", "", "DingTalk saw another Content-Type than was sent"),
    ("400105", "", "DingTalk does not know this type of message"),
    ("400403", "", "a text is missing"),
    ("40004", "", "DingTalk does not know this type of media"),
    ("45008", "", "DingTalk does not take the message's content"),
    ("430101", "", "a link in the message is held unsafe"),
    ("430102", "", "a text in the message is held improper"),
    ("430103", "", "an image in the message is held improper"),
    ("430104", "", "the message is held improper"),
    ("460101", "", "the message has more than 20,000 bytes"),
    ("101002", "", "the message has more than 20,000 bytes"),
];

fn meaning(row: &Row) -> &'static str {
    let word = row.words.first().copied().unwrap_or_default();
    let found = MEANINGS.iter().find(|(code, of, _)| *code == row.code && *of == word);
    found.unwrap_or_else(|| panic!("say in MEANINGS what {} {word} means", row.code)).2
}

fn does(verdict: Verdict) -> String {
    let minutes = |ms: u64| ms / 60_000;
    match verdict {
        Verdict::Retry(0) => "tries again, waiting longer each time".into(),
        Verdict::Retry(ms) => format!("tries again after {} s", ms / 1000),
        Verdict::RetryThrice => "tries again three times, then leaves the robot alone for 10 minutes".into(),
        Verdict::RetryOnce => "signs anew and tries once more, then gives the message up".into(),
        Verdict::Throttle(ms) => format!("leaves the robot alone for {} minutes; events wait and go out as a digest", minutes(ms)),
        Verdict::Reject => "gives the message up: a dead letter".into(),
    }
}

fn page() -> String {
    let mut page = String::from(HEAD);
    for row in TABLE {
        let words: Vec<String> = row.words.iter().map(|word| format!("`{}`", word.trim())).collect();
        let (meaning, does) = (meaning(row), does(row.verdict));
        writeln!(page, "| `{}` | {} | {meaning} | {does} | {} |", row.code, words.join(", "), row.english).expect("a text takes all");
    }
    page.push_str(TAIL);
    page
}

#[test]
fn the_page_of_answers_says_what_the_table_says() {
    if env::var_os("INCIDENT_SINK_UPDATE_DOCS").is_some() {
        fs::write(PAGE, page()).expect("docs/reference can be written");
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(written == page(), "docs/reference/errors.md is not what the table makes: run `cargo xtask docs`");
}

#[test]
fn no_meaning_is_left_over() {
    let rows: BTreeSet<_> = TABLE.iter().map(|row| (row.code, row.words.first().copied().unwrap_or_default())).collect();
    for (code, word, _) in MEANINGS {
        assert!(rows.contains(&(*code, *word)), "MEANINGS explains {code} {word}, which the table does not have");
    }
}

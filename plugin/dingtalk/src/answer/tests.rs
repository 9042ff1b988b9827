//! Every row of the table, every HTTP code, every odd body.

use proptest::prelude::*;

use super::table::TABLE;
use super::*;

fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.into() }
}

fn said(code: &str, words: &str, attempt: u32) -> Outcome {
    let body = serde_json::json!({"errcode": code.parse::<i64>().expect("a number"), "errmsg": words}).to_string();
    outcome(&answer(200, &body), attempt, Language::English)
}

#[test]
fn success_is_zero_as_a_number_and_as_a_string() {
    for body in [r#"{"errcode":0,"errmsg":"ok"}"#, r#"{"errcode":"0","errmsg":"ok"}"#] {
        assert_eq!(outcome(&answer(200, body), 1, Language::English), Outcome::Delivered(Receipt { id: None, memo: None }));
    }
}

#[test]
fn every_row_of_the_table_becomes_its_outcome() {
    for row in TABLE {
        let words = row.words.first().copied().unwrap_or("something else");
        for attempt in [1, 4] {
            let outcome = said(row.code, words, attempt);
            let right = match (row.verdict, &outcome) {
                (Verdict::Retry(ms), Outcome::Retry(again)) => again.after_ms == ms,
                (Verdict::RetryThrice, Outcome::Retry(_)) | (Verdict::RetryOnce, Outcome::Retry(_)) => attempt == 1,
                (Verdict::RetryThrice, Outcome::Throttled(_)) => attempt == 4,
                (Verdict::Throttle(ms), Outcome::Throttled(again)) => again.after_ms == ms,
                (Verdict::RetryOnce, Outcome::Rejected(reason)) => attempt == 4 && reason.advice == row.english,
                (Verdict::Reject, Outcome::Rejected(reason)) => reason.code == row.code && reason.advice == row.english,
                _ => false,
            };
            assert!(right, "{} at attempt {attempt} became {outcome:?}", row.code);
        }
    }
}

#[test]
fn a_muted_robot_is_left_alone_for_ten_minutes() {
    let outcome = said("130101", "send too fast, exceed 20 times per minute", 1);
    let Outcome::Throttled(again) = outcome else { panic!("{outcome:?}") };
    assert_eq!(again.after_ms, 600_000);
    assert_eq!(again.reason, "DingTalk answered 130101: send too fast, exceed 20 times per minute");
}

#[test]
fn a_security_error_is_told_apart_by_its_words_in_both_languages() {
    let advice = |words| match said("310000", words, 2) {
        Outcome::Rejected(reason) => reason.advice,
        other => panic!("{other:?}"),
    };
    let mismatch = "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中";
    assert_eq!(advice(mismatch), advice("sign not match"));
    assert_eq!(advice("description:机器人发送签名过期"), advice("invalid timestamp"));
    assert_eq!(advice("description:机器人发送关键词不匹配"), advice("keywords not in content"));
    assert!(advice("ip 203.0.113.7 not in whitelist").contains("IPv4"));
    assert!(advice("whatever").contains("security settings"));
}

#[test]
fn a_wrong_clock_is_tried_once_more_and_then_reported() {
    assert!(matches!(said("310000", "invalid timestamp", 1), Outcome::Retry(_)));
    let Outcome::Rejected(reason) = said("310000", "invalid timestamp", 2) else { panic!("not rejected") };
    assert!(reason.advice.contains("clock"));
}

#[test]
fn an_unknown_code_is_rejected_with_its_text() {
    let Outcome::Rejected(reason) = said("987654", "whatever DingTalk invents", 1) else { panic!("not rejected") };
    assert_eq!(reason.code, "987654");
    assert!(reason.text.contains("whatever DingTalk invents"));
}

#[test]
fn advice_comes_in_the_language_of_the_connector() {
    let body = r#"{"errcode":310000,"errmsg":"sign not match"}"#;
    let Outcome::Rejected(reason) = outcome(&answer(200, body), 1, Language::Chinese) else { panic!("not rejected") };
    assert!(reason.advice.contains("请检查"));
}

#[test]
fn a_blocked_address_waits_as_long_as_the_body_says() {
    let body = r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"0123456789"}"#;
    for status in [200, 403] {
        let outcome = outcome(&answer(status, body), 1, Language::English);
        assert!(matches!(outcome, Outcome::Throttled(Again { after_ms: 300_000, .. })), "{outcome:?}");
    }
}

#[test]
fn a_page_an_empty_body_and_json_without_a_code_are_no_success() {
    for body in ["", "<html>", "{}", "null", "[]", "\"ok\"", r#"{"errcode":null}"#, r#"{"errcode":""}"#, r#"{"status":200}"#] {
        let outcome = outcome(&answer(200, body), 1, Language::English);
        assert!(matches!(outcome, Outcome::Throttled(Again { after_ms: 300_000, .. })), "{body}: {outcome:?}");
    }
}

#[test]
fn every_http_code_without_a_body_has_its_outcome() {
    for status in 100..600 {
        let outcome = outcome(&answer(status, ""), 1, Language::English);
        let right = match status {
            200..300 | 429 => matches!(outcome, Outcome::Throttled(_)),
            100..200 | 500..600 | 408 | 425 => matches!(outcome, Outcome::Retry(_)),
            _ => matches!(&outcome, Outcome::Rejected(reason) if reason.code == format!("HTTP {status}")),
        };
        assert!(right, "{status} became {outcome:?}");
    }
}

#[test]
fn retry_after_is_honoured() {
    let mut answer = answer(429, "slow down");
    answer.headers.push(("Retry-After".into(), "7".into()));
    assert!(matches!(outcome(&answer, 1, Language::English), Outcome::Throttled(Again { after_ms: 7000, .. })));
    answer.status = 503;
    assert!(matches!(outcome(&answer, 1, Language::English), Outcome::Retry(Again { after_ms: 7000, .. })));
}

#[test]
fn success_inside_an_http_error_is_none() {
    let body = r#"{"errcode":0,"errmsg":"ok"}"#;
    assert!(matches!(outcome(&answer(502, body), 1, Language::English), Outcome::Retry(_)));
    assert!(matches!(outcome(&answer(404, body), 1, Language::English), Outcome::Rejected(_)));
}

#[test]
fn a_token_in_the_words_of_an_error_is_not_repeated() {
    let token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let Outcome::Rejected(reason) = said("300005", &format!("token {token} is not exist"), 1) else { panic!("not rejected") };
    assert_eq!(reason.text, "DingTalk answered 300005: token [redacted] is not exist");
}

proptest! {
    #[test]
    fn only_an_errcode_of_zero_is_a_success(status in 100u16..600, body: Vec<u8>, attempt in 1u32..9) {
        let outcome = outcome(&Response { status, headers: Vec::new(), body }, attempt, Language::English);
        prop_assert!(!matches!(outcome, Outcome::Delivered(_)));
    }

    #[test]
    fn no_code_but_zero_is_a_success(code in any::<i64>().prop_filter("zero is", |code| *code != 0), words: String) {
        let body = serde_json::json!({"errcode": code, "errmsg": words}).to_string();
        prop_assert!(!matches!(outcome(&answer(200, &body), 1, Language::English), Outcome::Delivered(_)));
    }
}

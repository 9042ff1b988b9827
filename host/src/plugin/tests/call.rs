//! Calls: what comes through, and every way in which one ends.

use std::time::{Duration, Instant};

use serde_json::json;

use super::super::testing::{Guest, context, engine, event, limits};
use super::super::units::{Size, Wait};
use super::super::{CallError, Engine, EngineOptions, Limits, OutputRule, Plugin, Registry, wit};

fn begin(plugin: &Plugin) -> Result<wit::Step, CallError> {
    plugin.begin("{}", &[event()], &context())
}

fn response() -> wit::Response {
    wit::Response { status: 200, headers: vec![], body: b"{}".to_vec() }
}

fn outline() -> wit::Outline {
    wit::Outline { method: wit::Method::Post, query: vec![], body_sha256: vec![0; 32] }
}

#[test]
fn a_message_goes_through_begin_sign_and_resume() {
    let plugin = Guest::default().load();
    let Ok(wit::Step::Send(sending)) = begin(&plugin) else { panic!("no request") };
    assert_eq!((sending.request.body.as_slice(), sending.covers), (b"{}".as_slice(), 1));
    let stamps = plugin.sign(&[("/secret".into(), "SEC".into())], &outline(), 1).unwrap();
    assert_eq!((stamps[0].place, stamps[0].name.as_str()), (wit::Place::Query, "sign"));
    let step = plugin.resume("{}", &sending.continuation, &response(), &context()).unwrap();
    let wit::Step::Done(wit::Outcome::Delivered(receipt)) = step else { panic!("{step:?}") };
    assert_eq!(receipt.id.as_deref(), Some("r1"));
}

#[test]
fn a_plugins_own_failure_is_told_as_its_words_on_one_line() {
    let plugin = Guest::default().answer("begin", json!({ "err": { "code": "bad", "text": "no\nway\u{1b}[2J" } })).load();
    let error = begin(&plugin).unwrap_err();
    assert_eq!(error, CallError::Failure { code: "bad".into(), text: "no way[2J".into() });
}

#[test]
fn a_call_that_does_not_end_is_ended() {
    let plugin = Guest::default().runs("begin", "(loop $l (br $l))").load_with(&Limits { deadline: Wait::millis(300), ..limits() });
    let start = Instant::now();
    assert_eq!(begin(&plugin).unwrap_err(), CallError::Deadline { limit: Wait::millis(300) });
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_crash_names_its_cause_and_its_place_and_harms_no_other_call() {
    let plugin = Guest::default().runs("begin", "unreachable").load();
    for _ in 0..3 {
        let CallError::Trap { kind, frames } = begin(&plugin).unwrap_err() else { panic!("no trap") };
        assert_eq!(kind, "wasm `unreachable` instruction executed");
        assert_eq!(frames, ["g_begin"]);
        assert!(plugin.check("{}").unwrap().is_empty());
    }
}

#[test]
fn endless_recursion_is_a_crash_of_the_plugin_alone() {
    let plugin = Guest::default().fields("(func $deep (call $deep))").runs("begin", "(call $deep)").load();
    let error = begin(&plugin).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.code()), ("the plugin crashed: call stack exhausted in `deep`", "plugin-stack"));
}

#[test]
fn memory_beyond_the_limit_is_refused_and_named() {
    let grow = "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable))";
    let plugin = Guest::default().runs("begin", grow).load();
    assert_eq!(begin(&plugin).unwrap_err(), CallError::Memory { limit: Size::mib(4) });
    let roomy = Guest::default().runs("begin", grow).load_with(&Limits { memory: Size::mib(8), ..limits() });
    assert!(begin(&roomy).is_ok());
}

#[test]
fn an_input_that_does_not_fit_into_the_plugin_is_a_memory_limit() {
    let plugin = Guest::default().load();
    let large = "x".repeat(5 << 20);
    assert_eq!(plugin.check(&large).unwrap_err(), CallError::Memory { limit: Size::mib(4) });
}

#[test]
fn an_answer_of_too_much_data_is_not_copied() {
    let plugin = Guest::default().sends(json!({ "body": "x".repeat(600 << 10) })).load();
    assert_eq!(begin(&plugin).unwrap_err(), CallError::TooMuchData { limit: Size::kib(512) });
}

#[test]
fn an_answer_that_points_outside_its_memory_is_malformed() {
    let plugin = Guest::default().runs("begin", "(return (i32.const -8))").load();
    assert!(matches!(begin(&plugin).unwrap_err(), CallError::Malformed(_) | CallError::Trap { .. }));
}

#[test]
fn a_body_over_the_plugins_own_limit_is_refused() {
    let plugin = Guest::default().sends(json!({ "body": "x".repeat(20_001) })).load();
    assert_eq!(begin(&plugin).unwrap_err(), CallError::Output(OutputRule::TooLarge { what: "body", size: 20_001, limit: 20_000 }));
    let plugin = Guest::default().sends(json!({ "body": "x".repeat(101) })).load_with(&Limits { body: Size(100), ..limits() });
    assert_eq!(begin(&plugin).unwrap_err(), CallError::Output(OutputRule::TooLarge { what: "body", size: 101, limit: 100 }));
}

/// Crashes where a byte that a call writes is still there in the next one.
const LEAVES_A_TRACE: &str = "(if (i32.load8_u (i32.const 16)) (then unreachable)) (i32.store8 (i32.const 16) (i32.const 1)) (if (global.get $seen) (then unreachable)) (global.set $seen (i32.const 1))";

#[test]
fn no_call_sees_what_another_one_left() {
    let guest = Guest::default().fields("(global $seen (mut i32) (i32.const 0))");
    let guest = guest.runs("begin", LEAVES_A_TRACE).runs("sign", LEAVES_A_TRACE);
    let on_demand = Engine::new(EngineOptions { on_demand: true, ..EngineOptions::default() }).unwrap();
    assert!(!on_demand.is_pooled());
    for engine in [engine(), &on_demand] {
        let plugin = Plugin::load(engine, &guest.build(), &limits()).unwrap();
        for _ in 0..50 {
            begin(&plugin).unwrap();
            plugin.sign(&[], &outline(), 1).unwrap();
        }
    }
}

#[test]
fn memory_that_grew_is_gone_in_the_next_call() {
    let grown = "(drop (memory.grow (i32.const 20))) (if (i32.load8_u (i32.const 1300000)) (then unreachable)) (i32.store8 (i32.const 1300000) (i32.const 1))";
    let plugin = Guest::default().runs("begin", grown).load();
    for _ in 0..20 {
        begin(&plugin).unwrap();
    }
}

#[test]
fn more_callers_than_slots_all_get_their_turn() {
    let engine = Engine::new(EngineOptions { slots: 2, wait: Duration::from_secs(60), ..EngineOptions::default() }).unwrap();
    let plugin = Plugin::load(&engine, &Guest::default().build(), &limits()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| drop(begin(&plugin).unwrap())));
        }
    });
}

#[test]
fn a_caller_that_finds_no_slot_in_time_is_told_so() {
    let engine = Engine::new(EngineOptions { slots: 1, wait: Duration::from_millis(5), ..EngineOptions::default() }).unwrap();
    let plugin = Plugin::load(&engine, &Guest::default().build(), &limits()).unwrap();
    let taken = engine.gate().enter();
    assert_eq!(plugin.check("{}"), Err(CallError::Busy));
    drop(taken);
    assert!(plugin.check("{}").is_ok());
}

#[test]
fn an_inbox_is_called_where_there_is_one() {
    let request = wit::Incoming { method: "POST".into(), path: "/".into(), headers: vec![], query: vec![], body: b"{}".to_vec() };
    let deaf = Guest::default().load();
    assert_eq!(deaf.inbox_verify(&[], &request, 1), Err(CallError::NoInbox));
    let plugin = Guest::default().interactive().load();
    assert_eq!(plugin.inbox_verify(&[], &request, 1), Ok(Ok(())));
    let received = plugin.inbox_read("{}", &request, &context()).unwrap().unwrap();
    assert_eq!(received.id.as_deref(), Some("q1"));
    let replied = plugin.inbox_reply("{}", &request, &[Ok("done".into()), Err("no".into())], &context()).unwrap();
    assert_eq!(replied.answer.status, 200);
    let strict = Guest::default().interactive().answer("verify", json!({ "err": { "status": 599, "text": "SEC-17" } })).load();
    let refusal = strict.inbox_verify(&[], &request, 1).unwrap().unwrap_err();
    assert!(refusal.status == 401 && !refusal.text.contains("SEC-17"), "the plugin's words may be made of secrets: {refusal:?}");
}

#[test]
fn what_a_version_in_use_does_is_counted_and_what_is_only_tried_is_not() {
    let registry = Registry::default();
    let (tried, first) = (Guest::default().load(), Guest::default().load());
    begin(&tried).unwrap();
    registry.swap("chat", first.clone());
    begin(&first).unwrap();
    let second = Guest::default().runs("begin", "unreachable").load();
    registry.swap("chat", second.clone());
    begin(&second).unwrap_err();
    second.sign(&[], &outline(), 1).unwrap();
    let [(name, usage)] = registry.usage().try_into().unwrap();
    let calls = |name: &str| usage.functions.iter().find(|function| function.function == name).unwrap().calls;
    assert_eq!((name.as_str(), calls("begin"), calls("sign"), calls("check")), ("chat", 2, 1, 0));
    let faults: u64 = usage.faults.iter().map(|fault| fault.count).sum();
    assert_eq!((faults, usage.faults.iter().find(|fault| fault.fault == "trap").map(|fault| fault.count)), (1, Some(1)));
}

#[test]
fn what_a_plugin_says_of_secrets_can_be_left_out() {
    let failed = |guest: Guest| guest.load().sign(&[], &outline(), 1).unwrap_err();
    let stamp = |place: &str, name: &str| json!({ "ok": [{ "place": place, "name": name, "value": "x\r\n" }] });
    for (answer, code) in [
        (json!({ "err": { "code": "SEC-17", "text": "SEC-17" } }), "plugin-failure"),
        (stamp("header", "SEC-17"), "plugin-output"),
        (stamp("header", "SEC 17"), "plugin-output"),
        (stamp("header", "proxy-SEC-17"), "plugin-output"),
    ] {
        let error = failed(Guest::default().answer("sign", answer)).without_words();
        assert!(error.code() == code && !error.to_string().contains("17"), "{error}");
    }
    assert!(failed(Guest::default().answer("sign", stamp("header", "host"))).without_words().to_string().contains("`host`"));
}

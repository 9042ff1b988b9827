//! One test a component: whatever it does, another connector delivers undisturbed meanwhile.

use super::stage::{Receiver, Stage, chameleon, until};

/// What becomes of the hostile connector's first message.
enum Ends {
    /// A dead letter, for one of these reasons.
    Dead(&'static [&'static str]),
    /// Not sent, or sent and not understood: to be tried again, for one of these reasons.
    Open(&'static [&'static str]),
    /// Harmless after all.
    Delivered,
}

async fn contained(behaviour: &str, ends: Ends) {
    let mut stage = Stage::new().await;
    let (good, good_url) = Receiver::start().await;
    let (bad, bad_url) = Receiver::start().await;
    stage.connect("good", "chameleon", &good_url, "good-secret");
    stage.smuggle("hostile", &chameleon(behaviour));
    stage.connect("bad", "hostile", &bad_url, "bad-secret");
    for round in 0..3 {
        stage.emit(&format!("{behaviour}-{round}"), 2, &["good", "bad"]).await;
    }
    until("the good connector's messages", async || good.events().len() == 6).await;
    let (state, codes): (_, &[&str]) = match ends {
        Ends::Dead(codes) => ("dead", codes),
        Ends::Open(codes) => ("open", codes),
        Ends::Delivered => ("delivered", &[""]),
    };
    until(&format!("{behaviour} to end {state} with {codes:?}"), async || {
        let messages = stage.messages("bad").await;
        messages.iter().any(|message| message.state == state && codes.contains(&message.reason.code.as_str()))
    })
    .await;
    until("the good connector's outcomes", async || stage.messages("good").await.iter().all(|message| message.state == "delivered")).await;
    assert!(stage.messages("good").await.iter().all(|message| message.attempts == 1), "nothing had to be tried again");
    assert!(!format!("{:?}", stage.messages("bad").await).contains("bad-secret"), "a reason shows no secret");
    for got in bad.got() {
        assert!(got.uri.path() == "/send" && !got.headers.contains_key("x-injected"), "{}", got.whole());
        assert!(got.headers["host"].to_str().unwrap().starts_with("127.0.0.1:"), "{}", got.whole());
    }
    stage.dispatcher.abort().await;
}

macro_rules! contained {
    ($($name:ident: $behaviour:literal => $ends:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            contained($behaviour, $ends).await;
        })*
    };
}

contained! {
    an_endless_loop_in_begin: "spin-begin" => Ends::Dead(&["plugin-deadline"]);
    an_endless_loop_in_sign: "spin-sign" => Ends::Open(&["plugin-deadline"]);
    an_endless_loop_in_resume: "spin-resume" => Ends::Open(&["plugin-deadline"]);
    a_trap_in_begin: "trap-begin" => Ends::Dead(&["plugin-trap"]);
    a_trap_in_sign: "trap-sign" => Ends::Open(&["plugin-trap"]);
    a_trap_in_resume: "trap-resume" => Ends::Open(&["plugin-trap"]);
    a_memory_bomb: "memory-bomb" => Ends::Dead(&["plugin-memory"]);
    a_memory_bomb_that_goes_on: "memory-bomb-quiet" => Ends::Delivered;
    a_stack_overflow: "stack-overflow" => Ends::Dead(&["plugin-trap"]);
    a_huge_body: "huge-body" => Ends::Dead(&["plugin-memory", "plugin-too-much-data", "plugin-output"]);
    a_huge_continuation: "huge-continuation" => Ends::Dead(&["plugin-memory", "plugin-too-much-data", "plugin-output"]);
    a_huge_error: "huge-string" => Ends::Dead(&["plugin-memory", "plugin-too-much-data"]);
    a_body_that_is_cut_off: "bad-json" => Ends::Delivered;
    a_body_that_is_no_text: "not-utf8-body" => Ends::Delivered;
    another_host: "other-host" => Ends::Dead(&["egress"]);
    another_path: "other-path" => Ends::Dead(&["egress"]);
    a_file: "other-scheme" => Ends::Dead(&["egress"]);
    another_token: "token-query" => Ends::Dead(&["egress"]);
    a_host_header: "host-header" => Ends::Dead(&["plugin-output"]);
    a_credential_header: "auth-header" => Ends::Dead(&["plugin-output"]);
    hop_by_hop_headers: "hop-header" => Ends::Dead(&["plugin-output"]);
    a_line_break_in_a_header: "crlf-header" => Ends::Dead(&["plugin-output"]);
    endless_steps: "endless-steps" => Ends::Dead(&["too-many-steps"]);
    a_message_that_covers_nothing: "covers-zero" => Ends::Dead(&["plugin-output"]);
    a_message_that_covers_more_than_there_is: "covers-too-many" => Ends::Dead(&["plugin-output"]);
    ten_thousand_stamps: "many-stamps" => Ends::Open(&["plugin-output", "plugin-too-much-data"]);
    a_stamp_for_another_host: "stamp-host-header" => Ends::Open(&["plugin-output"]);
    a_stamp_for_another_token: "stamp-token" => Ends::Dead(&["egress"]);
    a_stamp_that_overwrites_the_body: "stamp-body-overwrite" => Ends::Dead(&["egress"]);
    a_begin_that_fails: "begin-fails" => Ends::Dead(&["plugin-failure"]);
    a_sign_that_fails: "sign-fails" => Ends::Open(&["plugin-failure"]);
    a_plugin_that_wants_nothing: "drops-all" => Ends::Dead(&["unwanted"]);
    a_secret_in_the_words_of_a_failure: "secret-to-error" => Ends::Open(&["plugin-failure"]);
    a_secret_in_a_header_that_is_refused: "secret-to-rule" => Ends::Open(&["plugin-output"]);
    a_plugin_that_puts_everything_off: "retries-all" => Ends::Open(&["200"]);
    a_plugin_that_never_begins: "begin-retries" => Ends::Open(&["plugin"]);
    a_plugin_that_counts_its_calls: "keeps-state" => Ends::Delivered;
}

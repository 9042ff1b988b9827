//! What an operator does.

use std::path::Path;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use incident_sink::simulator::dingtalk::Fault;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::scene::{Scene, chameleon};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_tested_and_the_receivers_answer_is_shown_in_place() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    browser.client.goto(&scene.page("/")).await.unwrap();
    browser.run("window.same = true").await;
    browser.press("#test-at-ops").await;
    browser.read("#at-ops .flash", "The test message was delivered.").await;
    assert!(scene.group.messages("ops")[0].text.contains("test"));
    assert_eq!(browser.run("return window.same").await, true, "the page is still the same");
    assert!(browser.read("#announce", "was delivered").await.contains("delivered"), "and is told to those who listen");
    browser.press("#test-at-storage").await;
    let words = browser.read("#at-storage .flash", "310000").await;
    assert!(words.contains("refused") && words.contains("sign not match"), "{words}");
    assert_eq!(browser.run("return document.activeElement.id").await, "test-at-storage", "the focus stays");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_live_and_is_shown_with_all_that_is_known_of_it() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    browser.client.goto(&scene.page("/messages")).await.unwrap();
    browser.read("#pulse", "Live").await;
    browser.run("window.same = true").await;
    scene.post("Zabbix", 2_983_781, "PENDING", "Replication lag on db-3 is <b>312 s</b>").await;
    browser.read("#messages", "Replication lag on db-3 is <b>312 s</b>").await;
    browser.read("#messages", "Delivered").await;
    scene.post("Zabbix 生产", 2_983_782, "PENDING", "数据库主库不可用").await;
    browser.read("#announce", "数据库主库不可用").await;
    assert_eq!(browser.run("return window.same").await, true, "nothing was loaded anew");
    browser.read("#messages tr:nth-child(2)", "Delivered").await;

    browser.client.find(Locator::LinkText("Replication lag on db-3 is <b>312 s</b>")).await.unwrap().click().await.unwrap();
    let card = browser.read(".chat", "PENDING").await;
    for wanted in ["<b>312 s</b>", "Accept", "Resolve", "Open", "@13800000000"] {
        assert!(card.contains(wanted), "{wanted} in {card}");
    }
    let story = browser.see("#story").await.text().await.unwrap();
    assert!(story.contains("created") && story.contains("#2983781") && story.contains("Zabbix") && story.contains(" ms"), "{story}");
    browser.press(".seen details summary").await;
    let body = browser.read(".seen pre", "actionCard").await;
    assert!(body.contains("https://incidents.example.com/respond/…"), "what signs a link is not shown: {body}");

    browser.client.goto(&scene.page("/messages?q=LAG&state=delivered")).await.unwrap();
    assert_eq!(browser.client.find_all(Locator::Css("#messages tbody tr")).await.unwrap().len(), 1);
    browser.client.goto(&scene.page("/messages?connector=ops-zh")).await.unwrap();
    browser.read("#messages", "数据库主库不可用").await;
    assert_eq!(browser.client.find_all(Locator::Css("#messages tbody tr")).await.unwrap().len(), 1);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_replayed_and_another_one_discarded() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    scene.group.fault("ops", Fault::Errcode { code: 310_000, text: Some("keywords not in content".into()) }, 1).unwrap();
    scene.post("Zabbix", 1, "PENDING", "disk full on db-3").await;
    scene.post("Backup", 2, "PENDING", "backup failed").await;
    scene.post_raw("{\"no\":\"event\"}".into()).await;
    browser.client.goto(&scene.page("/dead-letters")).await.unwrap();
    browser.read("#letters", "disk full on db-3").await;
    browser.read("#letters", "backup failed").await;
    let text = browser.text().await;
    assert!(text.contains("keywords not in content") && text.contains("What to do") && text.contains("Unreadable"), "{text}");

    let card = |summary: &str| {
        format!("return [...document.querySelectorAll('#letters > .cards > li')].find(li => li.innerText.includes('{summary}')).id")
    };
    let replayed = browser.run(&card("disk full")).await.as_str().unwrap().trim_start_matches("m-").to_owned();
    browser.press(&format!("#replay-{replayed}")).await;
    browser.read(".flash", "is sent again").await;
    scene.group.wait_for("ops", 1, Duration::from_secs(60)).await.unwrap();
    browser.client.goto(&scene.page(&format!("/messages/{replayed}"))).await.unwrap();
    browser.read("#story", "Delivered").await;

    browser.client.goto(&scene.page("/dead-letters")).await.unwrap();
    let discarded = browser.run(&card("backup failed")).await.as_str().unwrap().trim_start_matches("m-").to_owned();
    browser.press(&format!("#discard-{discarded} summary")).await;
    browser.press(&format!("#discard-{discarded} button")).await;
    browser.read(".flash", "was discarded").await;
    browser.read("#letters", "No dead letters").await;

    for n in 10..13 {
        scene.post("Backup", n, "PENDING", "backup failed again").await;
    }
    browser.read("#letters .groups", "storage").await;
    browser.press("#all-at-storage summary").await;
    browser.press("#all-at-storage button").await;
    browser.read(".flash", "discarded").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_swapped_and_rolled_back_and_a_broken_one_is_refused() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    browser.client.goto(&scene.page("/plugins")).await.unwrap();
    browser.read("#at-chameleon", "1.0.0").await;
    let install = async |file: &str| {
        browser.press("#install-at-chameleon summary").await;
        browser.see("#file-at-chameleon").await.send_keys(file).await.unwrap();
        browser.press("#install-at-chameleon button").await;
    };
    install(&scene.file("new.wasm", &chameleon("good-2"))).await;
    browser.read("#at-chameleon .flash", "Version 2.0.0 is in use.").await;
    browser.read("#at-chameleon h2", "2.0.0").await;
    install(&scene.file("broken.wasm", b"this is no component")).await;
    browser.read("#at-chameleon .flash", "The version was refused").await;
    assert!(browser.read("#at-chameleon", "Last failure").await.contains("2.0.0"), "and the one in use goes on");
    browser.press("#rollback-at-chameleon").await;
    browser.read("#at-chameleon .flash", "Version 1.0.0 is in use again.").await;
    browser.read("#at-chameleon h2", "1.0.0").await;

    // A file that is dropped is the same as one that is chosen.
    let bytes: Vec<Value> = chameleon("good-2").into_iter().map(Value::from).collect();
    browser.press("#install-at-chameleon summary").await;
    let drop = "const data = new DataTransfer();\
                data.items.add(new File([new Uint8Array(arguments[0])], 'dropped.wasm'));\
                const form = document.querySelector('#install-at-chameleon form');\
                for (const name of ['dragover', 'drop']) form.dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: data }));\
                return form.querySelector('input[name=component]').files[0].name;";
    assert_eq!(browser.client.execute(drop, vec![Value::Array(bytes)]).await.unwrap(), "dropped.wasm");
    browser.press("#install-at-chameleon button").await;
    browser.read("#at-chameleon .flash", "Version 2.0.0 is in use.").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_shows_the_message_while_one_types_and_says_what_is_wrong() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    browser.client.goto(&scene.page("/playground?connector=ops")).await.unwrap();
    browser.read("#result .chat", "app.compute is DOWN").await;
    let config = browser.see("#config").await.prop("value").await.unwrap().unwrap();
    assert!(config.contains("secret = \"…\"") && !config.contains("SECbrowser") && !config.contains("token-ops"), "{config}");
    let url = browser.read("#url", "POST").await;
    assert!(url.contains("access_token=…&timestamp=…&sign=…"), "{url}");
    let type_config = async |text: &str| {
        let set = "const field = document.getElementById('config'); field.value = arguments[0];\
                   field.dispatchEvent(new Event('input', { bubbles: true }));";
        browser.client.execute(set, vec![json!(text)]).await.unwrap();
    };
    type_config(&format!("{config}\nlanguage = \"zh-CN\"").replace("[delivery]", "[other]").replace("[people", "[x")).await;
    browser.read("#config-problems", "▲").await;
    browser.read("#result", "Correct the marked field").await;
    type_config("type = \"dingtalk\"\nurl = \"…\"\nsecret = \"…\"\nlanguage = \"zh-CN\"").await;
    browser.read("#result .chat", "待处理").await;
    type_config("type = \"dingtalk\"\nurl = \"…\"\nlangauge = \"zh-CN\"\nis_at_all = \"yes\"").await;
    let problems = browser.read("#config-problems", "language").await;
    assert!(problems.contains("is_at_all"), "{problems}");
    type_config("type = \"dingtalk\"\nurl = \"…\"\nmessage_type = \"text\"").await;
    browser.read("#json", "\"msgtype\": \"text\"").await;
    browser.client.find(Locator::Css("#fixture")).await.unwrap().select_by_value("2021-resolved").await.unwrap();
    browser.read("#result .chat", "RESOLVED").await;
    assert!(scene.group.conversation().is_empty(), "nothing was sent");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_essentials_work_without_a_script_and_with_the_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::start().await;
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.client.goto(&scene.page("/")).await.unwrap();
    browser.press("#test-at-ops").await;
    browser.read("#at-ops .flash", "The test message was delivered.").await;
    browser.client.goto(&scene.page("/playground?connector=ops")).await.unwrap();
    browser.press(".result > button").await;
    browser.read("#result .chat", "PENDING").await;
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;

    browser.client.goto(&scene.page("/")).await.unwrap();
    let keys = async |keys: &str| browser.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    keys(&String::from(char::from(Key::Tab))).await;
    assert_eq!(browser.client.active_element().await.unwrap().text().await.unwrap(), "Skip to the content");
    keys(&String::from(char::from(Key::Enter))).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "main");
    let walk = "return [...document.querySelectorAll('main a, main button')].every(one => one.tabIndex === 0)";
    assert_eq!(browser.run(walk).await, true);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_logs_in_first_and_out_again() {
    let Some(browser) = Browser::start().await else { return };
    let scene = Scene::with("token = \"open-sesame\"").await;
    browser.client.goto(&scene.page("/plugins")).await.unwrap();
    browser.see("#token").await.send_keys("guess").await.unwrap();
    browser.press("button").await;
    browser.read("[role=alert]", "not the token").await;
    // The refusal itself is a complaint of the browser's.
    browser.complaints().await;
    browser.see("#token").await.send_keys("open-sesame").await.unwrap();
    browser.press("button").await;
    browser.read("h1", "Plugins").await;
    browser.client.goto(&scene.page("/messages")).await.unwrap();
    browser.read("#pulse", "Live").await;
    let cookies = browser.run("return document.cookie").await;
    assert_eq!(cookies, "", "no script sees the session");
    browser.press(".tools button").await;
    browser.see("#token").await;
    browser.client.goto(&scene.page("/")).await.unwrap();
    browser.see("#token").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_preview_that_the_guide_shows() {
    let scene = Scene::start().await;
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console.md")).unwrap();
    let body = guide.split("-d '").nth(1).unwrap().split("'\n").next().unwrap().to_owned();
    incident_sink::delivery::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |body: String| {
        let request = client.post(scene.page("/api/preview")).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let (status, shown) = ask(body).await;
    assert_eq!((status, &shown["plugin"], &shown["covers"]), (200, &json!("dingtalk"), &json!(1)), "{shown}");
    assert!(shown["request"]["url"].as_str().unwrap().ends_with("access_token=…&timestamp=…&sign=…"), "{shown}");
    let message: Value = serde_json::from_str(shown["request"]["body"].as_str().unwrap()).unwrap();
    assert!(message["actionCard"]["text"].as_str().unwrap().contains("disk full"), "{message}");
    let event = json!({ "id": 1, "summary": "a" });
    let (status, digest) = ask(json!({ "connector": "ops-zh", "events": [event, { "id": 2, "summary": "b" }] }).to_string()).await;
    assert_eq!((status, &digest["covers"]), (200, &json!(2)), "{digest}");
    let wrong =
        json!({ "connector": "ops", "config": { "type": "dingtalk", "url": "…", "secret": "…", "langauge": "en" }, "event": event });
    let (status, problem) = ask(wrong.to_string()).await;
    assert_eq!((status, &problem["problems"][0]["pointer"]), (422, &json!("/langauge")), "{problem}");
    assert!(scene.group.conversation().is_empty(), "nothing was sent");
}

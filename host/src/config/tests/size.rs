//! Configs of many connectors.

use serde::Deserialize;

use super::parse;
use crate::config::Format;

#[derive(Deserialize)]
struct Connector {
    secret: String,
}

fn config(connectors: usize) -> [(Format, String); 3] {
    let mut toml = String::new();
    let mut yaml = "connectors:\n".to_owned();
    let mut json = "{\"connectors\":{".to_owned();
    for index in 0..connectors {
        toml += &format!(
            "[connectors.c{index}]\ntype = 'dingtalk'\nurl = 'https://oapi.dingtalk.com/robot/send?access_token={index}'\n\
             secret = {{ env = 'TOKEN' }}\nlanguage = 'zh-CN'\n[connectors.c{index}.delivery]\ntimeout = '10s'\nmax_age = '24h'\n"
        );
        yaml += &format!(
            "  c{index}:\n    type: dingtalk\n    url: https://x.example/{index}\n    secret: {{ env: TOKEN }}\n    delivery: {{ timeout: 10s, max_age: 24h }}\n"
        );
        let comma = if index == 0 { "" } else { "," };
        json += &format!(
            "{comma}\"c{index}\":{{\"type\":\"dingtalk\",\"url\":\"https://x.example/{index}\",\"secret\":{{\"env\":\"TOKEN\"}},\"delivery\":{{\"timeout\":\"10s\"}}}}"
        );
    }
    [(Format::Toml, toml), (Format::Yaml, yaml), (Format::Json, json + "}}")]
}

/// The time that one connector takes must not grow with their number: a quadratic look-up anywhere would take minutes here.
#[test]
fn ten_thousand_connectors_are_read_one_by_one() {
    for (format, text) in config(10_000) {
        let begun = std::time::Instant::now();
        let document = parse(&text, format).unwrap_or_else(|errors| panic!("{errors}"));
        let names = document.keys(&["connectors"]);
        assert_eq!(names.len(), 10_000);
        for name in &names {
            let path = ["connectors", name.as_str()];
            let connector: Connector = document.get(&path).unwrap().unwrap();
            assert_eq!(connector.secret, "hunter2hunter2");
            assert!(document.error(&path, "x").line > 0);
            assert!(document.get::<u8>(&path).is_err());
        }
        println!("{format:?}: {:?}", begun.elapsed());
        assert!(begun.elapsed().as_secs() < 20, "{format:?} took {:?}", begun.elapsed());
    }
}

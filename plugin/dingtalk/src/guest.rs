//! The plugin as the host sees it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::answer::outcome;
use crate::compose::{self, CONTINUATION};
use crate::config::{self, Config, SCHEMA};
use crate::contract::signer::{Guest as Signer, Outline, Stamp};
use crate::contract::sink::Guest as Sink;
use crate::message::MAX_BODY;
use crate::sign;
use crate::types::{Context, Descriptor, Event, Failure, Pace, Problem, Response, Step};

/// DingTalk's limit for a robot, and how long a robot that went over it stays mute.
const PACE: Pace = Pace { messages: 20, window_ms: 60_000, penalty_ms: 600_000 };

/// More than the lines that fit into a message, so that the host hands over enough to fill one.
const MAX_BATCH: u32 = 256;

/// The DingTalk plugin.
#[derive(Debug)]
pub struct Plugin;

impl Sink for Plugin {
    fn describe() -> Descriptor {
        Descriptor {
            name: "dingtalk".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config_schema: SCHEMA.into(),
            pace: Some(PACE),
            max_batch: MAX_BATCH,
            max_body: MAX_BODY as u32,
            extra: Vec::new(),
        }
    }

    fn check(config: String) -> Vec<Problem> {
        config::check(&config)
    }

    fn begin(config: String, batch: Vec<Event>, cx: Context) -> Result<Step, Failure> {
        compose::begin(&config, &batch, &cx)
    }

    fn resume(config: String, continuation: Vec<u8>, answer: Response, cx: Context) -> Result<Step, Failure> {
        if continuation != CONTINUATION {
            return Err(Failure { code: "continuation".into(), text: "This plugin did not write the continuation.".into() });
        }
        let language = Config::parse(&config)?.language;
        Ok(Step::Done(outcome(&answer, cx.attempt, language)))
    }
}

impl Signer for Plugin {
    fn sign(secrets: Vec<(String, String)>, _request: Outline, now_ms: u64) -> Result<Vec<Stamp>, Failure> {
        Ok(sign::stamps(&secrets, now_ms))
    }
}

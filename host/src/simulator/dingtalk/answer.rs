//! DingTalk's answers: a code and a text, in an HTTP 200 whether it is yes or no.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// `errcode` and `errmsg`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The number that programs go by.
    pub errcode: i64,
    /// The text; DingTalk may change it.
    pub errmsg: Cow<'static, str>,
}

const fn fixed(errcode: i64, errmsg: &'static str) -> Answer {
    Answer { errcode, errmsg: Cow::Borrowed(errmsg) }
}

/// The group sees the message.
pub const OK: Answer = fixed(0, "ok");
/// Asked with another method.
pub const NOT_POST: Answer = fixed(43002, "require POST method");
/// The body is not declared as JSON.
pub const NOT_JSON_TYPE: Answer = fixed(43004, "invalid Content-Type header, require application/json");
/// No `access_token` in the query.
pub const NO_TOKEN: Answer = fixed(40035, "缺少参数 access_token");
/// The token is nobody's.
pub const UNKNOWN_TOKEN: Answer = fixed(300_005, "token is not exist");
/// The session is nobody's, or has expired.
pub const UNKNOWN_SESSION: Answer = fixed(300_001, "session 不存在");
/// No timestamp, not in milliseconds, or more than an hour off.
pub const BAD_TIMESTAMP: Answer = fixed(310_000, "invalid timestamp");
/// No signature, or a wrong one.
pub const BAD_SIGN: Answer = fixed(310_000, "sign not match");
/// None of the robot's keywords occurs.
pub const NO_KEYWORD: Answer = fixed(310_000, "keywords not in content");
/// The body is longer than 20,000 bytes.
pub const TOO_LONG: Answer = fixed(460_101, "message too long, exceed 20000 bytes");
/// More than 20 in a minute, or muted for that.
pub const TOO_FAST: Answer = fixed(130_101, "send too fast, exceed 20 times per minute");
/// The month's calls are used up.
pub const QUOTA_USED_UP: Answer = fixed(90030, "over limit");
/// Not one of the five types.
pub const BAD_MSGTYPE: Answer = fixed(400_105, "unsupported msgtype");
/// A markdown message without its text.
pub const NO_MARKDOWN_TEXT: Answer = fixed(400_403, "markdown text is missing");

/// A member is missing, of the wrong type, or unknown.
pub fn bad_parameter(what: impl std::fmt::Display) -> Answer {
    Answer { errcode: 40035, errmsg: Cow::Owned(format!("invalid parameter: {what}")) }
}

/// The caller's address is not on the robot's list.
pub fn ip_not_allowed(ip: IpAddr) -> Answer {
    Answer { errcode: 310_000, errmsg: Cow::Owned(format!("ip {ip} not in whitelist")) }
}

/// Any code, with the text that DingTalk's lists give it.
pub fn by_code(errcode: i64) -> Answer {
    let errmsg = match errcode {
        -1 => "system busy",
        88 | 15 => "timeout",
        40035 => return NO_TOKEN,
        43002 => return NOT_POST,
        43004 => return NOT_JSON_TYPE,
        90002 | 90018 => "QPS limit exceeded",
        90020 => "monthly API quota used up",
        90030 => return QUOTA_USED_UP,
        101_002 => "message is too long",
        130_101 => return TOO_FAST,
        300_001 => return UNKNOWN_SESSION,
        300_005 => return UNKNOWN_TOKEN,
        310_000 => return BAD_SIGN,
        400_013 => "group disbanded",
        400_101 => "access_token does not exist",
        400_102 => "robot disabled",
        400_105 => return BAD_MSGTYPE,
        400_106 => "robot does not exist",
        400_403 => return NO_MARKDOWN_TEXT,
        410_100 => "sending too fast, rate limited",
        430_101 => "unsafe link",
        430_102 => "improper text",
        430_103 => "improper image",
        430_104 => "improper content",
        460_101 => return TOO_LONG,
        660_026 => "sending too many messages per minute",
        _ => "unknown error",
    };
    fixed(errcode, errmsg)
}

//! DingTalk's error codes: what to do about each. The one place to change.

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Again after so many milliseconds; 0 leaves it to the host.
    Retry(u64),
    /// Again at most three times, then left alone for ten minutes.
    RetryThrice,
    /// Signed anew and sent again once, then given up.
    RetryOnce,
    /// Leave the robot alone for so many milliseconds.
    Throttle(u64),
    /// Given up.
    Reject,
}

/// What a code means, in both languages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) code: &'static str,
    /// The row holds if the text contains one of these, in small letters; always if there are none.
    pub(crate) words: &'static [&'static str],
    pub(crate) verdict: Verdict,
    pub(crate) english: &'static str,
    pub(crate) chinese: &'static str,
}

pub(crate) const TEN_MINUTES: u64 = 600_000;
pub(crate) const FIVE_MINUTES: u64 = 300_000;

const fn row(code: &'static str, verdict: Verdict, english: &'static str, chinese: &'static str) -> Row {
    Row { code, words: &[], verdict, english, chinese }
}

const fn where_it_says(words: &'static [&'static str], row: Row) -> Row {
    Row { words, ..row }
}

use Verdict::{Reject, Retry, RetryOnce, RetryThrice, Throttle};

const WAIT: (&str, &str) = ("Nothing to do: the robot is left alone for a while.", "无需处理：稍后会自动重发。");
const NEW_URL: (&str, &str) = (
    "Copy the webhook URL from the robot's settings in the group again; the robot may have been removed.",
    "请在群机器人设置中重新复制 Webhook 地址；机器人可能已被移除。",
);
const QUOTA: (&str, &str) = (
    "The quota of the month is used up: buy more, or lower monthly_budget and narrow the actions. Replay the dead letters afterwards.",
    "本月调用额度已用完：请购买额度，或调低 monthly_budget 并收窄动作范围，之后再重放死信。",
);
const UNSAFE: (&str, &str) = (
    "DingTalk's content check refused the message: look for the link or the words in the incident.",
    "内容未通过钉钉安全检查：请检查告警中的链接或文字。",
);
const TOO_LONG: (&str, &str) = ("The message is too long: shorten the connector's text template.", "消息过长：请缩短连接器的文本模板。");
const BUG: (&str, &str) = (
    "DingTalk does not understand the message: report it to the maintainers of incident-sink, with this text.",
    "钉钉无法识别该消息：请将此错误反馈给 incident-sink 的维护者。",
);
const APP: (&str, &str) = (
    "This code belongs to DingTalk's OpenAPI: check that url is a robot's webhook, /robot/send.",
    "该错误码属于钉钉 OpenAPI：请确认 url 是机器人的 Webhook（/robot/send）。",
);

/// Every code that is known; the first row that holds decides.
pub(crate) const TABLE: &[Row] = &[
    row("-1", RetryThrice, WAIT.0, WAIT.1),
    row("15", Retry(0), WAIT.0, WAIT.1),
    where_it_says(&["timeout", "time out", "超时"], row("88", Retry(0), WAIT.0, WAIT.1)),
    row("88", Reject, APP.0, APP.1),
    where_it_says(
        &["sign not match", "签名不匹配"],
        row(
            "310000",
            Reject,
            "Check the connector's secret: it is the SEC… string of exactly this robot.",
            "请检查连接器的 secret：必须是该机器人加签的 SEC… 密钥。",
        ),
    ),
    where_it_says(
        &["invalid timestamp", "签名过期"],
        row(
            "310000",
            RetryOnce,
            "Set this machine's clock: DingTalk takes at most one hour of difference.",
            "请校准本机时钟：与钉钉的时间差不能超过一小时。",
        ),
    ),
    where_it_says(
        &["keyword", "关键词"],
        row(
            "310000",
            Reject,
            "Write one of the robot's custom keywords into the connector's keywords.",
            "请将机器人的自定义关键词写入连接器的 keywords。",
        ),
    ),
    where_it_says(
        &["whitelist", "白名单", "ip "],
        row(
            "310000",
            Reject,
            "Add this host's public IPv4 address to the robot's IP allowlist.",
            "请将本机的公网 IPv4 地址加入机器人的 IP 白名单。",
        ),
    ),
    row(
        "310000",
        Reject,
        "Check the robot's security settings: signature, keywords and IP addresses.",
        "请检查机器人的安全设置：加签、关键词、IP 地址。",
    ),
    row("130101", Throttle(TEN_MINUTES), WAIT.0, WAIT.1),
    row("410100", Throttle(TEN_MINUTES), WAIT.0, WAIT.1),
    row("660026", Throttle(TEN_MINUTES), WAIT.0, WAIT.1),
    row("450101", Throttle(TEN_MINUTES), WAIT.0, WAIT.1),
    row("90002", Retry(1000), WAIT.0, WAIT.1),
    row("90018", Retry(1000), WAIT.0, WAIT.1),
    row("90020", Reject, QUOTA.0, QUOTA.1),
    row("90030", Reject, QUOTA.0, QUOTA.1),
    row("300001", Reject, NEW_URL.0, NEW_URL.1),
    row("300005", Reject, NEW_URL.0, NEW_URL.1),
    row("400101", Reject, NEW_URL.0, NEW_URL.1),
    row("400106", Reject, NEW_URL.0, NEW_URL.1),
    row("404", Reject, NEW_URL.0, NEW_URL.1),
    row(
        "400013",
        Reject,
        "The group was disbanded: remove the connector, or give it another robot's URL.",
        "群已解散：请删除该连接器，或换用其他机器人的地址。",
    ),
    row("400102", Reject, "The robot is disabled: switch it on in the group's settings.", "机器人已停用：请在群设置中启用。"),
    row(
        "40035",
        Reject,
        "The URL lacks access_token: copy the webhook URL from the robot's settings again.",
        "地址缺少 access_token：请重新复制机器人的 Webhook 地址。",
    ),
    row(
        "43002",
        Reject,
        "Something between here and DingTalk changes requests: check the proxy and the URL.",
        "请求在途中被修改：请检查代理与地址。",
    ),
    row("43004", Reject, "Something between here and DingTalk changes headers: check the proxy.", "请求头在途中被修改：请检查代理。"),
    row("400105", Reject, BUG.0, BUG.1),
    row("400403", Reject, BUG.0, BUG.1),
    row("40004", Reject, BUG.0, BUG.1),
    row("45008", Reject, BUG.0, BUG.1),
    row("430101", Reject, UNSAFE.0, UNSAFE.1),
    row("430102", Reject, UNSAFE.0, UNSAFE.1),
    row("430103", Reject, UNSAFE.0, UNSAFE.1),
    row("430104", Reject, UNSAFE.0, UNSAFE.1),
    row("460101", Reject, TOO_LONG.0, TOO_LONG.1),
    row("101002", Reject, TOO_LONG.0, TOO_LONG.1),
];

/// The row of a code and its text, if it is known.
pub(crate) fn find(code: &str, text: &str) -> Option<&'static Row> {
    let text = text.to_ascii_lowercase();
    TABLE.iter().find(|row| row.code == code && (row.words.is_empty() || row.words.iter().any(|word| text.contains(word))))
}

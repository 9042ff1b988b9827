//! Both drawings of the same messages.

use jiff::tz::TimeZone;
use serde_json::json;

use super::dingtalk::{Button, Link, Mentions, Shown};
use super::svg::{self, Picture};
use super::terminal::{self, Look};

fn shown(msgtype: &str, title: &str, text: &str) -> Shown {
    Shown {
        number: 1,
        at: 1_567_093_959_551,
        robot: "iLert".into(),
        msgtype: msgtype.into(),
        title: title.into(),
        text: text.into(),
        buttons: Vec::new(),
        side_by_side: false,
        links: Vec::new(),
        mentions: Mentions::default(),
        msg_uuid: None,
        raw: json!({}),
    }
}

fn button(title: &str) -> Button {
    Button { title: title.into(), url: "https://incidents.example.com/a".into() }
}

fn created() -> Shown {
    let text = "### <font color=#E5484D>PENDING</font> [PROBLEM Host Alert: app.compute is DOWN](https://example.ilert.com/2983781)\n\n\
        **Nagios Network and Hosts** · HIGH · #2983781\n\nAssigned to **Andreas Farmer** @13800000000 · policy *Default escalation*\n\n\
        > the host does not answer\n> since 17:49\n\n- disk: 97 %\n- load: 12 and rising, which is more than it has ever been\n\n\
        [Grafana](https://example.com) · Aug 29, 17:52";
    let mut card = shown("actionCard", "🔴 PENDING · app.compute is DOWN", text);
    card.buttons = ["Accept", "Resolve", "Open"].map(button).into();
    card.side_by_side = true;
    card.mentions.people = vec!["13800000000".into()];
    card
}

fn chinese() -> Shown {
    let text = "### <font color=#E5484D>待处理</font> 数据库主库不可用,应用无法写入订单,请尽快处理\n\n\
        **Zabbix** · 高 · #2983782\n\n负责人 **李雷** · 升级策略 *默认*";
    let mut card = shown("actionCard", "🔴 待处理 · 数据库主库不可用", text);
    card.buttons = ["接手", "解决", "打开"].map(button).into();
    card
}

fn feed() -> Shown {
    let mut card = shown("feedCard", "", "");
    card.links = ["app.compute is DOWN", "disk full on db-3"]
        .map(|title| Link { title: title.into(), url: "https://example.com".into(), picture: None })
        .into();
    card
}

#[test]
fn a_card_is_drawn_with_its_buttons_side_by_side() {
    insta::assert_snapshot!(terminal::draw(&created(), &Look::default()));
}

#[test]
fn a_narrow_card_measures_chinese_right() {
    insta::assert_snapshot!(terminal::draw(&chinese(), &Look { width: 36, zone: TimeZone::get("Asia/Shanghai").unwrap(), colour: false }));
}

#[test]
fn a_feed_and_a_plain_text_are_drawn() {
    let text = shown("text", "", "line **one**\nline two");
    insta::assert_snapshot!(terminal::draw(&feed(), &Look::default()) + &terminal::draw(&text, &Look::default()));
}

#[test]
fn colours_are_closed_again() {
    let drawn = terminal::draw(&created(), &Look { colour: true, ..Look::default() });
    insta::assert_snapshot!(drawn.replace('\x1b', "^"));
}

#[test]
fn every_line_of_a_card_is_equally_wide() {
    use unicode_width::UnicodeWidthStr;
    for card in [created(), chinese(), feed()] {
        for width in [24, 31, 64, 100] {
            let look = Look { width, ..Look::default() };
            let drawn = terminal::draw(&card, &look);
            let framed = drawn.lines().skip(usize::from(!card.title.is_empty()));
            assert!(framed.clone().all(|line| line.width() == width), "{drawn}");
        }
    }
}

#[test]
fn a_message_cannot_steer_the_terminal_or_the_picture() {
    let card = shown("markdown", "\x1b]0;title\x07", "a\x1b[2J\u{202e}b</text><script>&");
    let drawn = terminal::draw(&card, &Look::default());
    assert!(!drawn.contains(['\x1b', '\x07', '\u{202e}']), "{drawn:?}");
    let picture = svg::draw(&[card], &Picture { group: "a\"b".into(), ..Picture::default() });
    assert!(!picture.contains("<script") && !picture.contains('\x1b') && picture.contains("a&quot;b"));
}

#[test]
fn a_conversation_is_a_picture() {
    let mut resolved =
        shown("markdown", "", "### <font color=#30A46C>RESOLVED</font> app.compute is UP\n\nResolved by **Nagios** after 41 min");
    resolved.at += 2_460_000;
    let picture = svg::draw(&[created(), chinese(), feed(), resolved], &Picture::default());
    insta::assert_snapshot!(picture);
}

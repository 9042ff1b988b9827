//! What the plugin says, in English and in Chinese.

use alloc::format;
use alloc::string::{String, ToString};

use crate::time::{Local, Span, local};
use crate::types::{Action, Kind, Priority, Status, Timestamp};

/// The language of a connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, simplified.
    Chinese,
}

impl Language {
    /// One of two texts.
    pub(crate) fn pick<T>(self, english: T, chinese: T) -> T {
        match self {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    /// The state in one word. An unknown one is said as it came: escape it.
    pub(crate) fn status(self, status: &Status) -> &str {
        match status {
            Status::Pending => self.pick("PENDING", "待处理"),
            Status::Accepted => self.pick("ACCEPTED", "已接手"),
            Status::Resolved => self.pick("RESOLVED", "已解决"),
            Status::Other(word) => word,
        }
    }

    /// The priority, as a reader of lists knows it. An unknown one is said as it came: escape it.
    pub(crate) fn priority(self, priority: &Priority) -> &str {
        match priority {
            Priority::High => self.pick("HIGH", "高优先级"),
            Priority::Low => self.pick("LOW", "低优先级"),
            Priority::Other(word) => word,
        }
    }

    /// The label of a button. An unknown one is said as it came: escape it.
    pub(crate) fn button(self, action: &Action) -> &str {
        match action {
            Action::Open => self.pick("Open", "打开"),
            Action::Accept => self.pick("Accept", "接手"),
            Action::Resolve => self.pick("Resolve", "解决"),
            Action::Comment => self.pick("Comment", "评论"),
            Action::Other(word) => word,
        }
    }

    /// A length of time.
    pub(crate) fn span(self, span: Span) -> String {
        match (self, span) {
            (Language::English, Span::Moment) => "less than a minute".into(),
            (Language::English, Span::Minutes(m)) => format!("{m} min"),
            (Language::English, Span::Hours(h, 0)) => format!("{h} h"),
            (Language::English, Span::Hours(h, m)) => format!("{h} h {m} min"),
            (Language::English, Span::Days(d, 0)) => format!("{d} d"),
            (Language::English, Span::Days(d, h)) => format!("{d} d {h} h"),
            (Language::Chinese, Span::Moment) => "不到 1 分钟".into(),
            (Language::Chinese, Span::Minutes(m)) => format!("{m} 分钟"),
            (Language::Chinese, Span::Hours(h, 0)) => format!("{h} 小时"),
            (Language::Chinese, Span::Hours(h, m)) => format!("{h} 小时 {m} 分钟"),
            (Language::Chinese, Span::Days(d, 0)) => format!("{d} 天"),
            (Language::Chinese, Span::Days(d, h)) => format!("{d} 天 {h} 小时"),
        }
    }

    /// A day and a time with its zone; the year only if it is not this one.
    pub(crate) fn moment(self, at: Timestamp, now: Timestamp) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let Local { year, month, day, hour, minute } = local(at);
        let other_year = year != local(now).year;
        let zone = zone(at.offset_minutes);
        match self {
            Language::English => {
                let name = MONTHS[usize::from(month.clamp(1, 12)) - 1];
                let year = if other_year { format!(" {year}") } else { String::new() };
                format!("{name} {day}{year}, {hour:02}:{minute:02} ({zone})")
            }
            Language::Chinese => {
                let year = if other_year { format!("{year}年") } else { String::new() };
                format!("{year}{month}月{day}日 {hour:02}:{minute:02}（{zone}）")
            }
        }
    }
}

/// `17:52`, for lists.
pub(crate) fn clock(at: Timestamp) -> String {
    let Local { hour, minute, .. } = local(at);
    format!("{hour:02}:{minute:02}")
}

fn zone(minutes: i16) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
    match (hours, rest) {
        (0, 0) => "UTC".to_string(),
        (_, 0) => format!("UTC{sign}{hours}"),
        _ => format!("UTC{sign}{hours}:{rest:02}"),
    }
}

/// A state as a shape, for titles and lists: never colour alone.
pub(crate) fn shape(status: &Status) -> &'static str {
    match status {
        Status::Pending => "🔴",
        Status::Accepted => "🔵",
        Status::Resolved => "🟢",
        Status::Other(_) => "⚪",
    }
}

/// A state in iLert's colour.
pub(crate) fn colour(status: &Status) -> &'static str {
    match status {
        Status::Pending => "#E5484D",
        Status::Accepted => "#3E63DD",
        Status::Resolved => "#30A46C",
        Status::Other(_) => "#8B8D98",
    }
}

/// iLert's name of a kind, without a prefix: the key of `mentions`.
pub(crate) fn kind_name(kind: &Kind) -> &str {
    match kind {
        Kind::Created => "created",
        Kind::Assigned => "assigned",
        Kind::AutoEscalated => "auto-escalated",
        Kind::Acknowledged => "acknowledged",
        Kind::Raised => "raised",
        Kind::CommentAdded => "comment-added",
        Kind::Resolved => "resolved",
        Kind::AutoResolved => "auto-resolved",
        Kind::Rejected => "rejected",
        Kind::ResponderAdded => "responder-added",
        Kind::ResponderRemoved => "responder-removed",
        Kind::EscalationEnded => "escalation-ended",
        Kind::NotResolved => "not-resolved",
        Kind::Test => "test",
        Kind::Other(name) => name,
    }
}

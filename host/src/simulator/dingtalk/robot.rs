//! A custom robot as its group's owner set it up.

use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::secret::Secret;

/// A robot and its security settings; where several are set, all apply.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robot {
    /// What tests and the demo call it, and what the chat shows as the sender.
    pub name: String,
    /// The token in its webhook URL.
    pub access_token: Secret,
    /// Where set, every call must be signed with it.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Where any are set, a message must contain one of them.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Where any are set, the caller must come from one of them.
    #[serde(default)]
    pub ip_allowlist: Vec<IpRange>,
    /// Calls in a calendar month (of China).
    #[serde(default)]
    pub monthly_quota: Option<u64>,
}

impl Robot {
    /// A robot without a secret, keywords or limits beyond the usual ones.
    pub fn new(name: impl Into<String>, access_token: impl Into<String>) -> Self {
        Robot {
            name: name.into(),
            access_token: Secret::new(access_token),
            secret: None,
            keywords: Vec::new(),
            ip_allowlist: Vec::new(),
            monthly_quota: None,
        }
    }

    /// With signing on.
    #[must_use]
    pub fn signed(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(Secret::new(secret));
        self
    }

    /// With a keyword more.
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>) -> Self {
        self.keywords.push(keyword.into());
        self
    }
}

/// An IPv4 address or a CIDR block of them; DingTalk takes no IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct IpRange {
    base: u32,
    mask: u32,
}

/// What DingTalk's settings page would not take.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an IPv4 address nor a block such as 192.0.2.0/24")]
pub struct BadRange(String);

impl IpRange {
    /// Whether the address is in it.
    pub fn contains(self, ip: Ipv4Addr) -> bool {
        u32::from(ip) & self.mask == self.base
    }
}

impl TryFrom<String> for IpRange {
    type Error = BadRange;

    fn try_from(text: String) -> Result<Self, BadRange> {
        let parsed = match text.split_once('/') {
            None => text.parse::<Ipv4Addr>().ok().map(|ip| (ip, 32)),
            Some((ip, bits)) => ip.parse::<Ipv4Addr>().ok().zip(bits.parse::<u32>().ok().filter(|bits| *bits <= 32)),
        };
        let Some((ip, bits)) = parsed else { return Err(BadRange(text)) };
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Ok(IpRange { base: u32::from(ip) & mask, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_its_own_addresses_only() {
        let block = IpRange::try_from("192.0.2.128/25".to_owned()).unwrap();
        assert!(block.contains(Ipv4Addr::new(192, 0, 2, 200)));
        assert!(!block.contains(Ipv4Addr::new(192, 0, 2, 1)));
        assert!(IpRange::try_from("0.0.0.0/0".to_owned()).unwrap().contains(Ipv4Addr::LOCALHOST));
        assert!(!IpRange::try_from("10.0.0.1".to_owned()).unwrap().contains(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn what_is_no_ipv4_range_is_refused() {
        for text in ["::1", "10.0.0.0/33", "10.0.0", "10.0.0.0/", ""] {
            assert!(IpRange::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}

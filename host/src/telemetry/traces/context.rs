//! Ids of traces and spans, and where they come from. Pure.

use std::fmt;

use sha2::{Digest, Sha256};

/// A trace's id; not all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId(u128);

/// A span's id; not all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanId(u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TraceId {
    /// Whether a share of all traces has this one: the same answer everywhere.
    fn is_in(self, share: f64) -> bool {
        // The lower half, as OpenTelemetry's own samplers take it; a rounded last digit changes nothing that anybody sees.
        let place = (self.0 as u64) as f64 / u64::MAX as f64;
        share >= 1.0 || place < share
    }
}

impl SpanId {
    pub(super) fn random() -> SpanId {
        SpanId(fastrand::u64(1..))
    }
}

/// The trace that a sender's request is part of: W3C's `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    pub(super) span: SpanId,
    sampled: bool,
}

impl TraceParent {
    /// Reads the header's value. `None` for what is none: the trace then begins here.
    ///
    /// ```
    /// use incident_sink::telemetry::traces::TraceParent;
    /// assert!(TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_some());
    /// assert!(TraceParent::parse("00-00000000000000000000000000000000-b7ad6b7169203331-01").is_none());
    /// ```
    pub fn parse(value: &str) -> Option<TraceParent> {
        let mut parts = value.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        // Later versions may have more parts; the first has not, and ff is none.
        let is_known = version != 0xff && (version != 0 || parts.next().is_none());
        let (trace, span) = (TraceId(trace), SpanId(u64::try_from(span).ok()?));
        (is_known && trace.0 != 0 && span.0 != 0).then_some(TraceParent { trace, span, sampled: flags & 1 == 1 })
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// An event's place among the traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traced {
    pub(super) trace: TraceId,
    /// Of the span that received it first.
    pub(super) span: SpanId,
    pub(super) sampled: bool,
}

impl Traced {
    /// Of an event whose sender said nothing.
    pub(super) fn of_event(event: &str, share: f64) -> Traced {
        let digest: [u8; 32] = Sha256::new().chain_update(b"incident-sink event\0").chain_update(event).finalize().into();
        let number = |bytes: &[u8]| bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let (trace, rest) = digest.split_at(16);
        let trace = TraceId(number(trace).max(1));
        // The lower half of 16 bytes.
        Traced { trace, span: SpanId((number(rest) as u64).max(1)), sampled: trace.is_in(share) }
    }

    /// Of an event in its sender's trace, which says whether it is wanted.
    pub(super) fn of_sender(event: &str, sender: TraceParent) -> Traced {
        Traced { trace: sender.trace, sampled: sender.sampled, ..Traced::of_event(event, 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_as_w3c_has_it() {
        let parent = TraceParent::parse(GOOD).unwrap();
        assert_eq!(parent.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((parent.span.to_string().as_str(), parent.sampled), ("b7ad6b7169203331", true));
        assert!(!TraceParent::parse(&GOOD.replace("-01", "-00")).unwrap().sampled);
        assert!(TraceParent::parse(&format!("cc{}-later", GOOD.strip_prefix("00").unwrap())).is_some());
        let long = format!("{GOOD}-more");
        for bad in
            ["", "00", &GOOD.to_uppercase(), &GOOD.replace("00-", "ff-"), &GOOD.replace("b7ad6b7169203331", "0000000000000000"), &long]
        {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_event_is_in_one_trace_wherever_it_is_looked_at() {
        assert_eq!(Traced::of_event("e1", 1.0), Traced::of_event("e1", 1.0));
        assert_ne!(Traced::of_event("e1", 1.0).trace, Traced::of_event("e2", 1.0).trace);
        let parent = TraceParent::parse(GOOD).unwrap();
        assert_eq!(Traced::of_sender("e1", parent).span, Traced::of_event("e1", 0.0).span);
        assert_eq!(Traced::of_sender("e1", parent).trace, parent.trace);
    }

    #[test]
    fn a_share_of_the_traces_is_taken() {
        let taken = |share| (0..10_000).filter(|n| Traced::of_event(&format!("event {n}"), share).sampled).count();
        assert_eq!((taken(0.0), taken(1.0)), (0, 10_000));
        assert!((800..1_200).contains(&taken(0.1)), "{}", taken(0.1));
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "\\PC{0,60}", parts in prop::collection::vec("[0-9a-f]{0,33}", 0..6)) {
            let _ = TraceParent::parse(&value);
            let _ = TraceParent::parse(&parts.join("-"));
        }
    }
}

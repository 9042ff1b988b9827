//! The other side of the wire, on loopback: a DingTalk group and an iLert API that say no as the real ones do.
//!
//! The demo and the tests use the same two servers. [`dingtalk::DingTalk`] is a robot server that checks every message against DingTalk's
//! documentation and keeps what a group would see. [`ilert::Ilert`] is iLert's REST API, and posts the webhook events that follow from it.
//! Both run on a clock that can be moved ([`timeline::Timeline`]), both can be made to fail, and both answer to `/_sim/…` over HTTP,
//! so that a test of the real binary can steer them from another process. [`terminal`] and [`svg`] draw the conversation.

mod card;
pub mod demo;
pub mod dingtalk;
#[cfg(test)]
mod drawing_tests;
mod front;
pub mod ilert;
mod outgoing;
pub mod svg;
pub mod terminal;
pub mod timeline;
mod wrap;

use std::net::SocketAddr;
use std::time::Duration;

/// Why a simulator cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// It serves nobody but this machine.
    #[error("a simulator listens on loopback only, not on {0}: use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// The address is taken or forbidden.
    #[error("cannot listen on {addr}: {error}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// No such robot.
    #[error("there is no robot named `{0}`")]
    UnknownRobot(String),
    /// Two robots with one name or one token.
    #[error("the robot `{0}` has the name or the access token of another one")]
    DuplicateRobot(String),
    /// A fault with a status or a header that HTTP cannot carry.
    #[error("{0} is no possible answer")]
    BadFault(String),
    /// No such alert.
    #[error("there is no alert {0}")]
    UnknownAlert(u64),
    /// It is over, for good.
    #[error("alert {0} has been resolved already")]
    AlertResolved(u64),
    /// What was waited for did not come.
    #[error("waited {waited:?} for {wanted}, but saw {seen}")]
    TooFew {
        /// How many were asked for.
        wanted: u64,
        /// How many there were in the end.
        seen: u64,
        /// For how long.
        waited: Duration,
    },
    /// The HTTP client for outgoing calls cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    /// The robot's own address did not answer, or not in time.
    #[error("the robot's callback address does not answer: {0}")]
    Callback(String),
}

/// A message body, drawn as the chat would show it; `None` where it is no message that the chat takes.
pub fn draw_body(body: &[u8], robot: &str, colour: bool) -> Option<String> {
    let shown = dingtalk::read_message(body, robot)?;
    Some(terminal::draw(&shown, &terminal::Look { width: 64, colour, zone: jiff::tz::TimeZone::system() }))
}

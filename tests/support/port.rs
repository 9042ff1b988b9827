//! A port for a program that is to have the same one after a restart: for every test crate that includes this file.

use std::net::TcpListener;

/// Free a moment ago, and none of those that systems give to outgoing connections: nobody takes it by chance in the meantime.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..30_000)).take(1_000).find(is_free).expect("one of a thousand ports is free")
}

//! Ports of the loopback for servers that cannot be told "any".

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that is free on 127.0.0.1 and 127.0.0.2 now, below those that the kernel gives to clients.
///
/// Somebody else may take it before the server does: a server that does not come up is started again with another one.
///
/// # Panics
/// Panics if none is free.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time begin at different places.
    let start = (std::process::id() % 1000) as u16 * 20;
    (0..COUNT)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|&port| ["127.0.0.1", "127.0.0.2"].iter().all(|host| TcpListener::bind((*host, port)).is_ok()))
        .expect("a free port")
}

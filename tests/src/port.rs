//! Ports of the loopback interface for servers that cannot choose a free port themselves.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Returns a port that is free on 127.0.0.1 and 127.0.0.2 now, below those that the kernel gives to clients.
///
/// Another process may take it before the server does. A server that does not start is started again with another
/// port.
///
/// # Panics
/// Panics if no port is free.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time begin with different ports.
    let start = (std::process::id() % 1000) as u16 * 20;
    (0..COUNT)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|&port| ["127.0.0.1", "127.0.0.2"].iter().all(|host| TcpListener::bind((*host, port)).is_ok()))
        .expect("a free port")
}

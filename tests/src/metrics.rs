//! Metrics, as Prometheus gets them.

use crate::accounts::Accounts;
use crate::mailauth::Mailauth;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// The request of a scraper.
pub const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Returns the reply at this port, with its head; `None` if there is none.
pub fn scrape(port: u16) -> Option<String> {
    let mut client = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    client.write_all(GET).ok()?;
    let mut reply = String::new();
    client.read_to_string(&mut reply).ok()?;
    Some(reply)
}

/// Returns the metrics at this port; `None` if there are none.
pub fn metrics(port: u16) -> Option<String> {
    let reply = scrape(port)?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

/// Returns a whole configuration that serves metrics at `listen`.
pub fn with_metrics(accounts: &Accounts, socket: &Path, listen: &str, courier: &str) -> String {
    format!("{}[metrics]\nlisten = \"{listen}\"\n", Mailauth::config(accounts, socket, courier))
}

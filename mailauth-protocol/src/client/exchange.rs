//! One connection: sending a request and reading the reply.

use super::endpoint::Endpoint;
use super::reason::{Cause, Failure};
use super::reply_buffer::ReplyBuffer;
use super::socket::set_deadline;
use crate::Reply;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{SendFlags, send};
use std::time::Instant;

/// Connects to `endpoint`, sends `request`, and reads the reply into `buffer`, all before the deadline.
pub(super) fn exchange<'a>(
    endpoint: &Endpoint,
    request: &[u8],
    deadline: Instant,
    buffer: &'a mut ReplyBuffer,
) -> Result<Reply<'a>, Failure> {
    let allowed = deadline.saturating_duration_since(Instant::now());
    let failed = |connecting| move |cause: Cause| Failure { connecting, cause, limit: allowed };
    let channel = endpoint.open(deadline).map_err(failed(true))?;
    let socket = &channel.socket;
    set_deadline(socket, Timeout::Send, deadline).map_err(|errno| failed(false)(errno.into()))?;
    let (mut sent, mut unread) = (0, false);
    while let Some(rest) = request.get(sent..).filter(|rest| !rest.is_empty()) {
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            // The server has closed already; a reply that it sent before can still be read.
            Err(Errno::PIPE | Errno::CONNRESET) => {
                unread = true;
                break;
            }
            Err(errno) => return Err(failed(false)(errno.into())),
        }
    }
    buffer.clear();
    loop {
        set_deadline(socket, Timeout::Recv, deadline).map_err(|errno| failed(false)(errno.into()))?;
        let ended = match buffer.receive(socket) {
            Ok(count) => count == 0,
            Err(Errno::INTR) => false,
            // The server has closed with our request unread: it does not accept us, or has too many connections.
            Err(Errno::CONNRESET) => {
                unread = true;
                true
            }
            Err(errno) => return Err(failed(false)(errno.into())),
        };
        match Reply::read(buffer.bytes(), ended) {
            Reply::Incomplete => {}
            Reply::Nothing { .. } => break Ok(Reply::Nothing { unread }),
            _ => break Ok(Reply::read(buffer.bytes(), ended)),
        }
    }
}

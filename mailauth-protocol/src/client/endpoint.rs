//! Where a client's connection comes from.

use super::descriptors;
use super::reason::Cause;
use super::socket::set_deadline;
use super::trust::Trust;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, socketpair};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A way in.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// A daemon's socket, and who may listen there.
    Socket(PathBuf, Trust),
    /// A program that answers one request, with its arguments. It has no descriptor but the standard ones.
    Program(Vec<OsString>),
}

/// An open connection.
pub(super) struct Channel {
    pub socket: OwnedFd,
    /// Ended, if it has not by itself, when the connection is given up.
    _program: Option<Program>,
}

impl Endpoint {
    /// Connects before the deadline, to nobody but who may be asked.
    pub fn open(&self, deadline: Instant) -> Result<Channel, Cause> {
        let channel = self.connect(deadline)?;
        if let Endpoint::Socket(_, trust) = self {
            trust.judge(&channel.socket)?.map_err(Cause::Stranger)?;
        }
        Ok(channel)
    }

    /// Connects before the deadline, to whoever is there.
    pub fn connect(&self, deadline: Instant) -> Result<Channel, Errno> {
        match self {
            Endpoint::Socket(path, _) => {
                let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
                let address = SocketAddrUnix::new(path)?;
                loop {
                    // The send timeout bounds connecting too: unix(7) waits while the server's backlog is full.
                    set_deadline(&socket, Timeout::Send, deadline)?;
                    match connect(&socket, &address) {
                        Err(Errno::INTR) => {}
                        Err(errno) => return Err(errno),
                        Ok(()) => return Ok(Channel { socket, _program: None }),
                    }
                }
            }
            Endpoint::Program(command) => {
                let (program, arguments) = command.split_first().ok_or(Errno::NOENT)?;
                let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
                let other = theirs.try_clone().map_err(errno)?;
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .env_clear()
                    .stdin(Stdio::from(theirs))
                    .stdout(Stdio::from(other))
                    .stderr(Stdio::null());
                let program = Program(descriptors::standard_only(&mut command).spawn().map_err(errno)?);
                Ok(Channel { socket, _program: Some(program) })
            }
        }
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Socket(path, _) => path.display().fmt(f),
            Endpoint::Program(command) => command.iter().take(1).try_for_each(|program| program.display().fmt(f)),
        }
    }
}

/// A program that was started.
struct Program(Child);

impl Drop for Program {
    /// Leaves no process and no zombie behind. It has answered, or has had its time. Where the process that we live in
    /// ignores SIGCHLD, as Exim's for SMTP do, there is nothing to wait for, and the system says so.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

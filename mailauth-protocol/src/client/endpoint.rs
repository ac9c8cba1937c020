//! The endpoints that a client connects to: a socket, or a program that it starts.

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
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Something that answers requests.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// Socket of a daemon, and the users that may listen there.
    Socket(PathBuf, Trust),
    /// Program that answers one request, and its arguments. It inherits only the standard descriptors.
    Program(Vec<OsString>),
}

/// An open connection.
pub(super) struct Channel {
    pub socket: OwnedFd,
    /// Program at the other end. It is killed when the connection is dropped, if it is still running.
    _program: Option<Program>,
}

impl Endpoint {
    /// Connects before the deadline. Fails if the process that listens there is not trusted.
    pub fn open(&self, deadline: Instant) -> Result<Channel, Cause> {
        let channel = self.connect(deadline)?;
        if let Endpoint::Socket(_, trust) = self {
            trust.judge(&channel.socket)?.map_err(Cause::Untrusted)?;
        }
        Ok(channel)
    }

    /// Connects before the deadline, whether or not the process that listens there is trusted.
    pub fn connect(&self, deadline: Instant) -> Result<Channel, Errno> {
        match self {
            Endpoint::Socket(path, _) => connect_to(path, deadline),
            Endpoint::Program(command) => start(command),
        }
    }
}

fn connect_to(path: &Path, deadline: Instant) -> Result<Channel, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let address = SocketAddrUnix::new(path)?;
    loop {
        // The send timeout limits connect(2) too: unix(7) waits while the server's backlog is full.
        set_deadline(&socket, Timeout::Send, deadline)?;
        match connect(&socket, &address) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(()) => return Ok(Channel { socket, _program: None }),
        }
    }
}

fn start(command: &[OsString]) -> Result<Channel, Errno> {
    let (program, arguments) = command.split_first().ok_or(Errno::NOENT)?;
    let (socket, program_end) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let second = program_end.try_clone().map_err(errno)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::from(program_end))
        .stdout(Stdio::from(second))
        .stderr(Stdio::null());
    let program = Program(descriptors::standard_only(&mut command).spawn().map_err(errno)?);
    Ok(Channel { socket, _program: Some(program) })
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

/// A program that this process started.
struct Program(Child);

impl Drop for Program {
    /// Leaves no process and no zombie behind: the program has answered, or its time is over. If the process that this
    /// code runs in ignores SIGCHLD, as Exim's SMTP processes do, there is nothing to wait for, and wait(2) returns an
    /// error.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

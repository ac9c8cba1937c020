//! Answering one request on the standard input and output, for a program that answers while the daemon is away.

use super::login::{Login, LoginContext, Task};
use super::response::Response;
use crate::accept::access::PeerRights;
use crate::live_config::{AccessBySocket, LiveConfig};
use mailauth_core::Backend;
use mailauth_core::config::Config;
use mailauth_protocol::reply::FAIL;
use mailauth_protocol::request::{Parse, parse};
use mailauth_protocol::{Command, MAX_REQUEST, Request};
use std::io::{self, Read, Write};
use std::time::Instant;
use zeroize::Zeroizing;

/// Reads one request from `input` and writes the reply to `output`, within the time of `[courier] request`, unless
/// reading or writing itself takes longer.
///
/// The user of the caller is not checked: it has started this process, and may do what this process may do. Passwords
/// are not changed and accounts are not listed this way.
///
/// # Errors
/// Fails if reading or writing fails. In all other cases in which there is no answer, nothing is written, which means
/// "not now".
pub fn serve_stdio(backend: Backend, config: &Config, input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let deadline = Instant::now() + config.courier.request;
    let Some(request) = receive(input)? else { return Ok(()) };
    let requested_at = Instant::now();
    let access = AccessBySocket::new(&Default::default(), None).map_err(io::Error::other)?;
    let live = LiveConfig::new(&config.courier, &config.password.rules, backend, access, 1, 0);
    let (response, is_login) = respond(request, &live, deadline);
    match response {
        Response::Bytes(bytes) => {
            if is_login && *bytes == FAIL {
                // The time must not reveal the reason. This process has nothing else to do.
                let at = requested_at + config.login.refusal_time.of_one();
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
            }
            output.write_all(&bytes)
        }
        Response::NoAnswer => Ok(()),
        Response::Unsendable(login, why) => {
            tracing::warn!(login = login.as_str(), "the account cannot be sent: {why}");
            Ok(())
        }
    }
}

/// Returns the request, or `None` if the input is not a request.
fn receive(input: &mut dyn Read) -> io::Result<Option<Request>> {
    let mut buffer = Zeroizing::new(vec![0; MAX_REQUEST + 1]);
    let mut length = 0;
    loop {
        let count = input.read(buffer.get_mut(length..).unwrap_or_default())?;
        length += count;
        match parse(buffer.get(..length).unwrap_or_default(), count == 0) {
            Parse::Complete(request) => return Ok(Some(request)),
            Parse::Incomplete => {}
            Parse::Malformed(why) => {
                tracing::warn!(%why, "the input is not a request");
                return Ok(None);
            }
        }
    }
}

/// Returns the response, and true if the request is a login.
fn respond(request: Request, config: &LiveConfig, deadline: Instant) -> (Response, bool) {
    let rights = PeerRights { enumerate: false, passwd: false, clear: true, manage: false };
    let context = LoginContext { deadline, rights, send_clear: config.send_clear };
    match Task::new(request, context) {
        Task::Login(Login { request, options }) => {
            let answer = config.backend.authenticator.authenticate(request);
            (Response::account(answer, &options, config, rights), options.is_login)
        }
        Task::Other(request) => (respond_to_other(request.command, config, deadline), false),
    }
}

fn respond_to_other(command: Command, config: &LiveConfig, deadline: Instant) -> Response {
    match command {
        Command::Ask(question) => Response::route(&config.backend.router, &question, deadline),
        Command::Never(_) => Response::fail(),
        Command::LookUp { .. } | Command::LogIn { .. } | Command::Challenge { .. } => Response::NoAnswer,
        Command::ChangePassword { .. } | Command::Enumerate => Response::NoAnswer,
        Command::Flush(_) | Command::Status | Command::Throttle(_) => Response::NoAnswer,
        Command::Forget(_) | Command::Changed(_) => Response::NoAnswer,
    }
}

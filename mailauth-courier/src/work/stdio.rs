//! One request on a connection that is there already: for a program that stands in while the daemon is away.

use super::reply::{Form, Reply};
use crate::accept::peer::Rights;
use crate::live_config::{Accesses, Live};
use mailauth_core::authenticate::{self, Authority as _, Credential};
use mailauth_core::config::Config;
use mailauth_core::{Backend, Secret, Service};
use mailauth_protocol::MAX_REQUEST;
use mailauth_protocol::reply::FAIL;
use mailauth_protocol::request::{Command, Parse, Request, parse};
use std::io::{self, Read, Write};
use std::time::Instant;
use zeroize::Zeroizing;

/// Reads a request from `input` and writes the answer to `output`, within the time of `[courier] request`, as far as the
/// two do not keep us waiting themselves.
///
/// The caller is not asked who it is: it has started us, and may do what this process may. Passwords are not changed and
/// accounts not listed this way.
///
/// # Errors
/// When reading or writing fails. Whatever else keeps the answer away is "not now": nothing is written.
pub fn answer_one(backend: Backend, config: &Config, input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let deadline = Instant::now() + config.courier.request;
    let Some(request) = receive(input)? else { return Ok(()) };
    let (asked, is_login) = (Instant::now(), is_login(&request.command));
    let access = Accesses::new(&Default::default(), None).map_err(io::Error::other)?;
    let live = Live::new(&config.courier, &config.password.rules, backend, access, 1);
    match reply(request, &live, deadline) {
        Reply::Bytes(bytes) => {
            if is_login && *bytes == FAIL {
                // So that the time does not tell why. This process has nothing else to do.
                let at = asked + config.login.refusal_time.of_one();
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
            }
            output.write_all(&bytes)
        }
        Reply::Silence => Ok(()),
        Reply::Unsendable(login, why) => {
            tracing::warn!(login = login.as_str(), "the account cannot be sent: {why}");
            Ok(())
        }
    }
}

fn is_login(command: &Command) -> bool {
    matches!(command, Command::LogIn { .. } | Command::Challenge { .. })
}

/// A whole request; nothing for what is none.
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
                tracing::warn!(%why, "what was sent is no request");
                return Ok(None);
            }
        }
    }
}

fn reply(request: Request, live: &Live, deadline: Instant) -> Reply {
    let Request { client, command } = request;
    let ask = |service: Vec<u8>, login, credential, form: Form| {
        let service = Service::from_name(&service);
        let request = authenticate::Request { service, login, credential, client, deadline };
        let rights = Rights { enumerate: false, passwd: false, clear: true, manage: false };
        Reply::account(live.backend.authenticator.authenticate(request), &form, live, rights)
    };
    match command {
        Command::LookUp { service, login } => {
            let form = Form { looked_up: true, ..Form::of(&service) };
            ask(service, login, Credential::Secret, form)
        }
        Command::LogIn { service, login, password } => {
            let form = Form { sent: live.send_clear.then(|| Secret::clone(&password)), ..Form::of(&service) };
            ask(service, login, Credential::Password(password), form)
        }
        Command::Challenge { service, mechanism, response } => {
            let (login, form) = (response.login().to_vec(), Form::of(&service));
            ask(service, login, Credential::Cram(mechanism, response), form)
        }
        Command::Ask(question) => Reply::route(&live.backend.router, &question, deadline),
        Command::Never(_) => Reply::fail(),
        Command::ChangePassword { .. } | Command::Enumerate => Reply::Silence,
        Command::Status | Command::Throttle(_) => Reply::Silence,
        Command::Forget(_) | Command::Changed(_) => Reply::Silence,
    }
}

//! Requests and replies as bytes.

mod commands;
mod framing;
mod own_commands;
mod properties;
mod questions;
mod records;

use crate::request::parse;
use crate::{Command, Parse, Question, Request};
use mailauth_core::account::Password;
use mailauth_core::quota::Limits;
use mailauth_core::{Account, Login, Secret};

/// Returns a request as text that can be compared, including its secrets.
fn shown(request: Request) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let secret = |secret: &Secret| text(secret.expose());
    let command = match &request.command {
        Command::LookUp { service, login } => format!("look up {} for {}", text(login), text(service)),
        Command::LogIn { service, login, password } => {
            format!("log in {} with {} for {}", text(login), secret(password), text(service))
        }
        Command::Challenge { service, mechanism, response } => {
            let (login, challenge) = (text(response.login()), text(response.challenge()));
            let name = mechanism.name();
            format!("{name} {login} answers {} to {challenge} for {}", secret(response.digest()), text(service))
        }
        Command::ChangePassword { service, login, old, new } => {
            format!("change {} from {} to {} for {}", text(login), secret(old), secret(new), text(service))
        }
        Command::Enumerate => "enumerate".into(),
        Command::Flush(name) => format!("flush {name:?}"),
        Command::Status => "status".to_owned(),
        Command::Throttle(question) => format!("{question:?}"),
        Command::Changed(changed) => format!("changed {changed:?}"),
        Command::Forget(None) => "forget all".to_owned(),
        Command::Forget(Some(login)) => format!("forget {}", text(login)),
        Command::Ask(Question::Domain(name)) => format!("domain {}", text(name)),
        Command::Ask(Question::Account(address)) => format!("account of {}", text(address)),
        Command::Ask(Question::Alias(address)) => format!("alias {}", text(address)),
        Command::Ask(Question::SenderLogins(address)) => format!("logins of {}", text(address)),
        Command::Ask(Question::Recipient { address, size }) => format!("{size} bytes for {}", text(address)),
        Command::Ask(Question::Sender { login, address }) => format!("{} as {}", text(login), text(address)),
        Command::Never(_) => "never".into(),
    };
    request.client.map_or(command.clone(), |client| format!("{command}, at {client}"))
}

fn result(parse: Parse) -> String {
    match parse {
        Parse::Incomplete => "incomplete".into(),
        Parse::Complete(request) => shown(request),
        Parse::Malformed(why) => format!("malformed: {why:?}"),
    }
}

fn read(input: impl AsRef<[u8]>) -> String {
    result(parse(input.as_ref(), false))
}

fn read_body(body: &str) -> String {
    read(format!("AUTH {}\n{body}", body.len()))
}

fn account() -> Account {
    Account {
        login: Login::parse(b"anna@x.example", None).unwrap(),
        uid: 5000,
        gid: 5001,
        home: "/mail/anna".into(),
        maildir: Some("Maildir".into()),
        quota: Limits { bytes: Some(1000), messages: Some(10) },
        name: "Anna Example, room 5".into(),
        options: "disableimap=1".into(),
        password: Password("{SHA}xyz".into()),
    }
}

fn text(reply: &[u8]) -> String {
    String::from_utf8(reply.to_vec()).unwrap()
}

fn questions(about: &[u8]) -> [Question; 7] {
    [
        Question::Domain(about.to_vec()),
        Question::Account(about.to_vec()),
        Question::Alias(about.to_vec()),
        Question::SenderLogins(about.to_vec()),
        Question::Recipient { address: about.to_vec(), size: 0 },
        Question::Recipient { address: about.to_vec(), size: u64::MAX },
        Question::Sender { login: b"anna@x.example".to_vec(), address: about.to_vec() },
    ]
}

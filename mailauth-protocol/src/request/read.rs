//! Reading a request from the bytes that have arrived so far.

use super::{Command, Request};
use crate::question::Question;
use crate::throttle::ThrottleQuestion;
use crate::{MAX_BODY, MAX_LINE, MAX_METADATA};
use mailauth_core::DomainName;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::store::Changed;

/// Maximum length in bytes of the `TCPREMOTEIP` that is kept: the longest IPv6 address.
const MAX_CLIENT: usize = 39;

/// Reason why bytes are not a request. The client that sent them gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The input ended before the request was complete.
    #[error("the input ended in the middle")]
    Cut,
    /// A line has more than [`MAX_LINE`] bytes.
    #[error("a line of more than {MAX_LINE} bytes")]
    Line,
    /// The metadata has more than [`MAX_METADATA`] bytes.
    #[error("more than {MAX_METADATA} bytes of metadata")]
    Metadata,
    /// The first word is not a command.
    #[error("an unknown command")]
    Command,
    /// A field of the command is missing or cannot be read.
    #[error("a field is missing")]
    Field,
    /// The length is not a number from 0 to [`MAX_BODY`].
    #[error("a length that is not a number up to {MAX_BODY}")]
    Length,
}

/// Result of reading what has arrived of a request.
#[derive(Debug)]
pub enum Parse {
    /// More input is needed.
    Incomplete,
    /// The request is complete. Bytes after it are ignored.
    Complete(Request),
    /// The input is not a request, whatever may follow.
    Malformed(Malformed),
}

/// Reads the request at the beginning of `input`. If `ended` is true, no more input will arrive.
///
/// The result does not depend on the pieces in which the input arrived: once it is not [`Parse::Incomplete`], more
/// input does not change it.
pub fn parse(input: &[u8], ended: bool) -> Parse {
    match complete_request(input) {
        Ok(Some(request)) => Parse::Complete(request),
        Ok(None) if ended => Parse::Malformed(Malformed::Cut),
        Ok(None) => Parse::Incomplete,
        Err(why) => Parse::Malformed(why),
    }
}

fn complete_request(input: &[u8]) -> Result<Option<Request>, Malformed> {
    let mut client = None;
    let mut rest = input;
    loop {
        let Some((line, after)) = take_line(rest)? else { return Ok(None) };
        let (word, separator, value) = split_first(line);
        if separator != Some(b'=') {
            let command = command(word, value, after)?;
            return Ok(command.map(|command| Request { client, command }));
        }
        if input.len() - after.len() > MAX_METADATA {
            return Err(Malformed::Metadata);
        }
        if word == b"TCPREMOTEIP" {
            client = address(value);
        }
        rest = after;
    }
}

/// A part of a text, and the rest.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Returns the first line without its LF, and the rest; `None` if the line is not complete yet.
fn take_line(input: &[u8]) -> Result<Option<Split<'_>>, Malformed> {
    match input.iter().position(|b| *b == b'\n') {
        Some(length) if length > MAX_LINE => Err(Malformed::Line),
        None if input.len() > MAX_LINE => Err(Malformed::Line),
        None => Ok(None),
        Some(length) => Ok(Some((&input[..length], &input[length + 1..]))),
    }
}

/// Splits `line` at its first space or `=`, whichever comes first.
fn split_first(line: &[u8]) -> (&[u8], Option<u8>, &[u8]) {
    match line.iter().position(|b| *b == b' ' || *b == b'=') {
        Some(at) => (&line[..at], Some(line[at]), &line[at + 1..]),
        None => (line, None, b""),
    }
}

fn address(value: &[u8]) -> Option<String> {
    let value = &value[..value.len().min(MAX_CLIENT)];
    let plausible = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'%');
    (!value.is_empty() && value.iter().all(plausible)).then(|| String::from_utf8_lossy(value).into_owned())
}

fn command(word: &[u8], arguments: &[u8], after: &[u8]) -> Result<Option<Command>, Malformed> {
    match word {
        b"PRE" => look_up(arguments).map(Some),
        b"AUTH" => {
            let length = length(arguments)?;
            after.get(..length).map(auth).transpose()
        }
        b"PASSWD" => change_password(arguments).map(Some),
        b"ENUMERATE" if arguments.is_empty() => Ok(Some(Command::Enumerate)),
        b"STATUS" if arguments.is_empty() => Ok(Some(Command::Status)),
        b"ASK" => Question::parse(arguments).map(|question| Some(Command::Ask(question))).ok_or(Malformed::Field),
        b"THROTTLE" => {
            ThrottleQuestion::parse(arguments).map(|question| Some(Command::Throttle(question))).ok_or(Malformed::Field)
        }
        b"CHANGED" => changed(arguments).map(|changed| Some(Command::Changed(changed))).ok_or(Malformed::Field),
        b"FORGET" => Ok(Some(Command::Forget((!arguments.is_empty()).then(|| arguments.to_vec())))),
        b"FLUSH" if arguments.is_empty() => Ok(Some(Command::Flush(None))),
        b"FLUSH" => {
            let name = std::str::from_utf8(arguments).map_err(|_| Malformed::Field)?;
            Ok(Some(Command::Flush(Some(name.to_owned()))))
        }
        _ => Err(Malformed::Command),
    }
}

/// Reads `additions`, or a kind and its name, which is the rest of the line.
fn changed(arguments: &[u8]) -> Option<Changed> {
    let arguments = std::str::from_utf8(arguments).ok()?;
    match arguments.split_once(' ') {
        None if arguments == "additions" => Some(Changed::Additions),
        Some(("alias", address)) => Changed::alias(address),
        Some(("domain", name)) => DomainName::parse(name).ok().map(Changed::Domain),
        _ => None,
    }
}

/// Reads `module SP service SP login`, where the login is the rest of the line.
fn look_up(arguments: &[u8]) -> Result<Command, Malformed> {
    let (module, rest) = word(arguments).ok_or(Malformed::Field)?;
    let (service, rest) = word(rest).ok_or(Malformed::Field)?;
    let login = rest.iter().position(|b| *b != b' ').and_then(|start| rest.get(start..)).unwrap_or_default();
    match (login, module) {
        (b"", _) => Err(Malformed::Field),
        (_, b".") => Ok(Command::LookUp { service: service.to_vec(), login: login.to_vec() }),
        _ => Ok(Command::Never("a module by name")),
    }
}

/// Returns the first word, and what follows the space that ends it. Spaces before the word are skipped.
fn word(text: &[u8]) -> Option<Split<'_>> {
    let start = text.iter().position(|b| *b != b' ')?;
    let text = &text[start..];
    let end = text.iter().position(|b| *b == b' ')?;
    Some((&text[..end], &text[end + 1..]))
}

fn length(digits: &[u8]) -> Result<usize, Malformed> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.filter(|length| *length <= MAX_BODY).ok_or(Malformed::Length)
}

/// Reads the body of `AUTH`.
fn auth(body: &[u8]) -> Result<Command, Malformed> {
    let (service, rest) = split_line(body).filter(|(_, rest)| !rest.is_empty()).ok_or(Malformed::Field)?;
    let (authtype, data) = split_line(rest).unwrap_or((rest, b""));
    let (first, rest) = split_line(data).unwrap_or((data, b""));
    let (second, rest) = split_line(rest).unwrap_or((rest, b""));
    if !rest.iter().all(|b| *b == b'\n') {
        return Ok(Command::Never("more lines than a login and a password"));
    }
    if first.is_empty() || second.is_empty() {
        return Ok(Command::Never("an empty login or password"));
    }
    let service = service.to_vec();
    if authtype == b"login" {
        return Ok(Command::LogIn { service, login: first.to_vec(), password: second.into() });
    }
    let Some(mechanism) = CramMechanism::from_name(authtype) else {
        return Ok(Command::Never("an unknown authtype"));
    };
    Ok(match CramResponse::parse(first, second) {
        Some(response) => Command::Challenge { service, mechanism, response },
        None => Command::Never("a challenge or answer that is not valid base64"),
    })
}

fn split_line(text: &[u8]) -> Option<Split<'_>> {
    let end = text.iter().position(|b| *b == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

/// Reads `service TAB login TAB old TAB new`.
fn change_password(arguments: &[u8]) -> Result<Command, Malformed> {
    let mut fields = arguments.split(|b| *b == b'\t');
    let mut field = || fields.next().ok_or(Malformed::Field);
    let (service, login, old, new) = (field()?, field()?, field()?, field()?);
    if fields.next().is_some() {
        return Ok(Command::Never("a fifth field: a password with a TAB cannot be sent"));
    }
    if arguments.iter().any(|b| *b < 0x20 && *b != b'\t') {
        return Ok(Command::Never("a control character"));
    }
    let (service, login) = (service.to_vec(), login.to_vec());
    Ok(Command::ChangePassword { service, login, old: old.into(), new: new.into() })
}

//! Asking a person at a terminal, or reading lines where there is none.

use mailauth_core::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// The most bytes of a line.
const MAX_LINE: usize = 1024;

/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// Asks on the standard error, and reads a line of the standard input.
///
/// # Errors
/// When there is no more input, or a line is too long.
pub fn ask(question: &str) -> io::Result<Secret> {
    if isatty(io::stdin()) {
        write!(io::stderr(), "{question}")?;
    }
    line()
}

/// The same, and nothing of what is typed shows.
///
/// # Errors
/// As [`ask`], and after Ctrl-C.
pub fn ask_unseen(question: &str) -> io::Result<Secret> {
    if !isatty(io::stdin()) {
        return line();
    }
    let dark = Dark::new()?;
    write!(io::stderr(), "{question}")?;
    let line = line();
    drop(dark);
    writeln!(io::stderr())?;
    line.and_then(|line| match line.expose().contains(&INTERRUPT) {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => Ok(line),
    })
}

/// Byte by byte: what follows the line belongs to others.
fn line() -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut byte = [0];
    while line.len() < MAX_LINE {
        match io::stdin().read(&mut byte)? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => return Ok(line[..].into()),
            _ if byte[0] == b'\n' => return Ok(line[..].into()),
            _ if byte[0] == INTERRUPT => return Err(io::ErrorKind::Interrupted.into()),
            _ => line.push(byte[0]),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a line has more than {MAX_LINE} bytes")))
}

/// A terminal that shows nothing, until this is dropped. Ctrl-C is a byte like others, so that nothing leaves it dark.
struct Dark(Termios);

impl Dark {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut dark = before.clone();
        dark.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &dark)?;
        Ok(Dark(before))
    }
}

impl Drop for Dark {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

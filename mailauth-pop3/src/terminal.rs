//! Asks for values at a terminal, or reads lines if the input is not a terminal.

use mailauth_core::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Maximum number of bytes of a line.
const MAX_LINE: usize = 1024;

/// The byte that Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// Asks on the standard error, and reads a line from the standard input.
///
/// # Errors
/// Fails at the end of the input, or if the line is too long.
pub fn ask(question: &str) -> io::Result<Secret> {
    if isatty(io::stdin()) {
        write!(io::stderr(), "{question}")?;
    }
    line()
}

/// Asks in the same way without showing what is typed.
///
/// # Errors
/// Fails as [`ask`] does, and after Ctrl-C.
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

/// Reads a line byte by byte, because the bytes after it belong to other programs.
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

/// A terminal that does not echo until this is dropped. Ctrl-C is an ordinary byte meanwhile, so that the program cannot
/// end without turning the echo on again.
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

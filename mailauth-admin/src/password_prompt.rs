//! Passwords are typed at the terminal without an echo, or read from the standard input. They never come from an argument or
//! the environment, where other users of the machine could read them.

use crate::failure::{Exit, Failure};
use mailauth_core::Secret;
use mailauth_core::authenticate::MAX_PASSWORD;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

// The bytes that the keys send which end or change a line.
const INTERRUPT: u8 = 3;
const END_OF_INPUT: u8 = 4;
const BACKSPACE: u8 = 8;
const KILL_LINE: u8 = 21;
const DELETE: u8 = 127;

/// Asks for an existing password.
pub fn ask(question: &str) -> Result<Secret, Failure> {
    let mut terminal = Terminal::open()?;
    terminal.ask(question)
}

/// Asks for a new password, twice.
pub fn ask_new(question: &str) -> Result<Secret, Failure> {
    let mut terminal = Terminal::open()?;
    let first = terminal.ask(question)?;
    if !terminal.ask("Repeat the password: ")?.matches(first.expose()) {
        return Err(Failure::no("the two passwords differ; nothing was changed"));
    }
    Ok(first)
}

/// Reads the password from the standard input: all of the input, without the line end.
pub fn from_stdin() -> Result<Secret, Failure> {
    read_all(io::stdin().lock(), "password", MAX_PASSWORD)
}

/// Maximum number of bytes of a hash.
const MAX_HASH: usize = 4096;

/// Reads a stored password from the standard input, in the same way.
pub fn hash_from_stdin() -> Result<Secret, Failure> {
    read_all(io::stdin().lock(), "hash", MAX_HASH)
}

/// Reads a stored password from an open descriptor of this process, in the same way.
pub fn hash_from_descriptor(number: u32) -> Result<Secret, Failure> {
    let file = File::open(format!("/proc/self/fd/{number}")).map_err(|error| {
        Failure::usage(format!("the descriptor {number} cannot be read: {error}; open it with {number}<FILE"))
    })?;
    read_all(file, "hash", MAX_HASH)
}

fn read_all(input: impl Read, what: &str, longest: usize) -> Result<Secret, Failure> {
    // There is room for all of it: a buffer that grows would leave copies behind.
    let most = longest + "\u{feff}\r\n".len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let mut chunk = Zeroizing::new([0; 512]);
    let mut input = input.take(most as u64 + 1);
    loop {
        match input.read(&mut *chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::not_now(format!("the standard input cannot be read: {error}"))),
        }
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").filter(|_| line.len() < bytes.len()).unwrap_or(line);
    // Editors of other systems begin a file with a byte order mark.
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::usage(format!("there is no {what} on the standard input")));
    }
    if line.contains(&b'\n') {
        return Err(Failure::usage(format!(
            "the standard input has more than one line; it must contain only the {what}"
        )));
    }
    if line.len() > longest {
        return Err(Failure::usage(format!("the {what} is longer than {longest} bytes")));
    }
    Ok(Secret::from(line))
}

/// The terminal, which does not echo until this is dropped.
///
/// Ctrl-C is an ordinary byte meanwhile, so that the echo is turned on again in every case except a kill.
struct Terminal {
    file: File,
    before: Termios,
}

impl Terminal {
    fn open() -> Result<Self, Failure> {
        let none =
            "there is no terminal to ask for the password; use --password-stdin to read it from the standard input";
        let file = File::options().read(true).write(true).open("/dev/tty").map_err(|_| Failure::usage(none))?;
        let before = tcgetattr(&file).map_err(|_| Failure::usage(none))?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&file, OptionalActions::Flush, &silent).map_err(|_| Failure::usage(none))?;
        Ok(Terminal { file, before })
    }

    fn ask(&mut self, question: &str) -> Result<Secret, Failure> {
        let lost = |error: io::Error| Failure::not_now(format!("the terminal is gone: {error}"));
        self.file.write_all(question.as_bytes()).map_err(lost)?;
        let line = self.line().map_err(lost)?;
        self.file.write_all(b"\n").map_err(lost)?;
        match line {
            // The user pressed Ctrl-C before anything was done.
            None => Err(Failure::new(Exit::No, "interrupted; nothing was changed")),
            Some(line) if line.is_empty() => Err(Failure::no("the password is empty; nothing was changed")),
            Some(line) => Ok(Secret::from(line.as_slice())),
        }
    }

    /// Reads a line as it is typed; `None` if it was interrupted. Bytes beyond the maximum length of a password are
    /// dropped, which the length of the result shows.
    fn line(&mut self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD + 1));
        let mut key = Zeroizing::new([0]);
        loop {
            match self.file.read(&mut *key) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            match key[0] {
                b'\r' | b'\n' => return Ok(Some(line)),
                INTERRUPT => return Ok(None),
                END_OF_INPUT if line.is_empty() => return Ok(None),
                KILL_LINE => line.clear(),
                BACKSPACE | DELETE => remove_character(&mut line),
                other if line.len() <= MAX_PASSWORD => line.push(other),
                _ => {}
            }
        }
    }
}

/// Removes the last character, which may have several bytes in UTF-8.
fn remove_character(line: &mut Vec<u8>) {
    while let Some(byte) = line.pop() {
        let continuation = byte & 0b1100_0000 == 0b1000_0000;
        if !continuation {
            return;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error cannot be reported here.
        let _ = tcsetattr(&self.file, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_is_not_part_of_the_password() {
        let read = |text: &[u8]| read_all(text, "password", MAX_PASSWORD).unwrap().expose().to_vec();
        assert_eq!(read(b"secret"), b"secret");
        assert_eq!(read(b"secret\n"), b"secret");
        assert_eq!(read(b"se cret \r\n"), b"se cret ");
        assert_eq!(read(b"secret\r"), b"secret\r");
        assert_eq!(read("\u{feff}sécret\r\n".as_bytes()), "sécret".as_bytes());
        assert_eq!(read(&[b"\xff".repeat(MAX_PASSWORD), b"\r\n".to_vec()].concat()).len(), MAX_PASSWORD);
    }

    #[test]
    fn input_that_is_not_one_password_is_rejected() {
        for text in [
            &b""[..],
            "\u{feff}\n".as_bytes(),
            b"\n",
            b"\r\n",
            b"a\nb",
            b"a\n\n",
            &[b'x'; MAX_PASSWORD + 1],
            &[b'x'; 100_000],
        ] {
            assert_eq!(read_all(text, "password", MAX_PASSWORD).unwrap_err().exit, Exit::Usage);
        }
    }

    #[test]
    fn backspace_removes_a_whole_character() {
        let mut line = "aé€".as_bytes().to_vec();
        remove_character(&mut line);
        assert_eq!(line, "aé".as_bytes());
        remove_character(&mut line);
        remove_character(&mut line);
        remove_character(&mut line);
        assert_eq!(line, b"");
    }
}

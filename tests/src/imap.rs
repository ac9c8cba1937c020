//! An IMAP client (RFC 3501) that can log in and read a mailbox.

use crate::line::LineClient;

/// A connection to an IMAP server.
pub struct Imap(LineClient);

impl Imap {
    /// Connects and waits for the greeting.
    ///
    /// # Panics
    /// Panics if there is no greeting.
    pub fn connect(port: u16) -> Self {
        let mut client = LineClient::connect(port);
        let greeting = client.line().expect("a greeting");
        assert!(greeting.starts_with("* OK "), "{greeting}");
        Imap(client)
    }

    /// Sends a command and returns the reply, up to the line with its tag or the end of the connection: untagged
    /// responses (a literal is appended to its line) and the last line without the tag.
    ///
    /// # Panics
    /// Panics if the server is silent for too long.
    pub fn command(&mut self, command: &str) -> Vec<String> {
        self.0.send(&format!("t {command}"));
        self.answer()
    }

    /// Appends a message to a mailbox, and returns what [`Imap::command`] does.
    ///
    /// # Panics
    /// Panics if the server refuses it, or is silent for too long.
    pub fn append(&mut self, mailbox: &str, message: &str) -> Vec<String> {
        let message = message.replace('\n', "\r\n");
        self.0.send(&format!("t APPEND {mailbox} {{{}}}", message.len()));
        let invitation = self.0.line().expect("an invitation");
        assert!(invitation.starts_with('+'), "{invitation}");
        self.0.send(&message);
        self.answer()
    }

    fn answer(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(mut line) = self.0.line() {
            if let Some(end) = line.strip_prefix("t ") {
                said.push(end.to_owned());
                break;
            }
            while let Some(count) = literal(&line) {
                line.push('\n');
                line.push_str(&self.0.bytes(count));
                line.push_str(&self.0.line().unwrap_or_default());
            }
            said.push(line);
        }
        said
    }

    /// Logs in and returns the last response of the server: `OK ...`, `NO ...` or `* BYE ...`.
    ///
    /// # Panics
    /// Panics if there is no response.
    pub fn login(&mut self, login: &str, password: &str) -> String {
        self.command(&format!("LOGIN \"{login}\" \"{password}\"")).pop().expect("an answer")
    }
}

/// Returns the length of the literal that a line announces at its end.
fn literal(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

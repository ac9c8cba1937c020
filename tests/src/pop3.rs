//! A POP3 client (RFC 1939) that can log in and read a mailbox.

use crate::line::LineClient;

/// A connection to a POP3 server.
pub struct Pop3(LineClient);

impl Pop3 {
    /// Connects and waits for the greeting.
    ///
    /// # Panics
    /// Panics if there is no greeting.
    pub fn connect(port: u16) -> Self {
        let mut client = LineClient::connect(port);
        let greeting = client.line().expect("a greeting");
        assert!(greeting.starts_with("+OK"), "{greeting}");
        Pop3(client)
    }

    /// Sends a command and returns the first line of the answer.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub fn command(&mut self, command: &str) -> String {
        self.0.send(command);
        self.0.line().expect("an answer")
    }

    /// Sends a command whose answer has several lines, and returns those after the first.
    ///
    /// # Panics
    /// Panics if the server refuses.
    pub fn lines(&mut self, command: &str) -> Vec<String> {
        let first = self.command(command);
        assert!(first.starts_with("+OK"), "{command}: {first}");
        std::iter::from_fn(|| self.0.line()).take_while(|line| line != ".").collect()
    }

    /// Logs in and returns the server's answer to the password.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub fn login(&mut self, login: &str, password: &str) -> String {
        let first = self.command(&format!("USER {login}"));
        assert!(first.starts_with("+OK"), "{first}");
        self.command(&format!("PASS {password}"))
    }
}

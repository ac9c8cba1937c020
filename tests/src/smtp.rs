//! A strict SMTP client (RFC 5321, 4954, 3207) that can log in and send a message.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any timeout of a server.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection to an SMTP server that has sent its greeting and its extensions.
pub struct Smtp {
    wire: BufReader<Wire>,
    extensions: Vec<String>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// A complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// Text after the code, with the lines of the reply.
    pub text: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl Smtp {
    /// Connects to a port of the loopback interface, waits for the greeting and sends EHLO.
    ///
    /// # Panics
    /// Panics if the server does not answer as expected.
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server on the port");
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        let mut smtp = Smtp { wire: BufReader::new(Wire::Plain(stream)), extensions: Vec::new() };
        let greeting = smtp.reply();
        assert_eq!(greeting.code, 220, "{greeting}");
        smtp.ehlo();
        smtp
    }

    /// Does the same with TLS, if this authority has signed the server's certificate for `localhost`.
    ///
    /// # Panics
    /// Panics as [`Smtp::connect`] does, and if the certificate is not valid.
    pub fn connect_tls(port: u16, authority: &Path) -> Self {
        let mut smtp = Self::connect(port);
        assert!(smtp.offers("STARTTLS"), "{:?}", smtp.extensions);
        assert_eq!(smtp.command("STARTTLS").code, 220);
        assert!(smtp.wire.buffer().is_empty(), "clear text after the answer to STARTTLS");
        let Wire::Plain(stream) = smtp.wire.into_inner() else { unreachable!("TLS begins once") };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority).expect("the authority's certificate") {
            roots.add(certificate.expect("a certificate")).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let wire = Wire::Tls(Box::new(StreamOwned::new(connection, stream)));
        let mut smtp = Smtp { wire: BufReader::new(wire), extensions: Vec::new() };
        smtp.ehlo();
        smtp
    }

    fn ehlo(&mut self) {
        let reply = self.command("EHLO client.example");
        assert_eq!(reply.code, 250, "{reply}");
        self.extensions = reply.text.lines().skip(1).map(str::to_owned).collect();
    }

    /// Returns true if the last answer to EHLO has a line that begins with these words.
    pub fn offers(&self, words: &str) -> bool {
        let words: Vec<&str> = words.split(' ').collect();
        self.extensions.iter().any(|line| line.split(' ').take(words.len()).eq(words.iter().copied()))
    }

    /// Returns the mechanisms that the server offers.
    pub fn mechanisms(&self) -> Vec<&str> {
        self.extensions.iter().filter_map(|line| line.strip_prefix("AUTH ")).flat_map(|line| line.split(' ')).collect()
    }

    /// Sends a command and waits for the reply.
    ///
    /// # Panics
    /// Panics if there is no reply, or one that the standard does not allow.
    pub fn command(&mut self, command: impl AsRef<[u8]>) -> Reply {
        self.send(command.as_ref());
        self.reply()
    }

    fn send(&mut self, line: &[u8]) {
        let wire = self.wire.get_mut();
        // A server that has said goodbye may be gone already. What it sent can still be read.
        let _ = wire.write_all(&[line, b"\r\n"].concat()).and_then(|()| wire.flush());
    }

    fn reply(&mut self) -> Reply {
        let mut reply = self.line().expect("a reply before the end of the connection");
        while reply.1 {
            let (next, more) = self.line().expect("the rest of a reply");
            assert_eq!(next.code, reply.0.code, "a reply with two codes");
            reply = (Reply { text: format!("{}\n{}", reply.0.text, next.text), ..next }, more);
        }
        reply.0
    }

    /// Reads a line of a reply, and whether more lines follow. `None` at the end of the connection.
    fn line(&mut self) -> Option<(Reply, bool)> {
        let mut line = Vec::new();
        let length = self.wire.read_until(b'\n', &mut line).expect("a line within the time limit");
        if length == 0 {
            return None;
        }
        let line = String::from_utf8(line).expect("a reply in ASCII or UTF-8");
        let text = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("no end of line: {line:?}"));
        assert!(text.len() <= 510 && !text.contains(['\r', '\0']), "not a line of SMTP: {text:?}");
        let (code, rest) = text.split_at_checked(3).unwrap_or_else(|| panic!("not a reply: {text:?}"));
        let code = code.parse().unwrap_or_else(|_| panic!("not a reply: {text:?}"));
        assert!((200..600).contains(&code), "not a reply: {text:?}");
        let more = rest.starts_with('-');
        assert!(more || rest.is_empty() || rest.starts_with(' '), "not a reply: {text:?}");
        Some((Reply { code, text: rest.get(1..).unwrap_or_default().to_owned() }, more))
    }

    /// Logs in with AUTH PLAIN in one line.
    ///
    /// # Panics
    /// Panics as [`Smtp::command`] does.
    pub fn auth_plain(&mut self, login: &[u8], password: &[u8]) -> Reply {
        let response = [b"\0", login, b"\0", password].concat();
        self.command(format!("AUTH PLAIN {}", base64(&response)))
    }

    /// Logs in with AUTH LOGIN.
    ///
    /// # Panics
    /// Panics as [`Smtp::command`] does, and if the server does not ask for login and password.
    pub fn auth_login(&mut self, login: &[u8], password: &[u8]) -> Reply {
        for (command, prompt) in [("AUTH LOGIN".to_owned(), "Username:"), (base64(login), "Password:")] {
            let reply = self.command(command);
            assert_eq!((reply.code, reply.text), (334, base64(prompt.as_bytes())));
        }
        self.command(base64(password))
    }

    /// Logs in with AUTH CRAM-MD5, with the response that `respond` returns for the challenge.
    ///
    /// # Panics
    /// Panics as [`Smtp::command`] does, and if the server sends no challenge.
    pub fn auth_cram_md5(&mut self, respond: impl FnOnce(&str) -> String) -> Reply {
        let challenge = self.command("AUTH CRAM-MD5");
        assert_eq!(challenge.code, 334, "{challenge}");
        self.command(respond(&challenge.text))
    }

    /// Begins a message.
    ///
    /// # Panics
    /// Panics if the server does not accept the sender.
    pub fn mail(&mut self, sender: &str, size: Option<u64>) {
        let size = size.map_or_else(String::new, |size| format!(" SIZE={size}"));
        let reply = self.command(format!("MAIL FROM:<{sender}>{size}"));
        assert_eq!(reply.code, 250, "{reply}");
    }

    /// Names a recipient.
    ///
    /// # Panics
    /// Panics as [`Smtp::command`] does.
    pub fn rcpt(&mut self, address: &str) -> Reply {
        self.command(format!("RCPT TO:<{address}>"))
    }

    /// Sends the message to the recipients that were accepted.
    ///
    /// # Panics
    /// Panics as [`Smtp::command`] does.
    pub fn data(&mut self, message: &str) -> Reply {
        let reply = self.command("DATA");
        if reply.code != 354 {
            return reply;
        }
        for line in message.lines() {
            let dot = if line.starts_with('.') { "." } else { "" };
            self.send(format!("{dot}{line}").as_bytes());
        }
        self.command(".")
    }

    /// Sends QUIT and waits until the server has closed the connection.
    ///
    /// # Panics
    /// Panics if it does not.
    pub fn quit(mut self) {
        assert_eq!(self.command("QUIT").code, 221);
        let mut rest = Vec::new();
        // TLS may end without a notice.
        let end = self.wire.read_to_end(&mut rest);
        assert!(
            rest.is_empty() && end.is_ok_and(|count| count == 0) || rest.is_empty(),
            "output after the end of the session"
        );
    }
}

/// Encodes bytes in padded standard base64.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([0, 0].iter()).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            let letter = if place <= chunk.len() { LETTERS[bits >> (18 - 6 * place) & 63] } else { b'=' };
            text.push(char::from(letter));
        }
    }
    text
}

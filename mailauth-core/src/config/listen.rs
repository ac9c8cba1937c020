//! `[dovecot]` and `[postfix]`: sockets on which other protocols are spoken, on connections that are kept.

use super::value::{Result, Value};
use super::written::{Written, mode};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::de::DeValue;

/// `[dovecot]`: the sockets on which Dovecot's authentication protocol is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DovecotConfig {
    /// `client_socket`: for mail servers that ask for logins, such as Postfix and Exim.
    pub client: Vec<ListenSocket>,
    /// `login_socket`: for Dovecot's login processes.
    pub login: Vec<ListenSocket>,
    /// `userdb_socket`: for Dovecot's programs that look accounts up.
    pub userdb: Vec<ListenSocket>,
    /// `master_socket`: for Dovecot's mail processes, which ask for the account of a login.
    pub master: Vec<ListenSocket>,
    /// `mechanisms`: names of the SASL mechanisms that are announced, in this order.
    pub mechanisms: Vec<String>,
    /// `require_secured`: whether passwords in clear are refused on connections of mail clients without TLS.
    pub require_secured: bool,
    /// `max_connections`: maximum number of connections on the sockets of this section and of `[postfix]`. Additional
    /// ones are closed at once.
    pub max_connections: usize,
}

impl Default for DovecotConfig {
    fn default() -> Self {
        DovecotConfig {
            client: Vec::new(),
            login: Vec::new(),
            userdb: Vec::new(),
            master: Vec::new(),
            mechanisms: ["PLAIN", "LOGIN"].map(str::to_owned).to_vec(),
            require_secured: false,
            max_connections: 4000,
        }
    }
}

/// `[postfix]`: the sockets on which Postfix looks addresses up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostfixConfig {
    /// `socketmap_socket`: for lookup tables, as in socketmap_table(5).
    pub socketmap: Vec<ListenSocket>,
    /// `policy_socket`: for `check_policy_service`.
    pub policy: Vec<ListenSocket>,
}

/// A socket on which the daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSocket {
    /// Its path or port.
    pub address: ListenAddress,
    /// Name or number of the user that the socket's file belongs to; `None`: the user that starts the daemon.
    pub user: Option<String>,
    /// Name or number of the file's group; `None`: the group of the user that starts the daemon.
    pub group: Option<String>,
    /// Permission bits of the file.
    pub mode: u32,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An absolute path.
    Unix(PathBuf),
    /// A loopback address and a port.
    Tcp(SocketAddr),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Unix(path) => path.display().fmt(f),
            ListenAddress::Tcp(address) => address.fmt(f),
        }
    }
}

/// The mechanisms that can be announced.
const MECHANISMS: [&str; 5] = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"];

const ADVICE: &str = "write a path such as \"/run/mailauth/auth\", a table such as { path = \"/run/mailauth/auth\", user = \
    \"postfix\", group = \"postfix\", mode = \"0660\" }, or a list of these";

impl Value<'_> {
    /// Returns sockets, of which those without a mode have the mode `default`.
    pub fn listen_sockets(&self, default: u32) -> Result<Vec<ListenSocket>> {
        match self.0 {
            DeValue::Array(list) => list.iter().map(|item| Value(item.get_ref()).listen_socket(default)).collect(),
            _ => self.listen_socket(default).map(|socket| vec![socket]),
        }
    }

    fn listen_socket(&self, mode: u32) -> Result<ListenSocket> {
        match self.0 {
            DeValue::String(_) => Ok(ListenSocket { address: self.listen_address()?, user: None, group: None, mode }),
            DeValue::Table(table) => {
                let (mut address, mut socket) = (None, (None, None, mode));
                for (name, value) in table {
                    let value = Value(value.get_ref());
                    match &**name.get_ref() {
                        "path" => address = Some(value.listen_address()?),
                        "user" => socket.0 = Some(value.name()?),
                        "group" => socket.1 = Some(value.name()?),
                        "mode" => socket.2 = value.mode()?,
                        other => return Err(format!("has no key {other:?}; {ADVICE}")),
                    }
                }
                let Some(address) = address else { return Err(format!("names no path; {ADVICE}")) };
                let (user, group, mode) = socket;
                Ok(ListenSocket { address, user, group, mode })
            }
            _ => self.wrong("a socket", ADVICE),
        }
    }

    fn listen_address(&self) -> Result<ListenAddress> {
        let text = self.text()?;
        let advice = "write an absolute path, or a port of this machine such as \"127.0.0.1:12345\"";
        if text.starts_with('/') {
            return self.socket().map(ListenAddress::Unix);
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => self.wrong("an address with a usable port", advice),
            Ok(address) if address.ip().is_loopback() => Ok(ListenAddress::Tcp(address)),
            Ok(_) => self.wrong("a loopback address, and clients are not authenticated", advice),
            Err(_) => self.wrong("an absolute path or an address with a port", advice),
        }
    }

    /// Returns sockets that are paths, and not ports: a client of such a socket may ask about every account.
    pub fn listen_paths(&self, default: u32) -> Result<Vec<ListenSocket>> {
        let sockets = self.listen_sockets(default)?;
        match sockets.iter().any(|socket| matches!(socket.address, ListenAddress::Tcp(_))) {
            true => self.wrong("a path, and only client_socket may be a port", ADVICE),
            false => Ok(sockets),
        }
    }

    /// Returns names of SASL mechanisms.
    pub fn mechanisms(&self) -> Result<Vec<String>> {
        let known = MECHANISMS.join(", ");
        let names = self.texts()?;
        if names.is_empty() {
            return Err(format!("is empty, and every client needs a mechanism; write some of {known}"));
        }
        let upper: Vec<String> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        match upper.iter().find(|name| !MECHANISMS.contains(&name.as_str())) {
            Some(unknown) => Err(format!("{unknown:?} is not a mechanism; write some of {known}")),
            None => Ok(upper),
        }
    }
}

/// Returns sockets as they are written; `None` if there are none.
pub(super) fn sockets(list: &[ListenSocket]) -> Option<toml::Value> {
    match list {
        [] => None,
        [one] => one.written(),
        several => Some(toml::Value::Array(several.iter().filter_map(Written::written).collect())),
    }
}

impl Written for ListenSocket {
    fn written(&self) -> Option<toml::Value> {
        let mut table = toml::Table::new();
        table.insert("path".to_owned(), toml::Value::String(self.address.to_string()));
        for (name, value) in [("user", self.user.written()), ("group", self.group.written()), ("mode", mode(self.mode))]
        {
            if let Some(value) = value {
                table.insert(name.to_owned(), value);
            }
        }
        Some(toml::Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn parse(text: &str) -> std::result::Result<Config, String> {
        Config::parse(text, Path::new("m.toml")).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_socket_is_a_path_a_port_a_table_or_a_list_of_them() {
        let text = "[dovecot]\nclient_socket = [\"/run/a\", \"127.0.0.1:2000\", { path = \"/run/b\", user = \"postfix\", \
                    group = 12, mode = \"0600\" }]\nmaster_socket = \"/run/m\"\nmechanisms = [\"plain\", \"SCRAM-SHA-256\"]\n\
                    [postfix]\npolicy_socket = { path = \"/run/p\" }\n";
        let config = parse(text).unwrap();
        let [a, port, b] = &config.dovecot.client[..] else { panic!("{:?}", config.dovecot.client) };
        assert_eq!((a.address.to_string().as_str(), &a.user, a.mode), ("/run/a", &None, 0o660));
        assert_eq!(port.address, ListenAddress::Tcp("127.0.0.1:2000".parse().unwrap()));
        assert_eq!((b.user.as_deref(), b.group.as_deref(), b.mode), (Some("postfix"), Some("12"), 0o600));
        assert_eq!(config.dovecot.master[0].mode, 0o600);
        assert_eq!(config.dovecot.mechanisms, ["PLAIN", "SCRAM-SHA-256"]);
        assert_eq!(config.postfix.policy[0].address, ListenAddress::Unix("/run/p".into()));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (line, part) in [
            ("client_socket = \"run/a\"", "is not an absolute path or an address with a port"),
            ("client_socket = \"192.0.2.1:25\"", "is not a loopback address, and clients are not authenticated"),
            ("client_socket = \"127.0.0.1:0\"", "is not an address with a usable port"),
            ("client_socket = { user = \"postfix\" }", "names no path"),
            ("client_socket = { path = \"/run/a\", owner = \"postfix\" }", "has no key \"owner\""),
            ("client_socket = { path = \"/run/a\", mode = \"rw\" }", "is not a file mode"),
            ("client_socket = 7", "is not a socket"),
            ("master_socket = \"127.0.0.1:2000\"", "only client_socket may be a port"),
            ("mechanisms = []", "is empty"),
            ("mechanisms = [\"NTLM\"]", "is not a mechanism"),
        ] {
            let found = parse(&format!("[dovecot]\n{line}\n")).unwrap_err();
            assert!(found.contains(part), "{line}: {found}");
        }
    }
}

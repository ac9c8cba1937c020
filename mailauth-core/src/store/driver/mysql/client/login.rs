//! The login of the MySQL client: handshake, TLS and authentication.

use super::super::stream::Stream;
use super::{Client, ClientError, MAX_PACKET, Result, unexpected};
use crate::printable::exact;
use crate::store::driver::tls;
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest};
use mysql_common::proto::sync_framed::MySyncFramed;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Maximum number of packets of an authentication dialogue. The longest one of known servers takes six.
const MAX_DIALOGUE: usize = 10;

/// Server version that the response is encoded for: from 5.5.3 on, it requests a character set of four bytes.
const VERSION: (u16, u16, u16) = (5, 5, 3);
const UTF8MB4_GENERAL_CI: u8 = 45;

/// The credentials of a connection, and the database to use.
pub(in crate::store::driver::mysql) struct Credentials<'a> {
    pub(in crate::store::driver::mysql) user: &'a str,
    pub(in crate::store::driver::mysql) password: &'a str,
    pub(in crate::store::driver::mysql) database: &'a str,
    /// TLS configuration, and the name that the server's certificate must have; `None` for clear text.
    pub(in crate::store::driver::mysql) tls: Option<(&'a Arc<ClientConfig>, &'a str)>,
    /// True if the server has proved its identity, by its certificate or system user, before it can ask for the
    /// password itself, over a connection that no third party can read.
    pub(in crate::store::driver::mysql) is_authenticated: bool,
    /// Called after the server's greeting, before anything is sent.
    pub(in crate::store::driver::mysql) on_greeting: &'a dyn Fn() -> Result<()>,
}

impl Client {
    pub(super) fn shake_hands(&mut self, credentials: &Credentials<'_>) -> Result<()> {
        let greeting = self.receive()?;
        let greeting = ParseBuf(greeting).parse::<HandshakePacket<'_>>(())?.into_owned();
        (credentials.on_greeting)()?;
        let server = greeting.capabilities();
        if greeting.protocol_version() != 10 || !server.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
            return unexpected("a greeting of another protocol");
        }
        let mut wanted = CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_SECURE_CONNECTION
            | CapabilityFlags::CLIENT_LONG_PASSWORD
            | CapabilityFlags::CLIENT_LONG_FLAG
            | CapabilityFlags::CLIENT_TRANSACTIONS
            | CapabilityFlags::CLIENT_PLUGIN_AUTH
            | CapabilityFlags::CLIENT_CONNECT_WITH_DB
            // An UPDATE returns the number of rows that it matched, not of those that became different.
            | CapabilityFlags::CLIENT_FOUND_ROWS;
        wanted.set(CapabilityFlags::CLIENT_SSL, credentials.tls.is_some());
        self.capabilities = server & wanted;
        if let Some((config, name)) = credentials.tls {
            if !server.contains(CapabilityFlags::CLIENT_SSL) {
                return Err(ClientError::NoTls);
            }
            self.send_struct(&SslRequest::new(self.capabilities, MAX_PACKET as u32, UTF8MB4_GENERAL_CI))?;
            self.change_to_tls(config, name)?;
        }
        let mut nonce = greeting.nonce();
        nonce.resize(20, 0);
        let plugin = match greeting.auth_plugin() {
            Some(AuthPlugin::CachingSha2Password) => AuthPlugin::CachingSha2Password,
            // If the user has another plugin, the server asks for a switch.
            _ => AuthPlugin::MysqlNativePassword,
        };
        let proof = plugin.gen_data(Some(credentials.password), &nonce).map(|proof| proof.into_owned());
        let response = HandshakeResponse::new(
            proof.as_deref(),
            VERSION,
            Some(credentials.user.as_bytes()),
            Some(credentials.database.as_bytes()),
            Some(plugin.clone()),
            self.capabilities,
            None,
            MAX_PACKET as u32,
        );
        self.send_struct(&response)?;
        self.authenticate(credentials, plugin, nonce)
    }

    fn change_to_tls(&mut self, config: &Arc<ClientConfig>, name: &str) -> Result<()> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| ClientError::Protocol(tls::unnameable(name)))?;
        let Some(framed) = self.framed.take() else { return unexpected("nothing") };
        let (received, to_send, codec, stream) = framed.destruct();
        if !received.is_empty() {
            // An attacker may have injected it, to be taken for data from the TLS session.
            return unexpected("clear text after TLS was requested");
        }
        let Stream::Clear(socket) = stream else { return unexpected("TLS twice") };
        let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let stream = Stream::Tls(Box::new(StreamOwned::new(session, socket)));
        self.framed = Some(MySyncFramed::construct(received, to_send, codec, stream));
        Ok(())
    }

    /// Answers the server's authentication requests until it accepts the login.
    fn authenticate(
        &mut self,
        credentials: &Credentials<'_>,
        mut plugin: AuthPlugin<'static>,
        mut nonce: Vec<u8>,
    ) -> Result<()> {
        let mut has_switched = false;
        for _ in 0..MAX_DIALOGUE {
            let packet = self.receive()?.to_vec();
            match (&packet[..], &mut plugin) {
                ([0x00, ..], _) => return Ok(()),
                ([0xfe], _) => return unexpected("a request for the password in an unsafe form"),
                ([0xfe, ..], _) if !has_switched => {
                    has_switched = true;
                    let request = ParseBuf(&packet).parse::<AuthSwitchRequest<'_>>(())?;
                    nonce = request.plugin_data().to_vec();
                    plugin = request.auth_plugin().into_owned();
                    self.send_proof(credentials, &plugin, &nonce)?;
                }
                ([0x01, 0x03], AuthPlugin::CachingSha2Password) => {}
                ([0x01, 0x04], AuthPlugin::CachingSha2Password) => self.send_password(credentials)?,
                ([0x01, salt @ ..] | salt, AuthPlugin::MariadbParsec { .. }) => {
                    let known = plugin.read_add_data(salt).and(plugin.gen_data(Some(credentials.password), &nonce));
                    let Some(proof) = known else { return unexpected("an invalid salt") };
                    let proof = proof.into_owned();
                    self.send_struct(&proof)?;
                }
                _ => return unexpected("an authentication message that is not understood"),
            }
        }
        unexpected("more authentication requests than any method has")
    }

    /// Sends the first message of the plugin that the server switched to.
    fn send_proof(&mut self, credentials: &Credentials<'_>, plugin: &AuthPlugin<'_>, nonce: &[u8]) -> Result<()> {
        match plugin {
            AuthPlugin::CachingSha2Password | AuthPlugin::MysqlNativePassword | AuthPlugin::Ed25519 => {
                match plugin.gen_data(Some(credentials.password), nonce).map(|proof| proof.into_owned()) {
                    Some(proof) => self.send_struct(&proof),
                    None => self.send(&[]),
                }
            }
            // The server sends its salt after an empty packet.
            AuthPlugin::MariadbParsec { .. } => self.send(&[]),
            other => Err(ClientError::UnknownMethod(exact(other.as_bytes(), 64))),
        }
    }

    /// Sends the password itself, which `caching_sha2_password` asks for at the first login after a server start. It is
    /// sent only to a server that has proved its identity: the RSA key that could encrypt it otherwise comes from the
    /// unverified server.
    fn send_password(&mut self, credentials: &Credentials<'_>) -> Result<()> {
        if !credentials.is_authenticated {
            return Err(ClientError::PasswordRequested);
        }
        let password = Zeroizing::new([credentials.password.as_bytes(), b"\0"].concat());
        self.send(&password)
    }
}

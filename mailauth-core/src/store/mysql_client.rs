//! The MySQL protocol, as far as the stores need it, over a connection with a deadline.
//!
//! The packets are those of `mysql_common`, on which the `mysql` crate is built. That crate itself makes its sockets where
//! nobody can reach them: its limit is one for each read(2), it tries one address of a name, and it panics at what it does
//! not expect. (MySQL manual, "Client/Server Protocol"; MariaDB, "Clients & Utilities: Client/Server Protocol".)

use super::timed_stream::{Stream, Timed};
use super::tls;
use crate::printable::{brief, exact};
use bytes::BytesMut;
use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, Column, ComStmtClose, ComStmtExecuteRequestBuilder, CommonOkPacket, ErrPacket,
    HandshakePacket, HandshakeResponse, OkPacketDeserializer, SslRequest, StmtPacket,
};
use mysql_common::proto::codec::PacketCodec;
use mysql_common::proto::codec::error::PacketCodecError;
use mysql_common::proto::sync_framed::MySyncFramed;
use mysql_common::proto::{Binary, MySerialize};
use mysql_common::row::{Row, RowDeserializer};
use mysql_common::value::{ServerSide, Value};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// The largest packet either way: a row is never so long.
const MAX_PACKET: usize = 4 << 20;

/// The buffers at first; they grow to what a packet takes.
const BUFFER: usize = 8 << 10;

/// The most characters of a server's message.
const MAX_SAID: usize = 1000;

/// The most packets of a dialogue about who we are. The longest that servers have takes six.
const MAX_DIALOGUE: usize = 10;

/// A character set of four bytes, which is chosen for all servers from 5.5.3 on.
const VERSION: (u16, u16, u16) = (5, 5, 3);
const UTF8MB4_GENERAL_CI: u8 = 45;

const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;
const COM_STMT_PREPARE: u8 = 0x16;

/// Why the server did not do what it was asked.
#[derive(Debug)]
pub(super) enum ClientError {
    /// The connection failed, or the deadline passed.
    Io(io::Error),
    /// The server refused.
    Server { code: u16, message: String },
    /// TLS is wanted, and the server has none.
    NoTls,
    /// The server wants the password itself, and has not shown who it is.
    AsksForPassword,
    /// Another user runs the server than may: a sentence with the cure.
    Stranger(String),
    /// The server wants the user to log in by a method that this client does not have, or not without danger.
    UnknownMethod(String),
    /// The server said what the protocol does not allow here.
    Protocol(String),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        ClientError::Io(error)
    }
}

impl From<PacketCodecError> for ClientError {
    fn from(error: PacketCodecError) -> Self {
        match error {
            PacketCodecError::Io(error) => ClientError::Io(error),
            error => ClientError::Protocol(error.to_string()),
        }
    }
}

type Result<T> = std::result::Result<T, ClientError>;

fn unexpected<T>(what: &str) -> Result<T> {
    Err(ClientError::Protocol(format!("the server sent {what}")))
}

/// Who connects, and to what.
pub(super) struct Identity<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) database: &'a str,
    /// How to reach the server by TLS, and the name that its certificate must have.
    pub(super) tls: Option<(&'a Arc<ClientConfig>, &'a str)>,
    /// By the time the server can ask for the password itself, its certificate or its user was seen to be right, and nobody
    /// else hears it.
    pub(super) is_known: bool,
    /// Called once the server has spoken, before anything is said to it.
    pub(super) greeted: &'a dyn Fn() -> Result<()>,
}

/// A statement that the server has prepared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared {
    id: u32,
    parameters: usize,
}

/// A connection to a server.
pub(super) struct Client {
    /// `None` only while its stream changes to TLS, and after that failed.
    framed: Option<MySyncFramed<Stream>>,
    capabilities: CapabilityFlags,
    packet: Vec<u8>,
}

impl Client {
    /// Makes the connection that `socket` has begun, by the deadline of that.
    pub(super) fn connect(socket: Timed, identity: &Identity<'_>) -> Result<Self> {
        let mut codec = PacketCodec::default();
        codec.max_allowed_packet = MAX_PACKET;
        let buffer = || BytesMut::with_capacity(BUFFER);
        let framed = MySyncFramed::construct(buffer(), buffer(), codec, Stream::Clear(socket));
        let capabilities = CapabilityFlags::empty();
        let mut client = Client { framed: Some(framed), capabilities, packet: Vec::new() };
        client.shake_hands(identity)?;
        Ok(client)
    }

    /// Everything from now on has to be done by this time.
    pub(super) fn end_at(&mut self, until: Instant) {
        if let Some(framed) = &mut self.framed {
            framed.get_mut().end_at(until);
        }
    }

    fn framed(&mut self) -> Result<&mut MySyncFramed<Stream>> {
        self.framed.as_mut().ok_or_else(|| ClientError::Protocol("the connection is closed".into()))
    }

    fn send(&mut self, packet: &[u8]) -> Result<()> {
        Ok(self.framed()?.send(&mut &*packet)?)
    }

    fn send_struct(&mut self, packet: &impl MySerialize) -> Result<()> {
        let mut bytes = Vec::new();
        packet.serialize(&mut bytes);
        self.send(&bytes)
    }

    /// Begins a new exchange with a command.
    fn command(&mut self, command: u8, argument: &[u8]) -> Result<()> {
        self.framed()?.codec_mut().reset_seq_id();
        let mut packet = Vec::with_capacity(argument.len() + 1);
        packet.push(command);
        packet.extend_from_slice(argument);
        self.send(&packet)
    }

    /// The next packet, which is never empty. An error that the server reports is one.
    fn receive(&mut self) -> Result<&[u8]> {
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        let more = self.framed()?.next_packet(&mut packet)?;
        self.packet = packet;
        match self.packet.first() {
            _ if !more => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection").into()),
            None => unexpected("an empty packet"),
            Some(0xff) => Err(self.server_error()),
            Some(_) => Ok(&self.packet),
        }
    }

    fn server_error(&self) -> ClientError {
        match ParseBuf(&self.packet).parse::<ErrPacket<'_>>(self.capabilities) {
            Ok(ErrPacket::Error(error)) => {
                let message = brief(&error.message_str(), MAX_SAID).into_owned();
                ClientError::Server { code: error.error_code(), message }
            }
            Ok(ErrPacket::Progress(_)) => ClientError::Protocol("the server sent a report of progress".into()),
            Err(error) => error.into(),
        }
    }

    fn shake_hands(&mut self, identity: &Identity<'_>) -> Result<()> {
        let greeting = self.receive()?;
        let greeting = ParseBuf(greeting).parse::<HandshakePacket<'_>>(())?.into_owned();
        (identity.greeted)()?;
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
            // An UPDATE says how many rows it matched, not how many became different.
            | CapabilityFlags::CLIENT_FOUND_ROWS;
        wanted.set(CapabilityFlags::CLIENT_SSL, identity.tls.is_some());
        self.capabilities = server & wanted;
        if let Some((config, name)) = identity.tls {
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
            // Of a user whom it knows by another one, the server says so.
            _ => AuthPlugin::MysqlNativePassword,
        };
        let proof = plugin.gen_data(Some(identity.password), &nonce).map(|proof| proof.into_owned());
        let response = HandshakeResponse::new(
            proof.as_deref(),
            VERSION,
            Some(identity.user.as_bytes()),
            Some(identity.database.as_bytes()),
            Some(plugin.clone()),
            self.capabilities,
            None,
            MAX_PACKET as u32,
        );
        self.send_struct(&response)?;
        self.authenticate(identity, plugin, nonce)
    }

    fn change_to_tls(&mut self, config: &Arc<ClientConfig>, name: &str) -> Result<()> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| ClientError::Protocol(tls::unnameable(name)))?;
        let Some(framed) = self.framed.take() else { return unexpected("nothing") };
        let (received, to_send, codec, stream) = framed.destruct();
        if !received.is_empty() {
            // Somebody else may have put it there, to be taken for what comes by TLS.
            return unexpected("something in clear after TLS was asked for");
        }
        let Stream::Clear(socket) = stream else { return unexpected("TLS twice") };
        let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let stream = Stream::Tls(Box::new(StreamOwned::new(session, socket)));
        self.framed = Some(MySyncFramed::construct(received, to_send, codec, stream));
        Ok(())
    }

    /// Answers what the server asks until it lets us in.
    fn authenticate(
        &mut self,
        identity: &Identity<'_>,
        mut plugin: AuthPlugin<'static>,
        mut nonce: Vec<u8>,
    ) -> Result<()> {
        let mut has_switched = false;
        for _ in 0..MAX_DIALOGUE {
            let packet = self.receive()?.to_vec();
            match (&packet[..], &mut plugin) {
                ([0x00, ..], _) => return Ok(()),
                ([0xfe], _) => return unexpected("a request for the password in a form that is not safe"),
                ([0xfe, ..], _) if !has_switched => {
                    has_switched = true;
                    let request = ParseBuf(&packet).parse::<AuthSwitchRequest<'_>>(())?;
                    nonce = request.plugin_data().to_vec();
                    plugin = request.auth_plugin().into_owned();
                    self.send_proof(identity, &plugin, &nonce)?;
                }
                ([0x01, 0x03], AuthPlugin::CachingSha2Password) => {}
                ([0x01, 0x04], AuthPlugin::CachingSha2Password) => self.send_password(identity)?,
                ([0x01, salt @ ..] | salt, AuthPlugin::MariadbParsec { .. }) => {
                    let known = plugin.read_add_data(salt).and(plugin.gen_data(Some(identity.password), &nonce));
                    let Some(proof) = known else { return unexpected("a salt that is none") };
                    let proof = proof.into_owned();
                    self.send_struct(&proof)?;
                }
                _ => return unexpected("an answer about the password that is not understood"),
            }
        }
        unexpected("more questions about the password than any method has")
    }

    /// What a plugin that the server changed to wants first.
    fn send_proof(&mut self, identity: &Identity<'_>, plugin: &AuthPlugin<'_>, nonce: &[u8]) -> Result<()> {
        match plugin {
            AuthPlugin::CachingSha2Password | AuthPlugin::MysqlNativePassword | AuthPlugin::Ed25519 => {
                match plugin.gen_data(Some(identity.password), nonce).map(|proof| proof.into_owned()) {
                    Some(proof) => self.send_struct(&proof),
                    None => self.send(&[]),
                }
            }
            // It sends its salt when it is greeted.
            AuthPlugin::MariadbParsec { .. } => self.send(&[]),
            other => Err(ClientError::UnknownMethod(exact(other.as_bytes(), 64))),
        }
    }

    /// The password itself, which `caching_sha2_password` wants at the first login after the server's start. It goes only to
    /// a server that is known: the key by which it could be encrypted otherwise would come from whoever answers.
    fn send_password(&mut self, identity: &Identity<'_>) -> Result<()> {
        if !identity.is_known {
            return Err(ClientError::AsksForPassword);
        }
        let password = Zeroizing::new([identity.password.as_bytes(), b"\0"].concat());
        self.send(&password)
    }

    /// Runs a statement of ours that has no parameters, and passes over its answer.
    pub(super) fn run(&mut self, sql: &str) -> Result<()> {
        self.command(COM_QUERY, sql.as_bytes())?;
        if let Some(columns) = self.header()?.columns {
            self.definitions(columns)?;
            while self.row()?.is_some() {}
        }
        Ok(())
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&mut self) -> Result<()> {
        self.command(COM_PING, &[])?;
        self.receive().map(|_| ())
    }

    pub(super) fn prepare(&mut self, sql: &str) -> Result<Prepared> {
        self.command(COM_STMT_PREPARE, sql.as_bytes())?;
        let packet = ParseBuf(self.receive()?).parse::<StmtPacket>(())?;
        for count in [packet.num_params(), packet.num_columns()] {
            if count > 0 {
                self.definitions(count)?;
            }
        }
        Ok(Prepared { id: packet.statement_id(), parameters: usize::from(packet.num_params()) })
    }

    /// Lets the server forget a statement. It does not answer.
    pub(super) fn close(&mut self, prepared: Prepared) -> Result<()> {
        self.framed()?.codec_mut().reset_seq_id();
        self.send_struct(&ComStmtClose::new(prepared.id))
    }

    /// Runs a prepared statement, gives its rows to `each`, and returns how many it matched.
    pub(super) fn execute(&mut self, prepared: Prepared, params: &[Value], each: &mut dyn FnMut(Row)) -> Result<u64> {
        if params.len() != prepared.parameters {
            return Err(ClientError::Protocol(format!(
                "the statement has {} parameters, and was given {}",
                prepared.parameters,
                params.len()
            )));
        }
        let (request, is_too_long) = ComStmtExecuteRequestBuilder::new(prepared.id).build(params);
        if is_too_long {
            return Err(ClientError::Protocol("the parameters are longer than a packet".into()));
        }
        self.framed()?.codec_mut().reset_seq_id();
        self.send_struct(&request)?;
        let header = self.header()?;
        let Some(columns) = header.columns else { return Ok(header.matched) };
        let columns = self.definitions(columns)?;
        while let Some(row) = self.row()? {
            each(ParseBuf(row).parse::<RowDeserializer<ServerSide, Binary>>(columns.clone())?.into_inner());
        }
        Ok(0)
    }

    /// What an answer begins with.
    fn header(&mut self) -> Result<Header> {
        let capabilities = self.capabilities;
        let packet = self.receive()?;
        match packet {
            [0x00, ..] => {
                let ok = ParseBuf(packet).parse::<OkPacketDeserializer<'_, CommonOkPacket>>(capabilities)?.into_inner();
                no_more_results(ok.status_flags())?;
                Ok(Header { columns: None, matched: ok.affected_rows() })
            }
            [0xfb, ..] => unexpected("a request for a file of this machine"),
            [count @ 1..=0xfa] => Ok(Header { columns: Some(u16::from(*count)), matched: 0 }),
            [0xfc, low, high] => Ok(Header { columns: Some(u16::from_le_bytes([*low, *high])), matched: 0 }),
            _ => unexpected("an answer that is not understood"),
        }
    }

    /// So many descriptions of columns or parameters, and what ends them.
    fn definitions(&mut self, count: u16) -> Result<Arc<[Column]>> {
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(ParseBuf(self.receive()?).parse::<Column>(())?);
        }
        match self.receive()? {
            packet if is_end(packet) => Ok(columns.into()),
            _ => unexpected("more columns than it said"),
        }
    }

    /// The next row of an answer; `None` after the last.
    fn row(&mut self) -> Result<Option<&[u8]>> {
        self.receive()?;
        if !is_end(&self.packet) {
            return Ok(Some(&self.packet));
        }
        if let [_, _, _, low, high] = self.packet[..] {
            no_more_results(StatusFlags::from_bits_truncate(u16::from_le_bytes([low, high])))?;
        }
        Ok(None)
    }
}

struct Header {
    /// How many columns the rows have that follow; `None` where none follow.
    columns: Option<u16>,
    matched: u64,
}

/// The end of columns or rows, which is shorter than a row that begins with the same byte.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// None of our statements has several answers; what is left would be taken for the answer to the next.
fn no_more_results(status: StatusFlags) -> Result<()> {
    if status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) { unexpected("several answers") } else { Ok(()) }
}

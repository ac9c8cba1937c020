//! A client of the MySQL protocol, as far as the stores need it, over a connection with a deadline.
//!
//! The packets are those of `mysql_common`, on which the `mysql` crate is built. That crate is not used because it
//! creates its sockets itself: its timeout is per read(2), it tries only one address of a name, and it panics on
//! unexpected packets. (MySQL manual, "Client/Server Protocol"; MariaDB, "Clients & Utilities: Client/Server
//! Protocol".)

mod login;

use super::stream::{Stream, TimedSocket};
use crate::printable::brief;
use bytes::BytesMut;
pub(super) use login::Credentials;
use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    Column, ComStmtClose, ComStmtExecuteRequestBuilder, CommonOkPacket, ErrPacket, OkPacketDeserializer, StmtPacket,
};
use mysql_common::proto::codec::PacketCodec;
use mysql_common::proto::codec::error::PacketCodecError;
use mysql_common::proto::sync_framed::MySyncFramed;
use mysql_common::proto::{Binary, MySerialize};
use mysql_common::row::{Row, RowDeserializer};
use mysql_common::value::{ServerSide, Value};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Maximum size of a packet in either direction in bytes; every row is shorter.
const MAX_PACKET: usize = 4 << 20;

/// Initial size of the buffers in bytes; they grow to the size of a packet.
const BUFFER: usize = 8 << 10;

/// Maximum number of characters that are kept of a server's message.
const MAX_SAID: usize = 1000;

const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;
const COM_STMT_PREPARE: u8 = 0x16;

/// Error of the client.
#[derive(Debug)]
pub(super) enum ClientError {
    /// The connection failed, or the deadline passed.
    Io(io::Error),
    /// The server answered with an error.
    Server { code: u16, message: String },
    /// TLS is required, and the server does not support it.
    NoTls,
    /// The server asks for the password itself without having proved its identity.
    PasswordRequested,
    /// The server runs as a user that is not allowed to run it. The text is a sentence that says what to do.
    UnexpectedUser(String),
    /// The server asks for an authentication method that this client does not support or considers unsafe.
    UnknownMethod(String),
    /// The server violated the protocol.
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

/// A statement that the server has prepared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared {
    id: u32,
    parameters: usize,
}

/// A connection to a server.
pub(super) struct Client {
    /// `None` only while the stream switches to TLS, and after that failed.
    framed: Option<MySyncFramed<Stream>>,
    capabilities: CapabilityFlags,
    packet: Vec<u8>,
}

impl Client {
    /// Performs the handshake on a connected socket, by its deadline.
    pub(super) fn connect(socket: TimedSocket, credentials: &Credentials<'_>) -> Result<Self> {
        let mut codec = PacketCodec::default();
        codec.max_allowed_packet = MAX_PACKET;
        let buffer = || BytesMut::with_capacity(BUFFER);
        let framed = MySyncFramed::construct(buffer(), buffer(), codec, Stream::Clear(socket));
        let capabilities = CapabilityFlags::empty();
        let mut client = Client { framed: Some(framed), capabilities, packet: Vec::new() };
        client.shake_hands(credentials)?;
        Ok(client)
    }

    /// Sets the deadline for everything that follows.
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

    /// Sends a command, which begins a new exchange.
    fn command(&mut self, command: u8, argument: &[u8]) -> Result<()> {
        self.framed()?.codec_mut().reset_seq_id();
        let mut packet = Vec::with_capacity(argument.len() + 1);
        packet.push(command);
        packet.extend_from_slice(argument);
        self.send(&packet)
    }

    /// Returns the next packet, which is never empty. An error packet is returned as an error.
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
            Ok(ErrPacket::Progress(_)) => ClientError::Protocol("the server sent a progress report".into()),
            Err(error) => error.into(),
        }
    }

    /// Runs a statement of this program that has no parameters, and discards its result.
    pub(super) fn run(&mut self, sql: &str) -> Result<()> {
        self.command(COM_QUERY, sql.as_bytes())?;
        if let Some(columns) = self.header()?.columns {
            self.definitions(columns)?;
            while self.row()?.is_some() {}
        }
        Ok(())
    }

    /// Checks that the server still answers.
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

    /// Makes the server drop a prepared statement. The server does not answer this.
    pub(super) fn close(&mut self, prepared: Prepared) -> Result<()> {
        self.framed()?.codec_mut().reset_seq_id();
        self.send_struct(&ComStmtClose::new(prepared.id))
    }

    /// Runs a prepared statement, calls `each` with its rows, and returns the number of rows that it matched.
    pub(super) fn execute(&mut self, prepared: Prepared, params: &[Value], each: &mut dyn FnMut(Row)) -> Result<u64> {
        if params.len() != prepared.parameters {
            return Err(ClientError::Protocol(format!(
                "the statement has {} parameters, but {} were given",
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

    /// Reads the first packet of a result.
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
            _ => unexpected("a result that is not understood"),
        }
    }

    /// Reads `count` definitions of columns or parameters, and the packet that ends them.
    fn definitions(&mut self, count: u16) -> Result<Arc<[Column]>> {
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(ParseBuf(self.receive()?).parse::<Column>(())?);
        }
        match self.receive()? {
            packet if is_end(packet) => Ok(columns.into()),
            _ => unexpected("more columns than announced"),
        }
    }

    /// Reads the next row of a result; `None` after the last.
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

/// The beginning of a result.
struct Header {
    /// Number of columns of the rows that follow; `None` if no rows follow.
    columns: Option<u16>,
    /// Number of rows that the statement matched.
    matched: u64,
}

/// Returns true for the packet that ends columns or rows, which is shorter than a row that begins with the same byte.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// Fails if more results follow. No statement of this program has several, and the rest would be taken for the result
/// of the next statement.
fn no_more_results(status: StatusFlags) -> Result<()> {
    if status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) { unexpected("several results") } else { Ok(()) }
}

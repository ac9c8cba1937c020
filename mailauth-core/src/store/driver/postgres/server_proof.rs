//! Makes a PostgreSQL server prove that it knows the password before it is trusted.
//!
//! The client library sends the password in whatever form the server asks for, and accepts a server that asks for none;
//! it has no `require_auth`, which libpq has. Here the server's messages are inspected on their way to the library,
//! inside TLS too. With SCRAM the library itself verifies the server's signature before it continues. (PostgreSQL
//! manual, "Message Formats"; RFC 5802 and RFC 7677.)

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Maximum length of a message in bytes, during the login and afterwards; every row is shorter.
const MAX_GREETING: usize = 64 << 10;
const MAX_MESSAGE: usize = 4 << 20;

/// Minimum iteration count of SCRAM (RFC 7677, section 4). The server chooses it, and the lower it is, the faster an
/// impostor can guess the password from the client's proof.
const MIN_ROUNDS: u32 = 4096;

/// Codes of the server's authentication messages.
const OK: u32 = 0;
const CLEAR: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;

/// The proof that is required of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredProof {
    /// The server has to prove that it knows the password.
    Scram,
    /// The server has to prove it if it asks for a password; its identity is verified in another way.
    ScramIfAsked,
    /// No proof, because there is no password that the server could know.
    Nothing,
}

/// Reason for breaking off a connection before the login is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProofError {
    /// The server asks for the password in clear text.
    #[error("it asks for the password in clear text")]
    ClearTextRequested,
    /// The server asks for an MD5 hash of the password.
    #[error("it asks for the password as an MD5 hash")]
    Md5Requested,
    /// The server accepts the login without a password.
    #[error("it asks for no password")]
    NoPasswordRequested,
    /// The server asks for SCRAM with this iteration count, which is too low.
    #[error("it asks for SCRAM with {0} iterations")]
    FewIterations(u32),
    /// The server announced a message of this length in bytes, which is too long.
    #[error("it announced a message of {0} bytes")]
    LongMessage(u32),
}

impl ProofError {
    /// Returns the reason inside an error of the library, if there is one.
    pub(super) fn within(error: &tokio_postgres::Error) -> Option<Self> {
        let source = std::error::Error::source(error)?.downcast_ref::<io::Error>()?;
        source.get_ref()?.downcast_ref().copied()
    }
}

/// A parser of the server's messages that inspects those about authentication.
#[derive(Debug)]
struct Messages {
    required: RequiredProof,
    /// Type and length of the current message.
    header: [u8; 5],
    /// Number of header bytes received.
    begun: usize,
    /// Number of body bytes still to come.
    left: usize,
    /// Body of the current message, if it is about authentication.
    body: Vec<u8>,
    /// True once the server has asked for SCRAM.
    asked: bool,
    /// True once the server has accepted the login.
    is_in: bool,
}

impl Messages {
    fn new(required: RequiredProof) -> Self {
        Messages { required, header: [0; 5], begun: 0, left: 0, body: Vec::new(), asked: false, is_in: false }
    }

    /// Inspects the bytes that arrived next.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), ProofError> {
        while !bytes.is_empty() {
            if let Some(space) = self.header.get_mut(self.begun..).filter(|space| !space.is_empty()) {
                let count = space.len().min(bytes.len());
                let (header, rest) = bytes.split_at(count);
                space[..count].copy_from_slice(header);
                (self.begun, bytes) = (self.begun + count, rest);
                if self.begun < self.header.len() {
                    return Ok(());
                }
                self.begin()?;
            }
            let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
            if self.is_about_password() {
                self.body.extend_from_slice(body);
            }
            (self.left, bytes) = (self.left - body.len(), rest);
            if self.left == 0 {
                self.end()?;
            }
        }
        Ok(())
    }

    /// Returns true if the current message is about authentication.
    fn is_about_password(&self) -> bool {
        !self.is_in && self.header[0] == b'R'
    }

    /// Checks the length of a message after its header is complete.
    fn begin(&mut self) -> Result<(), ProofError> {
        let [_, length @ ..] = self.header;
        let length = u32::from_be_bytes(length);
        let most = if self.is_in { MAX_MESSAGE } else { MAX_GREETING };
        match usize::try_from(length) {
            // The library rejects a length that is too short.
            Ok(length) if length <= most => self.left = length.saturating_sub(4),
            _ => return Err(ProofError::LongMessage(length)),
        }
        Ok(())
    }

    /// Inspects a complete message.
    fn end(&mut self) -> Result<(), ProofError> {
        let is_about_password = self.is_about_password();
        self.begun = 0;
        let body = std::mem::take(&mut self.body);
        let Some((code, rest)) = body.split_first_chunk().filter(|_| is_about_password) else { return Ok(()) };
        match (u32::from_be_bytes(*code), self.required) {
            // After SCRAM, the library accepts this message only once it has verified the server's signature.
            (OK, RequiredProof::Scram) if !self.asked => return Err(ProofError::NoPasswordRequested),
            (OK, _) => self.is_in = true,
            (_, RequiredProof::Nothing) => {}
            (CLEAR, _) => return Err(ProofError::ClearTextRequested),
            (MD5, _) => return Err(ProofError::Md5Requested),
            (SASL, _) => self.asked = true,
            (SASL_CONTINUE, _) => match rounds(rest) {
                Some(few) if few < MIN_ROUNDS => return Err(ProofError::FewIterations(few)),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

/// Returns the iteration count in the server's first SCRAM message, `r=NONCE,s=SALT,i=COUNT`; `None` if the message is
/// malformed, which the library rejects.
fn rounds(message: &[u8]) -> Option<u32> {
    let message = std::str::from_utf8(message).ok()?;
    message.split(',').find_map(|part| part.strip_prefix("i="))?.parse().ok()
}

/// A connection that inspects the server's messages.
pub(super) struct Inspected<S> {
    stream: S,
    messages: Messages,
}

impl<S> Inspected<S> {
    pub(super) fn new(stream: S, required: RequiredProof) -> Self {
        Inspected { stream, messages: Messages::new(required) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inspected<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(this.messages.take(arrived).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inspected<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Inspected<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// A TLS connector that works as `T`, and inspects the messages inside TLS.
pub(super) struct InspectedTls<T> {
    pub(super) tls: T,
    pub(super) required: RequiredProof,
}

impl<S, T> TlsConnect<S> for InspectedTls<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Inspected<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let (connecting, required) = (self.tls.connect(stream), self.required);
        Box::pin(async move { connecting.await.map(|stream| Inspected::new(stream, required)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    fn about_password(code: u32, rest: &[u8]) -> Vec<u8> {
        message(b'R', &[&code.to_be_bytes()[..], rest].concat())
    }

    fn verdict(required: RequiredProof, sent: &[Vec<u8>]) -> Result<(), ProofError> {
        Messages::new(required).take(&sent.concat())
    }

    fn scram(rounds: u32) -> Vec<u8> {
        about_password(SASL_CONTINUE, format!("r=abc,s=c2FsdA==,i={rounds}").as_bytes())
    }

    #[test]
    fn only_scram_gets_the_password() {
        let (ok, ask) = (about_password(OK, &[]), about_password(SASL, b"SCRAM-SHA-256\0\0"));
        let proper = [ask.clone(), scram(4096), about_password(12, b"v=x"), ok.clone(), message(b'Z', b"I")];
        for required in [RequiredProof::Scram, RequiredProof::ScramIfAsked] {
            assert_eq!(verdict(required, &proper), Ok(()));
            assert_eq!(verdict(required, &[about_password(CLEAR, &[])]), Err(ProofError::ClearTextRequested));
            assert_eq!(verdict(required, &[about_password(MD5, b"salt")]), Err(ProofError::Md5Requested));
            assert_eq!(verdict(required, &[ask.clone(), scram(4095)]), Err(ProofError::FewIterations(4095)));
            // Even after other messages.
            let notice = message(b'N', b"SNOTICE\0\0");
            assert_eq!(verdict(required, &[notice, about_password(CLEAR, &[])]), Err(ProofError::ClearTextRequested));
            assert_eq!(
                verdict(required, &[ask.clone(), about_password(CLEAR, &[])]),
                Err(ProofError::ClearTextRequested)
            );
        }
        assert_eq!(verdict(RequiredProof::Scram, std::slice::from_ref(&ok)), Err(ProofError::NoPasswordRequested));
        assert_eq!(verdict(RequiredProof::ScramIfAsked, std::slice::from_ref(&ok)), Ok(()));
        assert_eq!(verdict(RequiredProof::Nothing, &[ok]), Ok(()));
    }

    #[test]
    fn a_message_that_is_too_long_is_rejected_by_its_header() {
        let header = |kind: u8, length: u32| [&[kind], &length.to_be_bytes()[..]].concat();
        for length in [(64 << 10) + 1, 4 << 20, i32::MAX as u32, u32::MAX] {
            assert_eq!(verdict(RequiredProof::Scram, &[header(b'E', length)]), Err(ProofError::LongMessage(length)));
        }
        let letting_in = about_password(OK, &[]);
        let after = |length| verdict(RequiredProof::Nothing, &[letting_in.clone(), header(b'D', length)]);
        assert_eq!((after(4 << 20), after((4 << 20) + 1)), (Ok(()), Err(ProofError::LongMessage((4 << 20) + 1))));
    }

    #[test]
    fn after_the_login_messages_are_not_inspected() {
        let sent = [about_password(OK, &[]), message(b'R', &CLEAR.to_be_bytes()), message(b'D', b"row")];
        assert_eq!(verdict(RequiredProof::Nothing, &sent), Ok(()));
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_how_the_messages_are_split(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(b'R'), Just(4), Just(8), any::<u8>()], 0..60),
            cuts in prop::collection::vec(1usize..9, 0..60),
        ) {
            let whole = Messages::new(RequiredProof::Scram).take(&bytes);
            let (mut messages, mut rest, mut verdict) = (Messages::new(RequiredProof::Scram), &bytes[..], Ok(()));
            for cut in cuts.into_iter().chain(std::iter::repeat(1)) {
                if rest.is_empty() || verdict.is_err() {
                    break;
                }
                let (part, after) = rest.split_at(cut.min(rest.len()));
                verdict = messages.take(part);
                rest = after;
            }
            prop_assert_eq!(whole, verdict);
        }
    }
}

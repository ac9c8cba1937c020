//! Postfix's policy service, by the protocol of SMTPD_POLICY_README.
//!
//! ```text
//! request   = 1*( name "=" value LF ) LF       "request=smtpd_access_policy" among them
//! reply     = "action=" action LF LF
//! ```
//!
//! A line has at most 8192 bytes and a request 65536; unknown names are ignored. `policy_context` says what is asked:
//!
//! - Without a context, or with any other than the next one: whether the mailbox of `recipient` takes a message of
//!   `size` bytes (0: not known). Postfix names the recipient for each RCPT, and after the message if there is only one.
//! - `sender`: whether the login `sasl_username` may send as `sender`, which is empty for mail without a sender.
//!
//! | answer | action |
//! |---|---|
//! | the mailbox has room; an alias; an address of another host | `DUNNO`, so that the next restriction decides |
//! | an unknown address | `DUNNO`: Postfix refuses it by its own tables, which may know more addresses |
//! | the mailbox or its domain is full | `552 5.2.2` |
//! | mail for the account is switched off, or the account or its domain is disabled | `550 5.2.1` |
//! | the login may send as the sender; a client that has not logged in | `DUNNO` |
//! | the login may not send as the sender | `553 5.7.1` |
//! | not now | `DEFER_IF_PERMIT`: Postfix answers 450, unless another restriction refuses the mail |
//!
//! A client that sends anything else is disconnected. Postfix then asks again, and finally answers 451.

use super::in_order::{InOrder, Reader, Request, Step};
use mailauth_core::answer::{Answer, No, Refusal};
use mailauth_protocol::Question;
use std::time::Duration;

/// Maximum length of a line in bytes, without its LF.
const MAX_LINE: usize = 8192;

/// Maximum length of a request in bytes.
const MAX_REQUEST: usize = 64 * 1024;

/// The requests of one client.
pub type PolicyConversation = InOrder<Attributes>;

impl PolicyConversation {
    /// Begins a conversation, each of whose requests has to be answered within this time.
    pub fn new(within: Duration) -> Self {
        InOrder::over(Attributes::default(), within)
    }
}

/// Reads attributes, a request after the other.
#[derive(Debug, Default)]
pub struct Attributes {
    /// The beginning of a line.
    line: Vec<u8>,
    /// Number of bytes of the request so far.
    length: usize,
    request: Delivery,
}

impl Reader for Attributes {
    type Request = Delivery;

    fn read(&mut self, input: &[u8]) -> Result<Vec<Delivery>, &'static str> {
        let mut requests = Vec::new();
        for part in input.split_inclusive(|b| *b == b'\n') {
            self.length += part.len();
            let text = part.strip_suffix(b"\n");
            self.line.extend_from_slice(text.unwrap_or(part));
            if self.line.len() > MAX_LINE || self.length > MAX_REQUEST {
                return Err("a policy request that is too long");
            }
            if text.is_none() {
                break;
            }
            requests.extend(self.end_line()?);
        }
        Ok(requests)
    }
}

impl Attributes {
    /// Takes the line that is complete now. Returns the request that it ends.
    fn end_line(&mut self) -> Result<Option<Delivery>, &'static str> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            self.length = 0;
            let request = std::mem::take(&mut self.request);
            return if request.is_access_policy { Ok(Some(request)) } else { Err("a policy request of another kind") };
        }
        let Some(end) = line.iter().position(|b| *b == b'=').filter(|end| *end > 0) else {
            return Err("a line of a policy request without a name");
        };
        let (name, value) = line.split_at(end);
        self.request.set(name, value.get(1..).unwrap_or_default());
        Ok(None)
    }
}

/// A request about a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    is_access_policy: bool,
    asks_sender: bool,
    recipient: Vec<u8>,
    sender: Vec<u8>,
    login: Vec<u8>,
    /// Size of the message in bytes; 0 if it is not known.
    size: u64,
}

impl Delivery {
    fn set(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"request" => self.is_access_policy = value == b"smtpd_access_policy",
            b"policy_context" => self.asks_sender = value == b"sender",
            b"recipient" => self.recipient = value.to_vec(),
            b"sender" => self.sender = value.to_vec(),
            b"sasl_username" => self.login = value.to_vec(),
            b"size" => self.size = mailauth_protocol::question::parse_size(value).unwrap_or(0),
            _ => {}
        }
    }
}

impl Request for Delivery {
    fn begin(&self) -> Step {
        if self.asks_sender {
            if self.login.is_empty() {
                return Step::Reply(action("DUNNO"));
            }
            return Step::Ask(Question::Sender { login: self.login.clone(), address: self.sender.clone() });
        }
        // A recipient without a domain is one of Postfix's own, such as postmaster.
        if !self.recipient.contains(&b'@') {
            return Step::Reply(action("DUNNO"));
        }
        Step::Ask(Question::Recipient { address: self.recipient.clone(), size: self.size })
    }

    fn reply(&self, answer: Answer<String>) -> Vec<u8> {
        action(match answer {
            Ok(_) => "DUNNO",
            Err(Refusal::NotNow(_)) if self.asks_sender => {
                "DEFER_IF_PERMIT 4.3.0 it cannot be known now whether this login may send as this address"
            }
            Err(Refusal::NotNow(_)) => {
                "DEFER_IF_PERMIT 4.3.0 it cannot be known now whether this mailbox takes the message"
            }
            Err(Refusal::No(_)) if self.asks_sender => "553 5.7.1 this login may not send as this address",
            Err(Refusal::No(No::OverQuota(_))) => "552 5.2.2 the mailbox is full",
            Err(Refusal::No(No::NoMail | No::AccountDisabled | No::DomainDisabled)) => {
                "550 5.2.1 this mailbox receives no mail"
            }
            Err(Refusal::No(_)) => "DUNNO",
        })
    }
}

fn action(text: &str) -> Vec<u8> {
    format!("action={text}\n\n").into_bytes()
}

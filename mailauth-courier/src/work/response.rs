//! From an answer to the bytes of the reply. "Not now" is no bytes at all, except to a question of a mail server.

use crate::accept::access::PeerRights;
use crate::live_config::LiveConfig;
use mailauth_core::account::Account;
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::password::Stored;
use mailauth_core::routing::{Destination, Router};
use mailauth_core::{Login, Secret, Service};
use mailauth_protocol::Question;
use mailauth_protocol::reply::{
    self, FAIL, NO_MAIL, Passwords, Unsendable, account_text, alias_text, domain_text, line,
};
use std::time::Instant;
use zeroize::Zeroizing;

/// What is sent to the client.
pub(crate) enum Response {
    /// A reply, which is sent.
    Bytes(Zeroizing<Vec<u8>>),
    /// No bytes, which means "not now".
    NoAnswer,
    /// No bytes, because the account with this login cannot be put into a reply.
    Unsendable(Login, Unsendable),
}

/// Properties of a request that change its response.
#[derive(Default)]
pub(crate) struct ResponseOptions {
    /// Password of the request, if it is to be repeated in the record.
    pub sent: Option<Secret>,
    /// True to omit `MAILDIR`. Courier's own mail server reads it as delivery instructions, as in dot-courier(5), that
    /// take precedence over its own: `Maildir`, without `./`, would be an address to forward the mail to. There are no
    /// such instructions here.
    pub without_maildir: bool,
    /// True for a look-up, after which some clients verify a password themselves.
    pub looked_up: bool,
    /// True for a login that opens the mailbox. The mailbox is created before the answer, if it is missing and
    /// `[mailbox] create` says so.
    pub opens_mailbox: bool,
    /// True for a login. Its refusal is sent at a time that does not reveal the reason.
    pub is_login: bool,
}

/// Returns true if a login to this service opens the mailbox.
pub(super) fn opens_mailbox(service: &Service) -> bool {
    [Service::Imap, Service::Pop3, Service::Webmail, Service::Sieve].contains(service)
}

impl ResponseOptions {
    /// Returns the options of a look-up for `service`.
    pub fn for_service(service: &[u8]) -> Self {
        ResponseOptions { without_maildir: service == b"courier", ..ResponseOptions::default() }
    }

    /// Returns the options of a login to `service`.
    pub fn for_login(service: &[u8]) -> Self {
        let opens_mailbox = opens_mailbox(&Service::from_name(service));
        ResponseOptions { opens_mailbox, is_login: true, ..ResponseOptions::for_service(service) }
    }
}

impl Response {
    /// Returns the response `FAIL`, which means "no".
    pub fn fail() -> Self {
        Response::Bytes(Zeroizing::new(FAIL.to_vec()))
    }

    /// Returns the response to a login or a look-up.
    pub fn account(
        answer: Answer<Box<Account>>,
        options: &ResponseOptions,
        config: &LiveConfig,
        rights: PeerRights,
    ) -> Self {
        let mut account = match answer {
            Ok(account) => account,
            Err(Refusal::No(_)) => return Response::fail(),
            Err(Refusal::NotNow(_)) => return Response::NoAnswer,
        };
        if options.without_maildir {
            account.maildir = None;
        }
        let stored = account.password.0.expose();
        let send_clear = config.send_clear || options.looked_up && rights.clear;
        let readable = if config.send_hash || send_clear { Stored::parse(stored, &config.rules).ok() } else { None };
        let clear = readable.as_ref().and_then(Stored::clear);
        let passwords = Passwords {
            // A stored value that cannot be read could be a clear password.
            hash: (config.send_hash && readable.is_some() && clear.is_none()).then_some(stored),
            // A password with a control character cannot be sent and is left out.
            clear: options
                .sent
                .as_ref()
                .map(Secret::expose)
                .or(clear.filter(|_| send_clear))
                .filter(|clear| !clear.iter().any(u8::is_ascii_control)),
        };
        match reply::account(&account, passwords) {
            Ok(bytes) => Response::Bytes(bytes),
            Err(why) => Response::Unsendable(account.login, why),
        }
    }

    /// Returns the response to a question of a mail server. This asks the database, and the file system if the question
    /// is about a recipient or a mailbox.
    pub fn route(router: &Router, question: &Question, deadline: Instant) -> Self {
        match question {
            Question::Account(address) => {
                let answer = router.account(address);
                if let Ok(to) = &answer {
                    router.renew_figures(to);
                }
                Response::destination(answer)
            }
            Question::Recipient { address, size } => Response::recipient(router.recipient(address, *size, deadline)),
            question => Response::text(answer_line(answer_text(router, question, deadline))),
        }
    }

    /// Returns the response to the question for the account that receives the mail of an address.
    pub fn destination(answer: Answer<Destination>) -> Self {
        Response::text(answer_line(answer.and_then(|to| sendable(account_text(&to)))))
    }

    /// Returns the response to the question whether a recipient accepts a message.
    pub fn recipient(answer: Answer<()>) -> Self {
        if matches!(answer, Err(Refusal::No(No::NoMail))) {
            return Response::Bytes(Zeroizing::new(NO_MAIL.to_vec()));
        }
        Response::text(answer_line(answer.map(|()| String::new())))
    }

    fn text(text: String) -> Self {
        Response::Bytes(Zeroizing::new(text.into_bytes()))
    }
}

/// Returns the text of the answer to a question of a mail server; empty if a yes says it all.
pub(super) fn answer_text(router: &Router, question: &Question, deadline: Instant) -> Answer<String> {
    match question {
        Question::Domain(name) => router.domain(name).map(|mail| domain_text(mail).to_owned()),
        Question::Account(address) => sendable(account_text(&router.account(address)?)),
        Question::Alias(address) => sendable(alias_text(&router.alias(address)?)),
        Question::SenderLogins(address) => sendable(alias_text(&router.sender_logins(address)?)),
        Question::Sender { login, address } => router.sender(login, address).map(|()| String::new()),
        Question::Recipient { address, size } => router.recipient(address, *size, deadline).map(|()| String::new()),
    }
}

fn sendable(text: Result<String, Unsendable>) -> Answer<String> {
    text.map_err(|why| NotNow::Daemon(format!("the answer cannot be sent: {why}")).into())
}

/// Returns the line for an answer. "Not now" has a reason here, which mail servers log.
fn answer_line(answer: Answer<String>) -> String {
    match answer {
        Ok(text) => line("OK", &text),
        Err(Refusal::No(No::OverQuota(why))) => line("OVER", &why),
        Err(Refusal::No(_)) => line("FAIL", ""),
        Err(Refusal::NotNow(why)) => line("LATER", &why.to_string()),
    }
}

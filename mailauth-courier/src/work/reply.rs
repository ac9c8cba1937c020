//! From an answer to the bytes that say it. "Not now" is no bytes at all, but to a question of our own.

use crate::accept::peer::Rights;
use crate::live_config::Live;
use mailauth_core::account::Account;
use mailauth_core::authenticate::{Answer, No};
use mailauth_core::password::Stored;
use mailauth_core::routing::{Destination, Router};
use mailauth_core::{Login, Secret, Service};
use mailauth_protocol::Question;
use mailauth_protocol::reply::{
    self, FAIL, NO_MAIL, Passwords, Unsendable, account_text, alias_text, domain_text, line,
};
use std::time::Instant;
use zeroize::Zeroizing;

/// What to send.
pub(crate) enum Reply {
    /// These bytes.
    Bytes(Zeroizing<Vec<u8>>),
    /// Nothing: not now.
    Silence,
    /// Nothing, for the account cannot be put into a reply.
    Unsendable(Login, Unsendable),
}

/// What is special in a record, beside the account.
#[derive(Default)]
pub(crate) struct Form {
    /// The password sent, when it is to be repeated.
    pub sent: Option<Secret>,
    /// The mail server of Courier itself takes `MAILDIR` for delivery instructions, as in dot-courier(5), that go before
    /// its own: `Maildir`, without `./`, would be an address to send the mail on to. We have no such instructions.
    pub without_maildir: bool,
    /// The request is a look-up, after which some clients verify a password themselves.
    pub looked_up: bool,
    /// The request is a login that opens the mailbox, which is made first where it is missing and `[mailbox] create` says
    /// so.
    pub opens_mailbox: bool,
    /// The request is a login, whose refusal is sent at a time that does not tell why it is refused.
    pub is_login: bool,
}

impl Form {
    pub fn of(service: &[u8]) -> Self {
        Form { without_maildir: service == b"courier", ..Form::default() }
    }

    /// Of a login.
    pub fn of_login(service: &[u8]) -> Self {
        let opens = [Service::Imap, Service::Pop3, Service::Webmail, Service::Sieve];
        let opens_mailbox = opens.contains(&Service::from_name(service));
        Form { opens_mailbox, is_login: true, ..Form::of(service) }
    }
}

impl Reply {
    pub fn fail() -> Self {
        Reply::Bytes(Zeroizing::new(FAIL.to_vec()))
    }

    /// To a login or a look-up.
    pub fn account(answer: Answer<Box<Account>>, form: &Form, live: &Live, rights: Rights) -> Self {
        let mut account = match answer {
            Answer::Yes(account) => account,
            Answer::No(_) => return Reply::fail(),
            Answer::NotNow(_) => return Reply::Silence,
        };
        if form.without_maildir {
            account.maildir = None;
        }
        let stored = account.password.0.expose();
        let send_clear = live.send_clear || form.looked_up && rights.clear;
        let read = if live.send_hash || send_clear { Stored::parse(stored, &live.rules).ok() } else { None };
        let kept = read.as_ref().and_then(Stored::clear);
        let passwords = Passwords {
            // What cannot be read could be a clear password.
            hash: (live.send_hash && read.is_some() && kept.is_none()).then_some(stored),
            // One with a control character cannot be sent; who needs it has to do without.
            clear: form
                .sent
                .as_ref()
                .map(Secret::expose)
                .or(kept.filter(|_| send_clear))
                .filter(|clear| !clear.iter().any(u8::is_ascii_control)),
        };
        match reply::account(&account, passwords) {
            Ok(bytes) => Reply::Bytes(bytes),
            Err(why) => Reply::Unsendable(account.login, why),
        }
    }

    /// To a question of a mail server. This asks the database, and of a recipient or a mailbox the file system too.
    pub fn route(router: &Router, question: &Question, deadline: Instant) -> Self {
        let text = match question {
            Question::Domain(name) => said_of(router.domain(name), |mail| Ok(domain_text(mail).to_owned())),
            Question::Account(address) => {
                let answer = router.account(address);
                if let Answer::Yes(to) = &answer {
                    router.renew_figures(to);
                }
                return Reply::mailbox(answer);
            }
            Question::Alias(address) => said_of(router.alias(address), |targets| alias_text(&targets)),
            Question::Sender { login, address } => said_of(router.sender(login, address), |()| Ok(String::new())),
            Question::Recipient { address, size } => {
                return Reply::recipient(router.recipient(address, *size, deadline));
            }
        };
        Reply::text(text)
    }

    /// To the question where the mail of an address is to be put.
    pub fn mailbox(answer: Answer<Destination>) -> Self {
        Reply::text(said_of(answer, |to| account_text(&to)))
    }

    /// To the question whether a recipient takes a message.
    pub fn recipient(answer: Answer<()>) -> Self {
        if matches!(answer, Answer::No(No::NoMail)) {
            return Reply::Bytes(Zeroizing::new(NO_MAIL.to_vec()));
        }
        Reply::text(said_of(answer, |()| Ok(String::new())))
    }

    fn text(text: String) -> Self {
        Reply::Bytes(Zeroizing::new(text.into_bytes()))
    }
}

/// "Not now" has a reason here, which mail servers log.
fn said_of<T>(answer: Answer<T>, text: impl FnOnce(T) -> Result<String, Unsendable>) -> String {
    match answer {
        Answer::Yes(value) => match text(value) {
            Ok(text) => line("OK", &text),
            Err(why) => line("LATER", &format!("the answer cannot be sent: {why}")),
        },
        Answer::No(No::OverQuota(why)) => line("OVER", &why),
        Answer::No(_) => line("FAIL", ""),
        Answer::NotNow(why) => line("LATER", &why.to_string()),
    }
}

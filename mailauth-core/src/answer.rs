//! The three answers.

use crate::account::LoginError;
use crate::decision_log::Outcome;
use crate::mailbox::Unusable;
use crate::password::{Flaw, HashError};
use crate::store::StoreError;
use std::time::Duration;

/// Yes, no, or not now. No layer folds two of them into one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer<T> {
    /// It is so, and this is what comes with it.
    Yes(T),
    /// It is not so, and asking again will not help.
    No(No),
    /// We cannot know. A client should try again, and must not say "wrong password".
    NotNow(NotNow),
}

/// Why the answer is no. For the log and the administrator: a client learns only that it is no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum No {
    /// No account can have this login.
    #[error("{0}")]
    UnusableLogin(#[from] LoginError),
    /// No account has this login.
    #[error("there is no such account")]
    UnknownLogin,
    /// The password does not fit.
    #[error("the password is wrong")]
    WrongPassword,
    /// An empty password, one that is too long, or one with a NUL.
    #[error("the password is empty, too long, or holds a NUL")]
    UnusablePassword,
    /// The new password has fewer characters than the configuration asks for.
    #[error("the new password is too short")]
    NewPasswordTooShort,
    /// The account has no password.
    #[error("no password is set; set one with 'mailauth account passwd'")]
    NoPassword,
    /// The stored value is one that locks the account, such as `!` or `*LK*`.
    #[error("the stored password is locked")]
    PasswordLocked,
    /// The stored value cannot be verified: cut, of an unknown scheme, beyond the bounds.
    #[error("the stored password cannot be used: {0}")]
    UnusableHash(Flaw),
    /// The account's row can never be used as it is, whatever is sent: no uid, a home that is no path.
    #[error("{0}")]
    UnusableAccount(Unusable),
    /// A challenge was answered, but only a hash is stored.
    #[error("no clear password is stored, which a challenge needs")]
    NoClearPassword,
    /// The account is switched off.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The account's domain is switched off.
    #[error("the account's domain is disabled")]
    DomainDisabled,
    /// The account may not use this service.
    #[error("the account may not use this service")]
    ServiceNotAllowed,
    /// The account is there, and mail for it is switched off.
    #[error("the account receives no mail")]
    NoMail,
    /// Mail for this domain is not kept here.
    #[error("mail for this domain is not kept here")]
    UnknownDomain,
    /// The address is no alias.
    #[error("there is no such alias")]
    UnknownAlias,
    /// The login may not send as this address.
    #[error("the login may not send as this address")]
    NotOwnAddress,
    /// A message would break this limit: a mailbox's or its domain's, and what it holds.
    #[error("{0}")]
    OverQuota(String),
    /// A daemon said no over its socket, and its protocol has no words for the reason.
    #[error("the daemon said no; its log says why")]
    Unexplained,
    /// The password was not tried, for too many wrong ones came from the client's network: the refusal is to be sent after
    /// so long.
    #[error(
        "too many wrong passwords came from the client's network, and this one was not tried; see 'mailauth throttle list'"
    )]
    Throttled(Duration),
    /// No for the reason inside, which is to be sent after so long.
    #[error("{0}")]
    Delayed(Box<No>, Duration),
}

impl No {
    /// Every word of [`No::code`].
    pub const CODES: [&'static str; 20] = [
        "unusable-login",
        "unknown-login",
        "wrong-password",
        "unusable-password",
        "new-password-too-short",
        "no-password",
        "password-locked",
        "unusable-hash",
        "unusable-account",
        "no-clear-password",
        "account-disabled",
        "domain-disabled",
        "service-not-allowed",
        "no-mail",
        "unknown-domain",
        "unknown-alias",
        "not-own-address",
        "over-quota",
        "unexplained",
        "throttled",
    ];

    /// A word for the log that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            No::UnusableLogin(_) => "unusable-login",
            No::UnknownLogin => "unknown-login",
            No::WrongPassword => "wrong-password",
            No::UnusablePassword => "unusable-password",
            No::NewPasswordTooShort => "new-password-too-short",
            No::NoPassword => "no-password",
            No::PasswordLocked => "password-locked",
            No::UnusableHash(_) => "unusable-hash",
            No::UnusableAccount(_) => "unusable-account",
            No::NoClearPassword => "no-clear-password",
            No::AccountDisabled => "account-disabled",
            No::DomainDisabled => "domain-disabled",
            No::ServiceNotAllowed => "service-not-allowed",
            No::NoMail => "no-mail",
            No::UnknownDomain => "unknown-domain",
            No::UnknownAlias => "unknown-alias",
            No::NotOwnAddress => "not-own-address",
            No::OverQuota(_) => "over-quota",
            No::Unexplained => "unexplained",
            No::Throttled(_) => "throttled",
            No::Delayed(no, _) => no.code(),
        }
    }

    /// How long it is to be kept back, so that guessing takes time.
    pub fn delay(&self) -> Duration {
        match self {
            No::Throttled(delay) | No::Delayed(_, delay) => *delay,
            _ => Duration::ZERO,
        }
    }
}

/// Why the answer cannot be known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The store cannot say.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There was no place in the budget for hashing before the deadline.
    #[error("too many passwords are being verified; see [password] parallel and memory")]
    Busy,
    /// The new password could not be hashed, which is no fault of its own.
    #[error("the new password was not hashed: {0}")]
    NoHash(HashError),
    /// It cannot be told what the mailbox holds.
    #[error("it is not known whether there is room: {0}")]
    Quota(String),
    /// Wrong passwords for this login come from many networks, and too many are waiting to be tried.
    #[error(
        "wrong passwords for this login come from many networks, and another one is tried at this moment; see \
         'mailauth throttle list'"
    )]
    Attacked,
    /// The deadline had passed before the work began.
    #[error("the request waited past its deadline")]
    Late,
    /// There is no daemon, it may not be reached, or it is frozen: another way to the answer may be tried. A whole
    /// sentence, with what to do.
    #[error("{0}")]
    NoDaemon(String),
    /// A daemon could not say. A whole sentence.
    #[error("{0}")]
    Daemon(String),
}

impl NotNow {
    /// Every word of [`NotNow::code`].
    pub const CODES: [&'static str; 13] = [
        "database-unreachable",
        "database-timeout",
        "database-refused",
        "unusable-row",
        "unconfirmed",
        "schema",
        "busy",
        "no-hash",
        "quota-unknown",
        "attacked",
        "late",
        "no-daemon",
        "daemon",
    ];

    /// A word for the log that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            NotNow::Store(StoreError::Unreachable { .. }) => "database-unreachable",
            NotNow::Store(StoreError::Timeout { .. } | StoreError::Cancelled { .. }) => "database-timeout",
            NotNow::Store(StoreError::Refused { .. } | StoreError::Forbidden { .. }) => "database-refused",
            NotNow::Store(
                StoreError::Unusable(_)
                | StoreError::Doubtful(_)
                | StoreError::UnusableDomain { .. }
                | StoreError::UnusableAlias { .. },
            ) => "unusable-row",
            NotNow::Store(StoreError::Unconfirmed(_)) => "unconfirmed",
            NotNow::Store(StoreError::Schema(_)) => "schema",
            NotNow::Busy => "busy",
            NotNow::NoHash(_) => "no-hash",
            NotNow::Quota(_) => "quota-unknown",
            NotNow::Attacked => "attacked",
            NotNow::Late => "late",
            NotNow::NoDaemon(_) => "no-daemon",
            NotNow::Daemon(_) => "daemon",
        }
    }
}

impl<T> Answer<T> {
    /// The same answer, with nothing in a yes.
    pub fn without_value(self) -> Answer<()> {
        match self {
            Answer::Yes(_) => Answer::Yes(()),
            Answer::No(no) => Answer::No(no),
            Answer::NotNow(why) => Answer::NotNow(why),
        }
    }

    pub(crate) fn outcome(&self) -> Outcome<'_> {
        match self {
            Answer::Yes(_) => Outcome::Yes,
            Answer::No(no) => Outcome::No(no),
            Answer::NotNow(why) => Outcome::NotNow(why),
        }
    }
}

//! The three answers.

use crate::account::LoginError;
use crate::mailbox::Unusable;
use crate::password::{Flaw, HashError};
use crate::store::StoreError;
use std::time::Duration;

/// Yes, with the value that belongs to it; or why not. No layer folds two of the three answers into one.
///
/// ```
/// use mailauth_core::answer::{Answer, No, NotNow, Refusal};
///
/// /// Returns what a client is told.
/// fn reply(answer: Answer<()>) -> &'static str {
///     match answer {
///         Ok(()) => "welcome",
///         Err(Refusal::No(_)) => "authentication failed",
///         Err(Refusal::NotNow(_)) => "temporary failure, try again later",
///     }
/// }
///
/// assert_eq!(reply(Err(No::WrongPassword.into())), "authentication failed");
/// assert_eq!(reply(Err(NotNow::Busy.into())), "temporary failure, try again later");
/// ```
pub type Answer<T> = Result<T, Refusal>;

/// The two answers that are not yes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No, and asking again does not help.
    #[error(transparent)]
    No(#[from] No),
    /// It cannot be known now. A client should try again, and must not say "wrong password".
    #[error(transparent)]
    NotNow(#[from] NotNow),
}

impl Refusal {
    /// Returns a word for the log that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::No(no) => no.code(),
            Refusal::NotNow(why) => why.code(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::NotNow(error.into())
    }
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
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The password is empty, too long, or contains a NUL.
    #[error("the password is empty, too long, or holds a NUL")]
    UnusablePassword,
    /// The new password has fewer characters than the configuration requires.
    #[error("the new password is too short")]
    NewPasswordTooShort,
    /// Passwords are changed by the program that the accounts belong to, and not here.
    #[error("{0}")]
    ReadOnly(String),
    /// The account has no password.
    #[error("no password is set; set one with 'mailauth account passwd'")]
    NoPassword,
    /// The stored value locks the account, such as `!` or `*LK*`.
    #[error("the stored password is locked")]
    PasswordLocked,
    /// The stored value cannot be verified: it is cut off, of an unknown scheme, or beyond the limits.
    #[error("the stored password cannot be used: {0}")]
    UnusableHash(Flaw),
    /// The account's row can never be used as it is, whatever is sent: no uid, or a home that is not a path.
    #[error("{0}")]
    UnusableAccount(Unusable),
    /// A challenge was answered, but only a hash is stored.
    #[error("no clear password is stored, which a challenge needs")]
    NoClearPassword,
    /// The account is disabled.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The account's domain is disabled.
    #[error("the account's domain is disabled")]
    DomainDisabled,
    /// The account may not use this service.
    #[error("the account may not use this service")]
    ServiceNotAllowed,
    /// The account exists, and mail for it is disabled.
    #[error("the account receives no mail")]
    NoMail,
    /// Mail for this domain is not kept here.
    #[error("mail for this domain is not kept here")]
    UnknownDomain,
    /// The address is not an alias.
    #[error("there is no such alias")]
    UnknownAlias,
    /// The login may not send as this address.
    #[error("the login may not send as this address")]
    NotOwnAddress,
    /// A message would exceed this limit, of a mailbox or of its domain, with what it holds.
    #[error("{0}")]
    OverQuota(String),
    /// A daemon said no on its socket, and its protocol does not carry the reason.
    #[error("the daemon said no; its log says why")]
    Unexplained,
    /// The password was not tried, because too many wrong ones came from the client's network. The refusal is to be
    /// sent after this time.
    #[error(
        "too many wrong passwords came from the client's network, and this one was not tried; see 'mailauth throttle list'"
    )]
    Throttled(Duration),
    /// No for the reason inside, to be sent after this time.
    #[error("{0}")]
    Delayed(Box<No>, Duration),
}

impl No {
    /// Every value of [`No::code`].
    pub const CODES: [&'static str; 21] = [
        "unusable-login",
        "unknown-login",
        "wrong-password",
        "unusable-password",
        "new-password-too-short",
        "read-only",
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

    /// Returns a word for the log that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            No::UnusableLogin(_) => "unusable-login",
            No::UnknownLogin => "unknown-login",
            No::WrongPassword => "wrong-password",
            No::UnusablePassword => "unusable-password",
            No::NewPasswordTooShort => "new-password-too-short",
            No::ReadOnly(_) => "read-only",
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

    /// Returns the time by which the refusal is delayed, so that guessing takes time.
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
    /// The store cannot tell.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No permit for hashing was free before the deadline.
    #[error("too many passwords are being verified; see [password] parallel and memory")]
    Busy,
    /// The new password could not be hashed, for a reason other than the password itself.
    #[error("the new password was not hashed: {0}")]
    NoHash(HashError),
    /// It cannot be determined how much the mailbox holds.
    #[error("it is not known whether there is room: {0}")]
    Quota(String),
    /// Wrong passwords for this login come from many networks, and too many are waiting to be tried.
    #[error(
        "wrong passwords for this login come from many networks, and another one is tried at this moment; see \
         'mailauth throttle list'"
    )]
    Attacked,
    /// The password was changed after the client had been sent the salt for its proof.
    #[error("the password was changed during the login")]
    Outdated,
    /// The deadline had passed before the work began.
    #[error("the request waited past its deadline")]
    Late,
    /// The daemon is down, frozen, or may not be asked; another source of answers may be tried. A whole sentence, with
    /// what to do.
    #[error("{0}")]
    NoDaemon(String),
    /// The daemon could not tell. A whole sentence.
    #[error("{0}")]
    Daemon(String),
}

impl NotNow {
    /// Every value of [`NotNow::code`].
    pub const CODES: [&'static str; 14] = [
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
        "outdated",
        "late",
        "no-daemon",
        "daemon",
    ];

    /// Returns a word for the log that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            NotNow::Store(StoreError::Unreachable { .. }) => "database-unreachable",
            NotNow::Store(StoreError::Timeout { .. } | StoreError::Cancelled { .. }) => "database-timeout",
            NotNow::Store(StoreError::Refused { .. } | StoreError::Forbidden { .. } | StoreError::ReadOnly(_)) => {
                "database-refused"
            }
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
            NotNow::Outdated => "outdated",
            NotNow::Late => "late",
            NotNow::NoDaemon(_) => "no-daemon",
            NotNow::Daemon(_) => "daemon",
        }
    }
}

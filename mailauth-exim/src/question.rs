//! The questions, with their names and arguments.
//!
//! | question | arguments | yes |
//! |---|---|---|
//! | `login` | service, login, password \[, the client's address\] | the password is right, and the service permitted |
//! | `domain` | domain | `yes`: its mail is kept here; or `backup`: it is accepted and sent on |
//! | `may_store` | address, size | a message of that size is accepted for the address |
//! | `recipient` | address, size | `ok`; a no is one of the words `unknown`, `no-mail` and `over ...` |
//! | `account` | address | what a delivery needs, for `${extract` |
//! | `alias` | address | the addresses that its mail is sent to instead |
//! | `cram` | login | the password in clear, if it is stored so |
//! | `sender` | login, address | the login may send as this address; empty or `<>` is mail without a sender |
//!
//! A size is a number of bytes, or `-1` for one that is not known, as in `$message_size`.

use mailauth_core::Secret;
use mailauth_core::answer::{Answer, No, Refusal};
use mailauth_protocol::question::parse_size;
use std::fmt;

/// A question with its arguments.
#[derive(Debug)]
pub enum Question {
    /// Whether this login with this password may use this service.
    Login {
        /// Name of the service, such as `smtp`.
        service: Vec<u8>,
        /// The login.
        login: Vec<u8>,
        /// The password as the client sent it.
        password: Secret,
        /// Address of the client, if known.
        client: Option<String>,
    },
    /// Whether mail for this domain is kept here.
    Domain(Vec<u8>),
    /// Whether a message of this number of bytes is accepted for this address.
    MayStore(Vec<u8>, u64),
    /// The same, answered by words.
    Recipient(Vec<u8>, u64),
    /// What a delivery to this address needs to know.
    Account(Vec<u8>),
    /// Addresses that mail for this address is sent to instead.
    Alias(Vec<u8>),
    /// The password of this login in clear.
    Cram(Vec<u8>),
    /// Whether this login may send as this address.
    Sender {
        /// The login as the table spells it.
        login: Vec<u8>,
        /// The sender address; empty or `<>` for mail without a sender.
        address: Vec<u8>,
    },
}

/// Form of an answer, which decides how a "no" is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For `server_condition` and an ACL's `condition`: yes or no, or a word for a kind of yes.
    Condition,
    /// For `data`, `address_data` and `server_secret`: a value, or none.
    Value,
    /// For ACL variables: a word for every answer.
    Word,
}

/// An answer in the form of its question.
#[derive(Debug)]
pub enum Said {
    /// Yes, or the value.
    Yes(Secret),
    /// No, as a word.
    No(Secret),
    /// There is no value.
    Nothing,
    /// Not now, and the reason.
    NotNow(String),
}

impl Kind {
    /// Returns `answer` in this form.
    pub fn say(self, answer: Answer<Secret>) -> Said {
        match (self, answer) {
            (_, Err(Refusal::NotNow(why))) => Said::NotNow(why.to_string()),
            (Kind::Condition, Ok(word)) if !word.is_empty() => Said::Yes(word),
            (Kind::Condition, Ok(_)) => Said::Yes("yes".into()),
            (Kind::Condition, Err(Refusal::No(_))) => Said::No("no".into()),
            (Kind::Value, Ok(value)) => Said::Yes(value),
            (Kind::Value, Err(Refusal::No(_))) => Said::Nothing,
            (Kind::Word, Ok(_)) => Said::Yes("ok".into()),
            (Kind::Word, Err(Refusal::No(No::OverQuota(over)))) => Said::No(over.into_bytes().into()),
            (Kind::Word, Err(Refusal::No(No::NoMail))) => Said::No("no-mail".into()),
            (Kind::Word, Err(Refusal::No(_))) => Said::No("unknown".into()),
        }
    }
}

/// Why a question is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// No question has this name.
    Unknown(String),
    /// The question has other arguments.
    Arguments {
        /// Name of the question.
        question: &'static str,
        /// The arguments that it needs.
        wanted: &'static str,
        /// Number of arguments that were given.
        given: usize,
    },
    /// The size is not a number.
    Size(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Unknown(name) => {
                let names: Vec<_> = FORMS.iter().map(|(name, _)| *name).collect();
                write!(f, "there is no question {name:?}; the questions are {}", names.join(", "))
            }
            Misuse::Arguments { question, wanted, given } => {
                write!(f, "{question} needs {wanted}, and was given {given} argument(s)")
            }
            Misuse::Size(text) => write!(f, "{text:?} is not a size; give it a number of bytes, or $message_size"),
        }
    }
}

/// The names of the questions, with their arguments in words.
const FORMS: [(&str, &str); 8] = [
    ("login", "a service, a login, a password, and the client's address if that is known"),
    ("domain", "a domain"),
    ("may_store", "an address and a size"),
    ("recipient", "an address and a size"),
    ("account", "an address"),
    ("alias", "an address"),
    ("cram", "a login"),
    ("sender", "a login and an address"),
];

impl Question {
    /// Returns the question with this name and these arguments.
    ///
    /// # Errors
    /// Fails if no question has this name, or if it needs other arguments.
    pub fn read(name: &str, arguments: &[&[u8]]) -> Result<Self, Misuse> {
        Ok(match (name, arguments) {
            ("login", [service, login, password, client @ ..]) if client.len() <= 1 => Question::Login {
                service: service.to_vec(),
                login: login.to_vec(),
                password: (*password).into(),
                client: client.first().and_then(|address| String::from_utf8(address.to_vec()).ok()),
            },
            ("domain", [name]) => Question::Domain(name.to_vec()),
            ("may_store", [address, size]) => Question::MayStore(address.to_vec(), read_size(size)?),
            ("recipient", [address, size]) => Question::Recipient(address.to_vec(), read_size(size)?),
            ("account", [address]) => Question::Account(address.to_vec()),
            ("alias", [address]) => Question::Alias(address.to_vec()),
            ("cram", [login]) => Question::Cram(login.to_vec()),
            ("sender", [login, address]) => Question::Sender { login: login.to_vec(), address: address.to_vec() },
            _ => match FORMS.iter().find(|(known, _)| *known == name) {
                Some((question, wanted)) => {
                    return Err(Misuse::Arguments { question, wanted, given: arguments.len() });
                }
                None => return Err(Misuse::Unknown(name.to_owned())),
            },
        })
    }

    /// Returns the form of its answer.
    pub fn kind(&self) -> Kind {
        match self {
            Question::Login { .. } | Question::Domain(_) | Question::MayStore(..) | Question::Sender { .. } => {
                Kind::Condition
            }
            Question::Account(_) | Question::Alias(_) | Question::Cram(_) => Kind::Value,
            Question::Recipient(..) => Kind::Word,
        }
    }
}

fn read_size(text: &[u8]) -> Result<u64, Misuse> {
    parse_size(text).ok_or_else(|| Misuse::Size(text.escape_ascii().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_has_its_arguments_and_no_others() {
        for (name, least, most) in [
            ("login", 3, 4),
            ("domain", 1, 1),
            ("may_store", 2, 2),
            ("recipient", 2, 2),
            ("account", 1, 1),
            ("alias", 1, 1),
            ("cram", 1, 1),
            ("sender", 2, 2),
        ] {
            for given in 0..=8 {
                let read = Question::read(name, &vec![&b"1"[..]; given]);
                assert_eq!(read.is_ok(), (least..=most).contains(&given), "{name} with {given}");
            }
        }
        let said = Question::read("alias", &[]).unwrap_err().to_string();
        assert_eq!(said, "alias needs an address, and was given 0 argument(s)");
        assert!(Question::read("logon", &[]).unwrap_err().to_string().contains("the questions are login, domain, "));
    }

    #[test]
    fn a_size_is_a_number_or_not_known() {
        let size = |text: &str| match Question::read("may_store", &[b"a@x", text.as_bytes()]) {
            Ok(Question::MayStore(_, size)) => Some(size),
            _ => None,
        };
        assert_eq!((size("0"), size("4711"), size("-1")), (Some(0), Some(4711), Some(0)));
        assert_eq!(size("99999999999999999999999"), Some(u64::MAX));
        for text in ["", "-2", "+1", "1K", "1 ", "x"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }
}

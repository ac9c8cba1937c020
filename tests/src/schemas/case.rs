//! A question about the rows of a schema, and the right answer.

use crate::Kind;

/// A question and its answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// The question.
    pub question: Question,
    /// The login, address or domain that it is about.
    pub input: &'static str,
    /// The right answer.
    pub want: Want,
    /// Values of the account that are compared, if the answer is yes.
    pub account: Expected,
    /// The databases to which the case applies; `None` if it applies to all.
    pub databases: Option<&'static [Kind]>,
    /// Why the answer is right.
    pub reason: &'static str,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether this is the password of the account, and the account may use the service.
    Login {
        /// The service.
        service: &'static str,
        /// The password.
        password: &'static str,
    },
    /// The account, without a password.
    Lookup,
    /// Whether the mail of the domain is kept here.
    Domain,
    /// The targets of an alias.
    Alias,
    /// Whether mail for the address is accepted.
    Recipient,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Yes; for an alias, with its targets.
    Yes(&'static [&'static str]),
    /// No.
    No,
    /// Not now.
    NotNow,
}

/// Values of an account. `None` is not compared; a limit of 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// The login.
    pub login: Option<&'static str>,
    /// User and group ID.
    pub ids: Option<(u32, u32)>,
    /// Home directory.
    pub home: Option<&'static str>,
    /// Path of the Maildir.
    pub maildir: Option<&'static str>,
    /// Maximum number of bytes.
    pub bytes: Option<u64>,
    /// Maximum number of messages.
    pub messages: Option<u64>,
    /// Name of the person.
    pub name: Option<&'static str>,
    /// Options of Courier.
    pub options: Option<&'static str>,
}

/// Returns the question whether this is the password of an account that may use the service.
pub const fn login(input: &'static str, service: &'static str, password: &'static str) -> Case {
    ask(Question::Login { service, password }, input)
}

/// Returns the question for an account, without a password.
pub const fn lookup(input: &'static str) -> Case {
    ask(Question::Lookup, input)
}

/// Returns the question whether the mail of a domain is kept here.
pub const fn domain(input: &'static str) -> Case {
    ask(Question::Domain, input)
}

/// Returns the question for the targets of an alias.
pub const fn alias(input: &'static str) -> Case {
    ask(Question::Alias, input)
}

/// Returns the question whether mail for an address is accepted.
pub const fn recipient(input: &'static str) -> Case {
    ask(Question::Recipient, input)
}

const fn ask(question: Question, input: &'static str) -> Case {
    let account = Expected {
        login: None,
        ids: None,
        home: None,
        maildir: None,
        bytes: None,
        messages: None,
        name: None,
        options: None,
    };
    Case { question, input, want: Want::No, account, databases: None, reason: "" }
}

impl Case {
    /// The answer is yes.
    #[must_use]
    pub const fn yes(self, reason: &'static str) -> Self {
        Case { want: Want::Yes(&[]), reason, ..self }
    }

    /// The answer is yes, with these targets.
    #[must_use]
    pub const fn leads_to(self, targets: &'static [&'static str], reason: &'static str) -> Self {
        Case { want: Want::Yes(targets), reason, ..self }
    }

    /// The answer is no.
    #[must_use]
    pub const fn no(self, reason: &'static str) -> Self {
        Case { want: Want::No, reason, ..self }
    }

    /// The answer is "not now".
    #[must_use]
    pub const fn not_now(self, reason: &'static str) -> Self {
        Case { want: Want::NotNow, reason, ..self }
    }

    /// The case applies to these databases only.
    #[must_use]
    pub const fn on(self, databases: &'static [Kind]) -> Self {
        Case { databases: Some(databases), ..self }
    }

    /// The account has this login.
    #[must_use]
    pub const fn named(mut self, login: &'static str) -> Self {
        self.account.login = Some(login);
        self
    }

    /// The account has this user and group.
    #[must_use]
    pub const fn ids(mut self, uid: u32, gid: u32) -> Self {
        self.account.ids = Some((uid, gid));
        self
    }

    /// The account has this home.
    #[must_use]
    pub const fn home(mut self, home: &'static str) -> Self {
        self.account.home = Some(home);
        self
    }

    /// The account has this Maildir.
    #[must_use]
    pub const fn maildir(mut self, maildir: &'static str) -> Self {
        self.account.maildir = Some(maildir);
        self
    }

    /// The account has this quota; 0 is no limit.
    #[must_use]
    pub const fn quota(mut self, bytes: u64, messages: u64) -> Self {
        self.account.bytes = Some(bytes);
        self.account.messages = Some(messages);
        self
    }

    /// The account has this name.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.account.name = Some(name);
        self
    }

    /// The account has these options.
    #[must_use]
    pub const fn options(mut self, options: &'static str) -> Self {
        self.account.options = Some(options);
        self
    }
}

//! The programs that ask the daemon, and how they are recognized on this host.

use mailauth_core::system_ids;

/// A program that asks the daemon for logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Courier,
    Exim,
    Postfix,
    Dovecot,
}

impl Program {
    const ALL: [Program; 4] = [Program::Courier, Program::Exim, Program::Postfix, Program::Dovecot];

    /// Returns the name in options and answers.
    pub fn name(self) -> &'static str {
        match self {
            Program::Courier => "courier",
            Program::Exim => "exim",
            Program::Postfix => "postfix",
            Program::Dovecot => "dovecot",
        }
    }

    /// Returns the system user that connects to the daemon's own socket. Courier's programs use the other socket, which
    /// belongs to a group.
    pub fn user(self) -> Option<&'static str> {
        match self {
            Program::Courier => None,
            Program::Exim => Some("Debian-exim"),
            Program::Postfix => Some("postfix"),
            Program::Dovecot => Some("dovecot"),
        }
    }

    /// Returns true if the program's user or group exists on this host.
    fn is_installed(self) -> bool {
        match self.user() {
            Some(user) => matches!(system_ids::user(user), Ok(Some(_))),
            None => matches!(system_ids::group("courier"), Ok(Some(_))),
        }
    }

    /// Returns the programs that are installed.
    pub fn installed() -> Vec<Program> {
        Self::ALL.into_iter().filter(|program| program.is_installed()).collect()
    }

    /// Reads a list of names; `none` is the empty list.
    pub fn parse(text: &str) -> Result<Vec<Program>, String> {
        if text.trim() == "none" {
            return Ok(Vec::new());
        }
        let mut programs = Vec::new();
        for name in text.split([',', ' ']).filter(|name| !name.is_empty()) {
            let found = Self::ALL.into_iter().find(|program| program.name() == name.to_ascii_lowercase());
            let program =
                found.ok_or_else(|| format!("{name:?} is not one of courier, exim, postfix, dovecot, none"))?;
            if !program.is_installed() {
                let missing = program.user().map_or("group courier".to_owned(), |user| format!("user {user}"));
                return Err(format!("{name} is not installed: there is no {missing} on this host"));
            }
            if !programs.contains(&program) {
                programs.push(program);
            }
        }
        Ok(programs)
    }

    /// Returns the names as they are written in an answer.
    pub fn list(programs: &[Program]) -> String {
        match programs {
            [] => "none".to_owned(),
            programs => programs.iter().map(|program| program.name()).collect::<Vec<_>>().join(","),
        }
    }
}

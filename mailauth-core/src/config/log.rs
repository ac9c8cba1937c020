//! `[log]`: what is written to the log.

/// `[log]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// `level`: lines of this level and of graver ones are written.
    pub level: LogLevel,
    /// `decisions`: which decisions have a line.
    pub decisions: LoggedDecisions,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What does not work.
    Error,
    /// What an administrator should look at.
    Warn,
    /// What happens, such as logins.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
}

/// Which decisions have a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedDecisions {
    /// Each.
    #[default]
    All,
    /// Those that are "no" or "not now".
    Refused,
}

//! `[log]`: what is written to the log.

/// The section `[log]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// `level`: lines of this level and of more severe ones are written.
    pub level: LogLevel,
    /// `decisions`: which decisions are logged.
    pub decisions: LoggedDecisions,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// An administrator should look at it.
    Warn,
    /// Normal events, such as logins.
    #[default]
    Info,
    /// Details that help to find a fault.
    Debug,
}

/// Which decisions are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedDecisions {
    /// All decisions.
    #[default]
    All,
    /// Only decisions that are "no" or "not now".
    Refused,
}

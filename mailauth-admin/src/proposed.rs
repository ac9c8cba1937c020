//! Values that completions propose for an option that also accepts others.

use crate::hash;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::Error;
use clap::{Arg, Command};
use mailauth_core::password::NewScheme;
use std::ffi::OsStr;

/// Names of the services that have logins.
const SERVICES: [&str; 6] = ["imap", "pop3", "smtp", "webmail", "sieve", "calendar"];

/// Reads a value of an option, and knows some of its values.
#[derive(Clone)]
pub struct Proposed<T> {
    read: fn(&str) -> Result<T, String>,
    values: Vec<&'static str>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Proposed<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        TypedValueParser::parse_ref(&self.read, command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values.iter().map(|value| PossibleValue::new(*value))))
    }
}

/// Returns a parser for the name of a service.
pub fn service<T>(read: fn(&str) -> Result<T, String>) -> Proposed<T> {
    Proposed { read, values: SERVICES.to_vec() }
}

/// Returns a parser for a list of services.
pub fn services() -> Proposed<String> {
    Proposed { read: text, values: [&SERVICES[..], &["all", "none"]].concat() }
}

/// Returns a parser for the scheme of a new password.
pub fn scheme() -> Proposed<hash::Storing> {
    let schemes = NewScheme::ALL.map(NewScheme::name);
    Proposed { read: hash::read_scheme, values: schemes.into_iter().chain([hash::CLEAR]).collect() }
}

/// Reads any text.
pub fn text(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailauth_core::Service;

    #[test]
    fn proposed_values_are_accepted() {
        for name in SERVICES {
            let service = Service::from_name(name.as_bytes());
            assert!(service.name() == name && !matches!(service, Service::Other(_)), "{name}");
        }
        for name in scheme().values {
            assert!(hash::read_scheme(name).is_ok(), "{name}");
        }
    }
}

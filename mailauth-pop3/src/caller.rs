//! The calling program and what it asks for, from the environment and from the name of this program.

use mailauth_core::Service;
use mailauth_core::config::Pop3Config;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Name of this program with which it always answers as Dovecot expects.
pub const DOVECOT_NAME: &str = "mailauth-dovecot";

/// Environment variable that names the service.
pub const SERVICE: &str = "MAILAUTH_SERVICE";

/// The question, and the form of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Whether the password is right. If it is, the next program is run.
    LogIn,
    /// Dovecot's passdb: the same question; its reply program is also told about the account.
    DovecotLogIn,
    /// Dovecot's userdb: where the mail of this login is kept.
    DovecotLookUp,
    /// Dovecot's passdb for mechanisms such as CRAM-MD5: the password of this login in clear.
    DovecotCredentials,
}

/// What is known about a call before its record is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The question.
    pub task: Task,
    /// Service that the login is for.
    pub service: Service,
    /// Address of the client, if the caller gives one.
    pub client: Option<String>,
}

impl Caller {
    /// Reads it from the name of this program, the settings, and the environment that `variable` returns.
    pub fn new(name: &OsStr, settings: &Pop3Config, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let given = |name| variable(name).filter(|value: &OsString| !value.is_empty());
        let one = |name| variable(name).is_some_and(|value| value == "1");
        let named = Path::new(name).file_name().is_some_and(|name| name == DOVECOT_NAME);
        // Only Dovecot sets it. Without it, the other variables that Dovecot sets have no meaning.
        let inside = given("ORIG_UID").is_some_and(|uid| uid.as_bytes().iter().all(u8::is_ascii_digit));
        let task = match (named || settings.dovecot) && inside {
            false => Task::LogIn,
            true if !one("AUTHORIZED") => Task::DovecotLogIn,
            true if one("CREDENTIALS_LOOKUP") => Task::DovecotCredentials,
            true => Task::DovecotLookUp,
        };
        let said = if task == Task::LogIn { given(SERVICE) } else { given("SERVICE").or_else(|| given(SERVICE)) };
        let service = said.map_or_else(|| settings.service.clone(), |name| Service::from_name(name.as_bytes()));
        // Dovecot's own tools look accounts up too, and are not a service that an account could be denied.
        let service = match (task, service) {
            (Task::DovecotLookUp, Service::Other(_)) => Service::Delivery,
            (_, service) => service,
        };
        let address = given("TCPREMOTEIP").and_then(|text| text.into_string().ok()?.parse::<IpAddr>().ok());
        Caller { task, service, client: address.map(|address| address.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, dovecot: bool, variables: &[(&str, &str)]) -> Caller {
        let settings = Pop3Config { dovecot, ..Pop3Config::default() };
        Caller::new(name.as_ref(), &settings, |wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn dovecot_is_recognized_by_its_environment_if_it_is_expected() {
        let inside = [("ORIG_UID", "105"), ("AUTHORIZED", "1")];
        assert_eq!(caller("/usr/lib/mailauth-dovecot", false, &inside).task, Task::DovecotLookUp);
        assert_eq!(caller("mailauth-pop3", true, &inside).task, Task::DovecotLookUp);
        assert_eq!(caller("mailauth-pop3", false, &inside).task, Task::LogIn);
        assert_eq!(caller("mailauth-dovecot", true, &[("AUTHORIZED", "1")]).task, Task::LogIn);
        assert_eq!(caller("mailauth-dovecot", true, &[("ORIG_UID", "root"), ("AUTHORIZED", "1")]).task, Task::LogIn);
        assert_eq!(caller("mailauth-dovecot", true, &[("ORIG_UID", "105")]).task, Task::DovecotLogIn);
        let credentials = [("ORIG_UID", "105"), ("AUTHORIZED", "1"), ("CREDENTIALS_LOOKUP", "1")];
        assert_eq!(caller("mailauth-dovecot", false, &credentials).task, Task::DovecotCredentials);
    }

    #[test]
    fn the_service_comes_from_the_environment_or_the_settings() {
        assert_eq!(caller("mailauth-pop3", false, &[]).service, Service::Pop3);
        assert_eq!(caller("mailauth-pop3", false, &[(SERVICE, "smtp")]).service, Service::Smtp);
        assert_eq!(caller("mailauth-pop3", false, &[("SERVICE", "imap")]).service, Service::Pop3, "that is Dovecot's");
        let imap = [("ORIG_UID", "105"), ("SERVICE", "imap"), (SERVICE, "smtp")];
        assert_eq!(caller("mailauth-dovecot", false, &imap).service, Service::Imap);
        let tool = [("ORIG_UID", "105"), ("SERVICE", "doveadm"), ("AUTHORIZED", "1")];
        assert_eq!(caller("mailauth-dovecot", false, &tool).service, Service::Delivery);
    }

    #[test]
    fn a_client_that_is_not_an_address_is_ignored() {
        assert_eq!(caller("p", false, &[("TCPREMOTEIP", "192.0.2.7")]).client.as_deref(), Some("192.0.2.7"));
        assert_eq!(caller("p", false, &[("TCPREMOTEIP", "2001:DB8::1")]).client.as_deref(), Some("2001:db8::1"));
        assert_eq!(caller("p", false, &[("TCPREMOTEIP", "local\nhost")]).client, None);
    }
}

//! Asks the daemon on its socket, which is tried first.

use crate::record::Received;
use crate::{End, LoginBackend, fallback};
use mailauth_core::authenticate::Authority;
use mailauth_core::config::{Config, Fallback, Source};
use mailauth_protocol::client::Client;

/// The daemon as the program's source of answers. The daemon logs its decisions.
pub struct Daemon;

impl LoginBackend for Daemon {
    fn program(&self) -> &'static str {
        "mailauth-pop3"
    }

    fn asks(&self, config: &Config) -> String {
        format!("the daemon on {}", config.client.socket.display())
    }

    fn configuration(&self) -> Result<(Config, Source), End> {
        Config::load_without_password(None).map_err(|errors| End::NotNow(errors.to_string()))
    }

    fn authority(&self, config: &Config) -> Result<Box<dyn Authority>, End> {
        Ok(Box::new(Client::from_config(config)))
    }

    fn away(&self, received: Received, config: &Config, why: String) -> End {
        match config.client.fallback {
            Fallback::Database => fallback::switch(received, &why),
            Fallback::None => End::NotNow(why),
        }
    }
}

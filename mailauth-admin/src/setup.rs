//! What every verb begins with: the configuration, and the store it names.

use crate::failure::Failure;
use crate::output::remark;
use mailauth_core::config::Config;
use mailauth_core::store::{SqlStore, open_single};
use mailauth_core::{DomainName, Login};
use std::path::Path;

/// A configuration that was read.
pub struct Setup {
    pub config: Config,
}

impl Setup {
    /// Reads the configuration, and says on the standard error what is doubtful about it.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let (config, source) = Config::load(file)?;
        for warning in source.warnings {
            remark(format_args!("warning: {warning}"));
        }
        Ok(Setup { config })
    }

    /// The accounts. Nothing is connected yet.
    pub fn store(&self) -> Result<SqlStore, Failure> {
        Ok(open_single(&self.config.database)?)
    }

    /// The login of an account that may be there. It need not be one that could be added: other programs write too.
    pub fn login(&self, text: &str) -> Result<Login, Failure> {
        let login = Login::parse(text.as_bytes(), self.config.login.default_domain.as_deref());
        login.map_err(|error| Failure::usage(format!("{text:?}: {error}")))
    }

    /// The login of an account to add.
    pub fn new_login(&self, text: &str) -> Result<Login, Failure> {
        read_login(text.as_bytes(), &self.config).map_err(|problem| Failure::usage(format!("{text:?}: {problem}")))
    }
}

/// A login that an account may be added under: with a domain that can have a name.
pub fn read_login(text: &[u8], config: &Config) -> Result<Login, String> {
    let login = Login::parse(text, config.login.default_domain.as_deref()).map_err(|error| error.to_string())?;
    if login.domain().is_empty() {
        return Err("the login has no domain; write it as name@example.org".to_owned());
    }
    DomainName::parse(login.domain()).map_err(|error| error.to_string())?;
    Ok(login)
}

/// The name of a domain as the administrator writes it.
pub fn read_domain(text: &str) -> Result<DomainName, String> {
    DomainName::parse(text).map_err(|error| error.to_string())
}

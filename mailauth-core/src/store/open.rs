//! Opens the store that the configuration describes.

use super::SqlStore;
use super::driver::Driver;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use super::driver::connect::endpoint::{Address, Endpoint, addresses};
use super::driver::panic_guard::Guarded;
use super::driver::rights::denied::RightsAdvisor;
use super::hosts::Hosts;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use super::hosts::attempt_deadline;
use crate::config::DatabaseConfig;
#[cfg(any(feature = "sqlite", feature = "mysql", feature = "postgres"))]
use crate::config::DatabaseUrl;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::config::Server;
use crate::schema::{TableModel, Tables};
use std::sync::Arc;

/// Reason why no store can be opened, whatever the database does: the configuration is wrong, or needs what is not
/// built in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// Opens a store for a daemon: it keeps several connections to each host, which threads make in the background.
///
/// Nothing is connected yet, so a daemon can start while its database is down.
///
/// # Errors
/// Fails if the configuration can never work.
pub fn open_pooled(config: &DatabaseConfig) -> Result<SqlStore, OpenError> {
    let hosts = Hosts::pooled(drivers(config)?, config.url.to_string(), config.pool, config.deadline);
    Ok(store(config, hosts, false))
}

/// Opens a store for a command: without threads, and with one connection to each host that is asked, made for the first
/// query.
///
/// # Errors
/// Fails if the configuration can never work.
pub fn open_single(config: &DatabaseConfig) -> Result<SqlStore, OpenError> {
    let hosts = Hosts::single(drivers(config)?, config.url.to_string(), config.deadline);
    Ok(store(config, hosts, true))
}

/// Creates the store over these hosts. The advice about missing privileges is about our own tables.
fn store(config: &DatabaseConfig, hosts: Hosts, is_command: bool) -> SqlStore {
    match &config.tables {
        Tables::Own => SqlStore::new(hosts.with_advisor(RightsAdvisor::of(config, is_command)), TableModel::own()),
        Tables::Foreign(model) => SqlStore::foreign(hosts, Arc::clone(model)),
    }
}

/// Returns one driver for each host. Panics of a driver become errors.
pub(super) fn drivers(config: &DatabaseConfig) -> Result<Vec<Arc<dyn Driver>>, OpenError> {
    let guard = |driver| Arc::new(Guarded(driver)) as Arc<dyn Driver>;
    Ok(bare_drivers(config)?.into_iter().map(guard).collect())
}

fn bare_drivers(config: &DatabaseConfig) -> Result<Vec<Arc<dyn Driver>>, OpenError> {
    if let Some(why) = &config.unreadable {
        return Err(OpenError(why.clone()));
    }
    match &config.url {
        #[cfg(feature = "sqlite")]
        DatabaseUrl::Sqlite { path } => {
            let sqlite = super::driver::sqlite::Sqlite::new(path, config.deadline);
            Ok(vec![Arc::new(sqlite.read_only(config.tables.are_read_only()))])
        }
        #[cfg(feature = "mysql")]
        DatabaseUrl::Mysql(server) => {
            endpoints(config, server, |at| Ok(Arc::new(super::driver::mysql::Mysql::new(config, server, at)?)))
        }
        #[cfg(feature = "postgres")]
        DatabaseUrl::Postgres(server) => {
            endpoints(config, server, |at| Ok(Arc::new(super::driver::postgres::Postgres::new(config, server, at)?)))
        }
        #[allow(unreachable_patterns)]
        url => Err(OpenError(format!("this program was built without {}", url.product()))),
    }
}

#[cfg(any(feature = "mysql", feature = "postgres"))]
fn endpoints(
    config: &DatabaseConfig,
    server: &Server,
    driver: impl Fn(Endpoint) -> Result<Arc<dyn Driver>, OpenError>,
) -> Result<Vec<Arc<dyn Driver>>, OpenError> {
    let addresses = addresses(server);
    let deadline = attempt_deadline(config.deadline, addresses.len());
    let only = addresses.len() == 1;
    let place = |address: &Address| if only { config.url.to_string() } else { address.to_string() };
    addresses.into_iter().map(|address| driver(Endpoint { place: place(&address), address, deadline })).collect()
}

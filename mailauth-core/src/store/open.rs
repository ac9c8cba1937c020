//! From the configuration to a store.

use super::SqlStore;
use super::driver::Driver;
use super::pool::Pool;
use crate::config::{DatabaseConfig, DatabaseUrl};
use crate::schema::TableModel;
use std::sync::Arc;

/// Why no store can be had, whatever the database does: the configuration is wrong, or asks for what is not built in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// A store for a daemon: several connections are kept, and threads make them in the background.
///
/// Nothing is connected yet: a database that is away does not keep a daemon from starting.
///
/// # Errors
/// When the configuration can never work.
pub fn open_pooled(config: &DatabaseConfig) -> Result<SqlStore, OpenError> {
    let pool = Pool::many(driver(config)?, config.pool, config.deadline);
    Ok(SqlStore::new(pool, TableModel::own()))
}

/// A store for a command: one connection, made when the first question is asked, and no thread.
///
/// # Errors
/// When the configuration can never work.
pub fn open_single(config: &DatabaseConfig) -> Result<SqlStore, OpenError> {
    let pool = Pool::one(driver(config)?, config.deadline);
    Ok(SqlStore::new(pool, TableModel::own()))
}

fn driver(config: &DatabaseConfig) -> Result<Arc<dyn Driver>, OpenError> {
    match &config.url {
        #[cfg(feature = "sqlite")]
        DatabaseUrl::Sqlite { path } => Ok(Arc::new(super::sqlite::Sqlite::new(path, config.deadline))),
        #[cfg(feature = "mysql")]
        DatabaseUrl::Mysql(server) => Ok(Arc::new(super::mysql::Mysql::new(config, server)?)),
        #[cfg(feature = "postgres")]
        DatabaseUrl::Postgres(server) => Ok(Arc::new(super::postgres::Postgres::new(config, server)?)),
        #[allow(unreachable_patterns)]
        url => {
            let name = match url {
                DatabaseUrl::Sqlite { .. } => "SQLite",
                DatabaseUrl::Mysql(_) => "MySQL",
                DatabaseUrl::Postgres(_) => "PostgreSQL",
            };
            Err(OpenError(format!("this program was built without {name}")))
        }
    }
}

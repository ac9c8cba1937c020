//! The stores of the core: the same tests with SQLite, MariaDB and PostgreSQL.

#[path = "stores/addresses.rs"]
mod addresses;
#[path = "stores/administration.rs"]
mod administration;
#[path = "stores/alias_domains.rs"]
mod alias_domains;
#[path = "stores/blocked.rs"]
mod blocked;
#[path = "stores/certificates.rs"]
mod certificates;
#[path = "stores/copies.rs"]
mod copies;
#[path = "stores/database.rs"]
mod database;
#[path = "stores/deadlines.rs"]
mod deadlines;
#[path = "stores/encodings.rs"]
mod encodings;
#[path = "stores/foreign.rs"]
mod foreign;
#[path = "stores/full.rs"]
mod full;
#[path = "stores/garbage.rs"]
mod garbage;
#[path = "stores/identification.rs"]
mod identification;
#[path = "stores/migrations.rs"]
mod migrations;
#[path = "stores/outage.rs"]
mod outage;
#[path = "stores/plans.rs"]
mod plans;
#[path = "stores/pools.rs"]
mod pools;
#[path = "stores/rights.rs"]
mod rights;
#[path = "stores/tables.rs"]
mod tables;
#[path = "stores/tls.rs"]
mod tls;
#[path = "stores/together.rs"]
mod together;

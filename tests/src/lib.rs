//! The foundation of the end-to-end tests: private database servers, the real Courier daemons, mailauth's own
//! programs, and small clients of their protocols.
//!
//! The servers need users of their own and mount namespaces, so these tests run as root. Everything that they start is
//! in one temporary folder and ends with the test process, even if that is killed.

mod accounts;
mod amavis;
mod answers;
mod booted;
mod certificates;
pub mod checkpassword;
mod cluster;
mod courier;
mod credentials;
mod crowd;
mod each_database;
pub mod exim;
pub mod false_server;
mod galera;
mod holdings;
pub mod imap;
mod line;
mod load;
mod mail_host;
mod mailauth;
mod mariadb;
mod mariadb_pair;
pub mod metrics;
pub mod mysql;
mod not_run;
pub mod outage;
mod page_memory;
mod pauses;
pub mod people;
pub mod pop3;
mod popup;
mod port;
mod postgres;
mod postgres_pair;
mod process;
mod programs;
mod proxy;
pub mod schemas;
mod scratch;
mod server;
pub mod smtp;
mod terminal;
pub mod wire;

pub use accounts::{Accounts, Kind};
pub use amavis::Amavis;
pub use answers::{Answer, Answers, Asked, Verdict};
pub use booted::{Booted, bare_debian};
pub use certificates::{Certificates, Unusual};
pub use cluster::{Cluster, Switch};
pub use courier::Courier;
pub use credentials::as_user;
pub use crowd::Crowd;
pub use galera::Galera;
pub use holdings::Holdings;
pub use load::{Load, Watch};
pub use mail_host::{MailHost, TcpService};
pub use mailauth::Mailauth;
pub use mariadb::{Flavor, MariaDb, MariaDbDatabase};
pub use mariadb_pair::MariaDbPair;
pub use popup::Popup;
pub use port::free_port;
pub use postgres::{Postgres, PostgresDatabase};
pub use postgres_pair::PostgresPair;
pub use process::{Child, Family, children, ended, eventually, output_with_input, processor_time, run, run_with_input};
pub use programs::{library, program, program_as, static_program};
pub use proxy::{Proxy, ProxyMode};
pub use scratch::{Scratch, User};
pub use server::{Server, ServerProcess};
pub use terminal::on_a_terminal;

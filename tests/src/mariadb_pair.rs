//! MariaDB: a primary, and a read-only replica.

use crate::accounts::Accounts;
use crate::cluster::{Cluster, Switch};
use crate::mariadb::MariaDb;
use crate::process::eventually;
use crate::server::Server;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Two servers. The first is the primary until they switch.
pub struct MariaDbPair {
    servers: [&'static MariaDb; 2],
    accounts: Accounts,
    primary: AtomicUsize,
}

const REPLICATOR: &str = "replicator";
const PASSWORD: &str = "password of the replicator";

impl MariaDbPair {
    /// Starts the servers, with the tables and no account.
    ///
    /// # Panics
    /// Panics if they do not start.
    pub fn start() -> Self {
        let [primary, replica] = [1, 2].map(|number| {
            let options = [format!("--server-id={number}"), format!("--log-basename=server{number}")];
            let options: Vec<String> = OPTIONS.map(String::from).into_iter().chain(options).collect();
            &*Box::leak(Box::new(MariaDb::start_new_with(&options, &[])))
        });
        primary.admin(&format!(
            "CREATE USER {REPLICATOR}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
             GRANT REPLICATION SLAVE ON *.* TO {REPLICATOR}@'127.0.0.1';"
        ));
        follow(replica, primary, "");
        let accounts = Accounts::in_mariadb(primary.database());
        let pair = MariaDbPair { servers: [primary, replica], accounts, primary: AtomicUsize::new(0) };
        pair.wait_until_replicated();
        pair
    }

    fn primary(&self) -> &'static MariaDb {
        self.servers[self.writable()]
    }

    fn replica(&self) -> &'static MariaDb {
        self.servers[1 - self.writable()]
    }
}

/// A read-only server is started read-only too, so that a restart does not make it writable.
const OPTIONS: [&str; 6] = [
    "--log-bin",
    "--log-slave-updates",
    "--binlog-format=ROW",
    "--max-connections=30",
    "--slave-net-timeout=4",
    "--read-only=1",
];

/// Makes a server a read-only replica of another, starting from its current position.
fn follow(replica: &MariaDb, primary: &MariaDb, more: &str) {
    primary.admin("SET GLOBAL read_only = 0");
    replica.admin(&format!(
        "SET GLOBAL read_only = 1;
         CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = '{REPLICATOR}',
             MASTER_PASSWORD = '{PASSWORD}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1{more};
         START SLAVE;",
        primary.port()
    ));
}

impl Cluster for MariaDbPair {
    fn name(&self) -> &'static str {
        "MariaDB, primary and replica"
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.servers.map(|server| -> &dyn Server { server }).to_vec()
    }

    fn wait_until_replicated(&self) {
        let position = self.primary().admin("SELECT @@GLOBAL.gtid_binlog_pos");
        let wait = format!("SELECT MASTER_GTID_WAIT('{}', 1)", position.trim());
        eventually("the replica has it all", Duration::from_secs(30), || self.replica().admin(&wait).trim() == "0");
    }

    fn bring_back(&self, number: usize) {
        let server = self.servers[number];
        server.start();
        if number == self.writable() {
            server.admin("SET GLOBAL read_only = 0");
        }
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn place(&self) -> (&'static str, String) {
        ("mysql", self.accounts.mariadb().name().to_owned())
    }
}

impl Switch for MariaDbPair {
    fn demote(&self) {
        self.primary().admin("SET GLOBAL read_only = 1");
        self.wait_until_replicated();
    }

    fn promote(&self) {
        self.replica().admin("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0");
        self.primary.store(1 - self.writable(), Ordering::Relaxed);
    }

    fn follow(&self) {
        follow(self.replica(), self.primary(), ", MASTER_DEMOTE_TO_SLAVE = 1");
        self.wait_until_replicated();
    }

    fn hold_replication(&self) {
        self.replica().admin("STOP SLAVE SQL_THREAD");
    }

    fn resume_replication(&self) {
        self.replica().admin("START SLAVE SQL_THREAD");
        self.wait_until_replicated();
    }

    fn writable(&self) -> usize {
        self.primary.load(Ordering::Relaxed)
    }
}

impl Drop for MariaDbPair {
    fn drop(&mut self) {
        for server in self.servers {
            server.crash();
        }
    }
}

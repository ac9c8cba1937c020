//! PostgreSQL: a primary and its standby.

use crate::accounts::Accounts;
use crate::cluster::{Cluster, Switch};
use crate::postgres::Postgres;
use crate::process::eventually;
use crate::server::Server;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Two servers. The first is the primary until they switch.
pub struct PostgresPair {
    servers: [&'static Postgres; 2],
    accounts: Accounts,
    primary: AtomicUsize,
}

const SLOT: &str = "follower";

impl PostgresPair {
    /// Starts the servers, with the tables and no account.
    ///
    /// # Panics
    /// Panics if they do not start.
    pub fn start() -> Self {
        let settings = ["max_connections=30", "wal_receiver_timeout=4s", "wal_retrieve_retry_interval=500ms"];
        let primary: &Postgres = Box::leak(Box::new(Postgres::start_new_with(&settings)));
        let standby: &Postgres = Box::leak(Box::new(primary.start_follower(SLOT)));
        let accounts = Accounts::in_postgres(primary.database());
        let pair = PostgresPair { servers: [primary, standby], accounts, primary: AtomicUsize::new(0) };
        pair.wait_until_replicated();
        pair
    }

    fn primary(&self) -> &'static Postgres {
        self.servers[self.writable()]
    }

    fn standby(&self) -> &'static Postgres {
        self.servers[1 - self.writable()]
    }
}

impl Cluster for PostgresPair {
    fn name(&self) -> &'static str {
        "PostgreSQL, primary and standby"
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.servers.map(|server| -> &dyn Server { server }).to_vec()
    }

    fn wait_until_replicated(&self) {
        let position = self.primary().admin("SELECT pg_current_wal_lsn()");
        let has_it = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", position.trim());
        eventually("the standby has it all", Duration::from_secs(30), || self.standby().admin(&has_it).trim() == "t");
    }

    fn bring_back(&self, number: usize) {
        self.servers[number].start();
    }

    fn switch(&self) -> Option<&dyn Switch> {
        Some(self)
    }

    fn place(&self) -> (&'static str, String) {
        ("postgres", self.accounts.postgres().name().to_owned())
    }
}

impl Switch for PostgresPair {
    fn demote(&self) {
        // It cannot be demoted while it runs. When it shuts down in order, it ends only once the standby has
        // everything.
        self.primary().stop();
    }

    fn promote(&self) {
        self.standby().admin("SELECT pg_promote(true, 30)");
        self.primary.store(1 - self.writable(), Ordering::Relaxed);
    }

    fn follow(&self) {
        self.primary().admin(&format!("SELECT pg_create_physical_replication_slot('{SLOT}')"));
        self.standby().follow(self.primary(), SLOT);
        self.standby().start();
        // The slot from its time as primary would keep data that no server reads.
        self.standby().admin(&format!("SELECT pg_drop_replication_slot('{SLOT}')"));
        self.wait_until_replicated();
    }

    fn hold_replication(&self) {
        self.standby().admin("SELECT pg_wal_replay_pause()");
        let paused = "SELECT pg_get_wal_replay_pause_state()";
        eventually("a standby that holds", Duration::from_secs(30), || self.standby().admin(paused).trim() == "paused");
    }

    fn resume_replication(&self) {
        self.standby().admin("SELECT pg_wal_replay_resume()");
        self.wait_until_replicated();
    }

    fn writable(&self) -> usize {
        self.primary.load(Ordering::Relaxed)
    }
}

impl Drop for PostgresPair {
    fn drop(&mut self) {
        for server in self.servers {
            server.crash();
        }
    }
}

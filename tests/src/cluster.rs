//! Several database servers with the same accounts.

use crate::accounts::Accounts;
use crate::server::Server;
use std::fs;
use std::path::Path;

/// Servers with the same accounts, in order of preference. They are stopped when it is dropped.
pub trait Cluster: Sync {
    /// Returns its name in a table.
    fn name(&self) -> &'static str;

    /// Returns the accounts, which it reaches on the first server.
    fn accounts(&self) -> &Accounts;

    /// Returns its servers.
    fn servers(&self) -> Vec<&dyn Server>;

    /// Waits until every server has what the primary has.
    ///
    /// # Panics
    /// Panics if it takes too long.
    fn wait_until_replicated(&self);

    /// Starts a server that was stopped or has crashed, and waits until it is part of the cluster again.
    ///
    /// # Panics
    /// Panics if it takes too long.
    fn bring_back(&self, number: usize);

    /// Starts all servers after all were stopped or have crashed.
    ///
    /// # Panics
    /// Panics as [`Cluster::bring_back`] does.
    fn bring_all_back(&self) {
        for number in 0..self.servers().len() {
            self.bring_back(number);
        }
    }

    /// Waits until a server that has lost the others notices it. Does nothing if a server does not need the others.
    ///
    /// # Panics
    /// Panics if it takes too long.
    fn wait_until_alone(&self, _number: usize) {}

    /// Makes a server that has lost the others a whole cluster. Does nothing if a server does not need the others.
    ///
    /// # Panics
    /// Panics as [`Cluster::bring_back`] does.
    fn make_whole(&self, _number: usize) {}

    /// Returns a number that changes whenever the servers agree on a new set of members. Always 0 if they do not have
    /// to agree.
    fn agreement(&self) -> u64 {
        0
    }

    /// Returns the operations that make another server the primary without losing a confirmed write. `None` if every
    /// server is writable.
    fn switch(&self) -> Option<&dyn Switch>;

    /// Returns the ports of its servers.
    fn ports(&self) -> Vec<u16> {
        self.servers().iter().map(|server| server.port()).collect()
    }

    /// Returns a whole configuration with all servers at these ports of 127.0.0.1, over TLS with every certificate
    /// verified, with more lines for `[database]`, and with `more` after the socket in `[courier]`.
    ///
    /// # Panics
    /// Panics if the certificates of the authorities cannot be copied.
    fn config(&self, socket: &Path, ports: &[u16], database: &str, more: &str) -> String {
        let accounts = self.accounts();
        let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        let (scheme, user) = self.place();
        let authorities = accounts.folder().join("authorities.pem");
        let one = |server: &&dyn Server| fs::read_to_string(&server.certificates().authority).expect("its authority");
        fs::write(&authorities, self.servers().iter().map(one).collect::<String>()).expect("all of them");
        let tls = format!("tls = \"verify-full\"\ntls_ca = \"{}\"\n", authorities.display());
        let there = format!("url = \"{scheme}://{user}@{hosts}/{user}\"\n{tls}{database}");
        let first = format!("url = \"{}\"", accounts.url());
        let config = accounts.config().replacen(&first, &there, 1);
        format!("{config}[courier]\nsocket = \"{}\"\n{more}\n", socket.display())
    }

    /// Returns the scheme of its URL, and the name of its database, which is also the name of its user.
    fn place(&self) -> (&'static str, String);
}

/// A cluster with one writable server.
pub trait Switch: Sync {
    /// Makes the primary read-only once the other server has all its changes. No server is writable afterwards.
    fn demote(&self);
    /// Makes the other server the primary.
    fn promote(&self);
    /// Makes the former primary a replica.
    fn follow(&self);
    /// Stops replication to the replica, which still answers from what it has.
    fn hold_replication(&self);
    /// Lets replication to the replica continue.
    fn resume_replication(&self);
    /// Returns the number of the primary.
    fn writable(&self) -> usize;
}

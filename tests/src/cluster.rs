//! Several database servers that hold the same accounts.

use crate::accounts::Accounts;
use crate::server::Server;
use std::fs;
use std::path::Path;

/// Servers and the accounts that all of them hold, in order of preference. They are gone when it is dropped.
pub trait Cluster: Sync {
    /// Its name in a table.
    fn name(&self) -> &'static str;

    /// The accounts, and the way to them on the first server.
    fn accounts(&self) -> &Accounts;

    /// Its servers.
    fn servers(&self) -> Vec<&dyn Server>;

    /// Waits until every server has what the writable one has.
    ///
    /// # Panics
    /// Panics if it takes too long.
    fn wait_until_replicated(&self);

    /// Starts a server that was stopped or has crashed, and waits until it has its part again.
    ///
    /// # Panics
    /// Panics if it takes too long.
    fn bring_back(&self, number: usize);

    /// Starts all of them after none was left.
    ///
    /// # Panics
    /// Panics as [`Cluster::bring_back`] does.
    fn bring_all_back(&self) {
        for number in 0..self.servers().len() {
            self.bring_back(number);
        }
    }

    /// Waits until a server that has lost the others knows it. Where a server needs no others, there is nothing to wait for.
    ///
    /// # Panics
    /// Panics if it takes too long.
    fn wait_until_alone(&self, _number: usize) {}

    /// Makes a server that has lost the others all of the cluster. Where a server needs no others, there is nothing to do.
    ///
    /// # Panics
    /// Panics as [`Cluster::bring_back`] does.
    fn make_whole(&self, _number: usize) {}

    /// A number that changes whenever the servers agree anew who of them belongs to the cluster; always 0 where they need
    /// not agree.
    fn agreement(&self) -> u64 {
        0
    }

    /// Makes another server the writable one, in order, so that no write that was promised is lost; `None` where every
    /// server is.
    fn switch(&self) -> Option<&dyn Switch>;

    /// The ports of its servers.
    fn ports(&self) -> Vec<u16> {
        self.servers().iter().map(|server| server.port()).collect()
    }

    /// A whole configuration that knows all servers by these ports of 127.0.0.1, and by TLS with every certificate
    /// verified, with more lines for `[database]`, and what follows `[courier]`'s socket.
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

    /// The scheme of its URL, and its database's name, which is its user's too.
    fn place(&self) -> (&'static str, String);
}

/// A cluster in which one server is writable.
pub trait Switch: Sync {
    /// The writable one writes no more, and nor does another, for a moment: all that it has is on the other one too.
    fn demote(&self);
    /// The other one is writable from now on.
    fn promote(&self);
    /// The one that was demoted follows the other one.
    fn follow(&self);
    /// The other one gets no more changes, and goes on answering by what it has.
    fn hold_replication(&self);
    /// It gets them again.
    fn resume_replication(&self);
    /// The number of the writable one.
    fn writable(&self) -> usize;
}

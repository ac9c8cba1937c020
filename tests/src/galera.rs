//! MariaDB with Galera: three nodes, all writable.

use crate::accounts::Accounts;
use crate::cluster::{Cluster, Switch};
use crate::mariadb::MariaDb;
use crate::port::free_port;
use crate::process::eventually;
use crate::server::Server;
use std::time::Duration;

/// A cluster of three nodes.
pub struct Galera {
    nodes: [&'static MariaDb; 3],
    accounts: Accounts,
}

const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
const BOOTSTRAP: &str = "--wsrep-new-cluster";

impl Galera {
    /// Starts the nodes, with the tables and no account.
    ///
    /// # Panics
    /// Panics if they do not start.
    pub fn start() -> Self {
        assert!(std::path::Path::new(PROVIDER).exists(), "Galera is missing: tests/run installs it");
        let ports = [(); 3].map(|()| free_port());
        let addresses = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
        let start = |port, at_first: &[&str]| -> &'static MariaDb {
            Box::leak(Box::new(MariaDb::start_new_with(&options(port, &addresses), at_first)))
        };
        let nodes = [start(ports[0], &[BOOTSTRAP]), start(ports[1], &[]), start(ports[2], &[])];
        for (number, node) in nodes.iter().enumerate() {
            eventually("a synced node", Duration::from_secs(60), || is_synced(node));
            assert!(number > 0 || node.admin("SELECT @@wsrep_on").trim() == "1", "Galera is off");
        }
        let accounts = Accounts::in_mariadb(nodes[0].database());
        let galera = Galera { nodes, accounts };
        galera.wait_until_replicated();
        galera
    }

    /// Returns one of the nodes.
    pub fn node(&self, number: usize) -> &MariaDb {
        self.nodes[number]
    }

    /// Returns true if a node may answer: it belongs to the majority, and has all changes.
    pub fn is_synced(&self, number: usize) -> bool {
        is_synced(self.nodes[number])
    }
}

fn is_synced(node: &MariaDb) -> bool {
    // A node without a majority still reports its state, and nothing else.
    let state = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_local_state')";
    let state = node.admin(state);
    state.contains("wsrep_ready\tON") && state.contains("wsrep_local_state\t4")
}

/// Returns the number of the cluster configuration that a node is in. A node without one gets a number unlike all
/// others.
fn agreement(node: &MariaDb) -> u64 {
    let row = node.admin("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_conf_id'");
    row.trim().rsplit('\t').next().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

/// Time after which a silent node is excluded. The default of 5 s and more would make every test long.
const PATIENCE: &str = "evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.25S;evs.suspect_timeout=PT2S;\
                        evs.inactive_timeout=PT4S;evs.install_timeout=PT4S;gcache.size=8M";

fn options(port: u16, addresses: &str) -> Vec<String> {
    let (increments, copies) = (free_port(), free_port());
    let listen = format!(
        "gmcast.listen_addr=tcp://127.0.0.1:{port};ist.recv_addr=127.0.0.1:{increments};\
         ist.recv_bind=127.0.0.1:{increments}"
    );
    vec![
        "--wsrep-on=1".into(),
        format!("--wsrep-provider={PROVIDER}"),
        format!("--wsrep-cluster-address=gcomm://{addresses}"),
        format!("--wsrep-node-address=127.0.0.1:{port}"),
        "--wsrep-sst-method=rsync".into(),
        format!("--wsrep-sst-receive-address=127.0.0.1:{copies}"),
        format!("--wsrep-provider-options={listen};{PATIENCE}"),
        "--innodb-autoinc-lock-mode=2".into(),
        "--binlog-format=ROW".into(),
        "--max-connections=30".into(),
    ]
}

impl Cluster for Galera {
    fn name(&self) -> &'static str {
        "Galera, three nodes"
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.nodes.map(|node| -> &dyn Server { node }).to_vec()
    }

    fn wait_until_replicated(&self) {
        // A node that has been frozen notices only later that it was excluded, and reports to be in order until then.
        eventually("nodes that agree", Duration::from_secs(60), || {
            let agreements = self.nodes.map(agreement);
            self.nodes.iter().all(|node| is_synced(node)) && agreements.iter().all(|one| *one == agreements[0])
        });
        let committed = |node: &MariaDb| node.admin("SHOW GLOBAL STATUS LIKE 'wsrep_last_committed'");
        let first = committed(self.nodes[0]);
        let number = |row: &str| row.trim().rsplit('\t').next().and_then(|number| number.parse::<u64>().ok());
        eventually("every node has it all", Duration::from_secs(30), || {
            self.nodes.iter().all(|node| number(&committed(node)) >= number(&first))
        });
    }

    fn bring_back(&self, number: usize) {
        // With its position it needs only the writes that it has missed, and not a copy of all data.
        let position = self.nodes[number].recovered_position();
        self.nodes[number].start_with(&[&format!("--wsrep-start-position={position}")]);
        eventually("a synced node", Duration::from_secs(60), || self.is_synced(number));
    }

    fn bring_all_back(&self) {
        // Only the node that has the last write may start the cluster.
        let last = |number: &usize| {
            let position = self.nodes[*number].recovered_position();
            position.rsplit(':').next().and_then(|number| number.parse::<i64>().ok()).expect("UUID:NUMBER")
        };
        let first = (0..self.nodes.len()).max_by_key(last).expect("a node");
        self.nodes[first].allow_bootstrap();
        self.nodes[first].start_with(&[BOOTSTRAP]);
        eventually("a synced node", Duration::from_secs(60), || self.is_synced(first));
        for number in (0..self.nodes.len()).filter(|number| *number != first) {
            self.bring_back(number);
        }
    }

    fn wait_until_alone(&self, number: usize) {
        eventually("a node without a majority", Duration::from_secs(30), || !self.is_synced(number));
    }

    fn make_whole(&self, number: usize) {
        self.nodes[number].admin("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'");
        eventually("a cluster of one", Duration::from_secs(20), || self.is_synced(number));
    }

    fn agreement(&self) -> u64 {
        agreement(self.nodes[0])
    }

    fn switch(&self) -> Option<&dyn Switch> {
        None
    }

    fn place(&self) -> (&'static str, String) {
        ("mysql", self.accounts.mariadb().name().to_owned())
    }
}

impl Drop for Galera {
    fn drop(&mut self) {
        for node in self.nodes {
            node.crash();
        }
    }
}

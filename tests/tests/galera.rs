//! A node of a Galera cluster that is being backed up answers, and may lack the last changes.

use mailauth_core::account::Password;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::store::{AccountStore, RecentChanges, Role, open_pooled};
use mailauth_core::{Login, Secret};
use mailauth_tests::{Cluster, Galera, eventually};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_node_desynchronised_for_a_backup_counts_as_behind() {
    let galera = Galera::start();
    galera.accounts().admin(&["account", "import", "-"], "login,password\nanna@example.org,{PLAIN}old\n");
    galera.wait_until_replicated();
    let (name, database) = (galera.accounts().mariadb().name().to_owned(), galera.accounts().mariadb());
    let hosts: Vec<String> = galera.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = DatabaseConfig {
        url: format!("mysql://{name}@{}/{name}", hosts.join(",")).parse().unwrap(),
        password: Secret::from(database.password()),
        deadline: Duration::from_secs(6),
        ..DatabaseConfig::default()
    };
    // A store that may have missed changes would prefer a primary to the nearest server.
    let store = open_pooled(&config).unwrap().sharing(Arc::new(RecentChanges::complete()));
    let role = |number: usize| store.state().hosts[number].role;
    eventually("three primaries", SOON, || (0..3).all(|number| role(number) == Role::Primary));

    let node = galera.node(0);
    node.admin("SET GLOBAL wsrep_desync = ON");
    eventually("the first server is behind", SOON, || role(0) == Role::Replica);
    assert!(store.state().hosts[0].live);
    node.while_locked(|| {
        galera.node(1).admin(&format!("UPDATE {name}.accounts SET password = '{{PLAIN}}new'"));
        let anna = Login::parse(b"anna@example.org", None).unwrap();
        let password = |text: &str| Some(Password(Secret::from(text)));
        // The nearest server has the old row, which is not final.
        let near = store.look_up(&anna, Instant::now() + SOON).unwrap();
        assert_eq!(near.row.as_ref().map(|row| row.password.clone()), password("{PLAIN}old"));
        assert!(near.may_be_old());
        let newest = store.look_up_newest(&anna).unwrap();
        assert_eq!(newest.row.map(|row| row.password.clone()), password("{PLAIN}new"));
        // Changes go to another node.
        let (old, changed) = (password("{PLAIN}new").unwrap(), password("{PLAIN}third").unwrap());
        assert!(store.set_password(&anna, &old, &changed).unwrap());
    });
    node.admin("SET GLOBAL wsrep_desync = OFF");
    eventually("the first has caught up", SOON, || role(0) == Role::Primary);
}

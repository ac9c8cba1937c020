//! A pair of servers whose replica lags and is asked first: nothing is refused because the replica does not have it
//! yet.

use hmac::{Hmac, KeyInit, Mac};
use mailauth_core::answer::{No, Refusal};
use mailauth_core::authenticate::{Authenticator, Credential, Request};
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::config::Config;
use mailauth_core::counters::Counters;
use mailauth_core::routing::Router;
use mailauth_core::store::cache::Cache;
use mailauth_core::store::{AccountStore, MailStore, RecentChanges, Role, SqlStore, open_pooled};
use mailauth_core::{Login, Service};
use mailauth_tests::people::{ANNA, BRUNO, CARLA, CHEAP_HASH, DORA, DORAS_PASSWORD, PASSWORD, UNKNOWN, people};
use mailauth_tests::wire::{Manner, Outcome, ask, login, passwd, pre};
use mailauth_tests::{
    Cluster, Galera, MailHost, Mailauth, MariaDbPair, PostgresPair, Scratch, eventually, output_with_input, program,
};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

macro_rules! on_each_pair {
    ($($test:ident),* $(,)?) => {
        mod mariadb {
            use super::*;
            $(#[test] fn $test() { super::$test(&MariaDbPair::start()); })*
        }
        mod postgres {
            use super::*;
            $(#[test] fn $test() { super::$test(&PostgresPair::start()); })*
        }
    };
}

on_each_pair!(
    mail_for_rows_missing_on_the_replica_does_not_bounce,
    only_refusals_are_checked_at_the_primary,
    a_refusal_does_not_wait_for_a_frozen_replica,
    mail_is_not_refused_while_only_a_replica_is_reachable,
    a_message_is_delivered_by_the_primarys_row_or_deferred,
    a_password_change_reads_the_primarys_row,
    own_changes_take_effect_though_the_replica_lags,
    a_reload_forgets_no_change,
    a_restarted_daemon_knows_changes_reported_before,
);

const SOON: Duration = Duration::from_secs(20);
const FRIDA: &str = "frida@example.org";
const MESSAGE: &str = "From: dora@example.org\nSubject: Lunch?\n\nAt noon.\n";

/// A pair with the usual accounts, a daemon that asks the replica first, and the commands.
struct Site<'p> {
    pair: &'p dyn Cluster,
    daemon: Mailauth,
    homes: Scratch,
}

impl<'p> Site<'p> {
    fn new(pair: &'p dyn Cluster) -> Self {
        let homes = Scratch::new("replicas");
        pair.accounts().admin(&["account", "import", "-"], &people(homes.path()));
        pair.wait_until_replicated();
        let daemon = Mailauth::configured(|socket| {
            let ports: Vec<u16> = pair.ports().into_iter().rev().collect();
            pair.config(socket, &ports, "deadline = \"2s\"\n", "")
        });
        Site { pair, daemon, homes }
    }

    /// Creates a site whose replica gets no more changes.
    fn lagging(pair: &'p dyn Cluster) -> Self {
        let site = Self::new(pair);
        pair.switch().expect("a pair").hold_replication();
        site
    }

    /// Runs the command of another machine, which knows only the primary.
    fn elsewhere(&self, arguments: &[&str], input: &str) {
        self.pair.accounts().admin(arguments, input);
    }

    /// Runs the command of this machine, which asks the replica first and reports to the daemon: its exit code and
    /// output.
    fn here(&self, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let mut command = Command::new(program("mailauth"));
        let output = output_with_input(command.arg("--config").arg(self.daemon.config_path()).args(arguments), input);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str], input: &str) {
        let (code, said) = self.here(arguments, input);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    }

    #[track_caller]
    fn ends(&self, arguments: &[&str], input: &str, right: i32) {
        let (code, said) = self.here(arguments, input);
        assert_eq!(code, Some(right), "{arguments:?}: {said}");
    }

    fn asked(&self, question: &str) -> String {
        let reply = ask(self.daemon.socket(), format!("ASK {question}\n").as_bytes(), Manner::Whole);
        String::from_utf8(reply.bytes).expect("text")
    }

    /// Returns the first word of the answer.
    fn word(&self, question: &str) -> String {
        self.asked(question).split([' ', '\n']).next().unwrap_or_default().to_owned()
    }

    fn looked_up(&self, service: &str, user: &str) -> &'static str {
        ask(self.daemon.socket(), &pre(service, user), Manner::Whole).outcome().word()
    }

    fn login(&self, user: &str, password: &str) -> &'static str {
        login(self.daemon.socket(), user, password).word()
    }

    fn passwd(&self, old: &str, new: &str) -> Outcome {
        self.passwd_of(ANNA, old, new)
    }

    fn passwd_of(&self, user: &str, old: &str, new: &str) -> Outcome {
        ask(self.daemon.socket(), &passwd(user, old, new), Manner::Whole).outcome()
    }

    /// Changes the daemon's configuration and makes it read it again.
    fn reload(&self, change: impl FnOnce(String) -> String) {
        const DONE: &str = "configuration read again";
        let before = self.daemon.log().matches(DONE).count();
        let config = change(fs::read_to_string(self.daemon.config_path()).expect("the configuration"));
        fs::write(self.daemon.config_path(), config).expect("another one");
        self.daemon.reload();
        eventually("another configuration", SOON, || self.daemon.log().matches(DONE).count() > before);
    }

    /// Creates a home in which `mailauth deliver` can create a Maildir.
    fn home(&self, name: &str) -> PathBuf {
        let home = self.homes.join(name);
        fs::create_dir_all(&home).expect("a home");
        chown(&home, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
        home
    }
}

fn messages(home: &Path) -> usize {
    fs::read_dir(home.join("Maildir/new")).map_or(0, Iterator::count)
}

fn row(name: &str, home: &Path, quota: &str) -> String {
    format!("login,password,home,quota\n{name},{CHEAP_HASH},{},\"{quota}\"\n", home.display())
}

fn mail_for_rows_missing_on_the_replica_does_not_bounce(pair: &dyn Cluster) {
    let site = Site::new(pair);
    site.elsewhere(&["domain", "add", "off.example", "--disabled"], "");
    site.elsewhere(&["account", "import", "-"], &row("full@example.org", &site.home("full"), "1S"));
    site.elsewhere(&["domain", "add", "pool.example", "--quota", "1"], "");
    site.elsewhere(&["account", "import", "-"], &row("pooled@pool.example", &site.home("pooled"), ""));
    site.elsewhere(&["domain", "add", "caught.example"], "");
    site.elsewhere(&["alias", "add", "@caught.example", ANNA], "");
    pair.wait_until_replicated();
    pair.switch().expect("a pair").hold_replication();
    // Unknown rows are cached too.
    for question in ["recipient 9 nobody@example.org", "account nobody@example.org"] {
        assert_eq!(site.word(question), "FAIL", "{question}");
    }
    assert_eq!(site.word("recipient 9 full@example.org"), "OVER");
    assert_eq!(site.looked_up("courier", UNKNOWN), "FAIL");

    site.elsewhere(&["domain", "add", "new.example"], "");
    site.elsewhere(&["account", "import", "-"], &row("first@new.example", &site.home("first"), ""));
    site.elsewhere(&["account", "import", "-"], &row(UNKNOWN, &site.home("nobody"), ""));
    site.elsewhere(&["account", "import", "-"], &row("own@caught.example", &site.home("own"), ""));
    site.elsewhere(&["account", "set", CARLA, "--enabled"], "");
    site.elsewhere(&["domain", "set", "off.example", "--enabled"], "");
    site.elsewhere(&["account", "set", "full@example.org", "--quota", "1M"], "");
    site.elsewhere(&["domain", "set", "pool.example", "--quota", "1M"], "");
    site.elsewhere(&["alias", "add", "team@example.org", "chain@example.org"], "");
    site.elsewhere(&["alias", "add", "chain@example.org", "first@new.example"], "");
    site.elsewhere(&["alias", "add", "@new.example", ANNA], "");
    for question in [
        "domain new.example",
        "alias team@example.org",
        "alias whoever@new.example",
        "account first@new.example",
        "account nobody@example.org",
        "account carla@example.org",
        "recipient 9 first@new.example",
        "recipient 9 nobody@example.org",
        "recipient 9 carla@example.org",
        "recipient 9 team@example.org",
        "recipient 9 whoever@new.example",
        "recipient 9 full@example.org",
        "recipient 9 pooled@pool.example",
    ] {
        assert_eq!(site.word(question), "OK", "{question}: {}\n{}", site.asked(question), site.daemon.log());
    }
    assert_eq!(site.looked_up("courier", UNKNOWN), "ACCOUNT");
    assert_eq!(site.word("alias own@caught.example"), "FAIL", "the account gets its mail, and not the catch-all");
    // Rows that no server has are refused as before.
    for question in ["domain y.example", "alias x@example.org", "account x@example.org", "recipient 9 x@example.org"] {
        assert_eq!(site.word(question), "FAIL", "{question}");
    }
    assert_eq!(site.looked_up("courier", "x@example.org"), "FAIL");
}

/// Returns a store that knows to have missed no change. In its first minute a daemon would prefer the primary.
fn attentive_store(config: &Config) -> SqlStore {
    open_pooled(&config.database).expect("a store").sharing(Arc::new(RecentChanges::complete()))
}

fn only_refusals_are_checked_at_the_primary(pair: &dyn Cluster) {
    let site = Site::lagging(pair);
    let (config, _) = Config::load(Some(&site.daemon.config_path())).expect("the configuration");
    let store = Arc::new(attentive_store(&config));
    let anna = Login::parse(ANNA.as_bytes(), None).expect("a login");
    eventually("the replica's role", SOON, || store.state().hosts.iter().all(|host| host.role != Role::Unknown));
    let name = || store.look_up(&anna, Instant::now() + SOON).expect("the account's row");
    let before = name().row;
    site.elsewhere(&["account", "set", ANNA, "--name", "Another"], "");
    site.elsewhere(&["account", "add", UNKNOWN, "--no-password"], "");
    site.elsewhere(&["account", "passwd", DORA, "--password-stdin"], "second words");
    site.elsewhere(&["account", "import", "-"], &format!("login,password\n{FRIDA},{{PLAIN}}clear words\n"));
    site.elsewhere(&["alias", "add", "info@example.org", ANNA], "");
    site.elsewhere(&["domain", "add", "new.example"], "");
    assert!(before.is_some() && name().row == before && name().is_behind(), "the replica is read");

    let place = config.database.url.to_string();
    let cache = Cache::new(attentive_store(&config), place, &config.cache, Arc::default());
    let stores: [Arc<dyn MailStore>; 2] = [store.clone(), Arc::new(cache)];
    for store in stores {
        let router = Router::new(Arc::clone(&store), &config.policy(), config.quota.rules());
        let until = || Instant::now() + SOON;
        assert!(router.domain(b"new.example").is_ok());
        assert!(router.alias(b"info@example.org").is_ok());
        assert!(router.account(UNKNOWN.as_bytes()).is_ok());
        assert!(matches!(router.recipient(UNKNOWN.as_bytes(), 9, until()), Ok(())));
        assert!(matches!(router.account(b"x@example.org"), Err(Refusal::No(No::UnknownLogin))));
        let users = Authenticator::new(store, config.policy(), Arc::new(config.budget()));
        let ask = |service: &str, login: &str, credential| {
            let (service, login) = (Service::from_name(service.as_bytes()), login.as_bytes().to_vec());
            users.authenticate(Request { service, login, credential, client: None, deadline: until() })
        };
        for service in ["courier", "imap"] {
            assert!(ask(service, UNKNOWN, Credential::Lookup).is_ok(), "{service}");
        }
        let challenged = |password: &str| {
            let mut mac = Hmac::<md5::Md5>::new_from_slice(password.as_bytes()).expect("any length will do");
            mac.update(b"<challenge>");
            let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            let response = CramResponse::new(b"<challenge>".to_vec(), FRIDA.as_bytes(), digits.as_bytes());
            ask("smtp", FRIDA, Credential::Cram(CramMechanism::Md5, response.expect("an answer")))
        };
        assert!(challenged("clear words").is_ok());
        assert!(matches!(challenged("wrong"), Err(Refusal::No(No::WrongPassword))));
        let dora = |password: &str| ask("imap", DORA, Credential::Password(password.into()));
        assert!(dora("second words").is_ok());
        assert!(matches!(dora("wrong"), Err(Refusal::No(No::WrongPassword))));
    }
}

fn a_refusal_does_not_wait_for_a_frozen_replica(pair: &dyn Cluster) {
    let site = Site::lagging(pair);
    let (mut config, _) = Config::load(Some(&site.daemon.config_path())).expect("the configuration");
    // A query on the replica hangs for half of that.
    config.database.deadline = 2 * SOON;
    config.cache.found = Duration::from_millis(1);
    let counters = Arc::new(Counters::default());
    let cache = Cache::new(attentive_store(&config), "the pair".to_owned(), &config.cache, Arc::clone(&counters));
    let anna = Login::parse(ANNA.as_bytes(), None).expect("a login");
    let until = || Instant::now() + 4 * SOON;
    let roles_are_known = || cache.state().hosts.iter().all(|host| host.role != Role::Unknown);
    eventually("the replica's role", SOON, roles_are_known);
    let seen = cache.look_up(&anna, until()).expect("the account's row");
    assert!(seen.is_behind());
    site.elsewhere(&["account", "passwd", ANNA, "--password-stdin"], "second words");
    std::thread::scope(|scope| {
        pair.servers()[1].freeze();
        let other = scope.spawn(|| cache.look_up(&anna, until()));
        eventually("a question that hangs", SOON, || counters.read().misses == 2);
        // It is counted a moment before it is sent. Nothing below depends on this.
        std::thread::sleep(Duration::from_millis(200));
        let newer = cache.look_again(&anna, &seen, until());
        assert!(!other.is_finished(), "it still hangs");
        pair.servers()[1].thaw();
        let newer = newer.expect("the primary's answer").expect("another row");
        assert!(newer.row != seen.row && !newer.is_behind());
    });
}

fn mail_is_not_refused_while_only_a_replica_is_reachable(pair: &dyn Cluster) {
    let site = Site::new(pair);
    site.elsewhere(&["alias", "add", "info@example.org", ANNA], "");
    site.elsewhere(&["domain", "add", "caught.example"], "");
    site.elsewhere(&["alias", "add", "@caught.example", ANNA], "");
    pair.wait_until_replicated();
    pair.servers()[0].crash();
    let questions = ["domain y.example", "alias x@example.org", "account x@example.org", "recipient 9 x@example.org"];
    for question in questions.into_iter().chain(["account carla@example.org", "recipient 9 carla@example.org"]) {
        assert_eq!(site.word(question), "LATER", "{question}: {}", site.asked(question));
    }
    assert_eq!(site.looked_up("courier", UNKNOWN), "CLOSED");
    for question in
        ["domain example.org", "alias info@example.org", "recipient 9 anna@example.org", "alias x@caught.example"]
    {
        assert_eq!(site.word(question), "OK", "{question}: {}", site.asked(question));
    }
    // Logins continue: a refusal loses nothing, and the next attempt asks again.
    assert_eq!((site.login(ANNA, PASSWORD), site.login(ANNA, "wrong")), ("ACCOUNT", "FAIL"));
    pair.bring_back(0);
    eventually("an answer by the primary", SOON, || questions.iter().all(|question| site.word(question) == "FAIL"));
}

fn a_message_is_delivered_by_the_primarys_row_or_deferred(pair: &dyn Cluster) {
    let site = Site::lagging(pair);
    let (fresh, full) = (site.home("fresh"), site.home("full"));
    site.elsewhere(&["account", "import", "-"], &row("fresh@example.org", &fresh, ""));
    site.elsewhere(&["account", "import", "-"], &row("full@example.org", &full, "1S"));
    pair.switch().expect("a pair").resume_replication();
    pair.switch().expect("a pair").hold_replication();
    let new = site.home("new");
    site.elsewhere(&["account", "import", "-"], &row("new@example.org", &new, ""));
    site.elsewhere(&["account", "set", "fresh@example.org", "--disabled"], "");
    site.elsewhere(&["account", "set", "full@example.org", "--quota", "1M"], "");
    let may_store = |user| ["quota", "may-store", user, "--size", "100"];
    site.ends(&["deliver", "new@example.org"], MESSAGE, 0);
    site.ends(&["deliver", "full@example.org"], MESSAGE, 0);
    site.ends(&["deliver", "fresh@example.org"], MESSAGE, 67);
    site.ends(&["deliver", UNKNOWN], MESSAGE, 67);
    site.ends(&may_store("full@example.org"), "", 0);
    site.ends(&may_store("new@example.org"), "", 0);
    assert_eq!((messages(&new), messages(&full), messages(&fresh)), (1, 1, 0));

    pair.servers()[0].crash();
    site.ends(&["deliver", "new@example.org"], MESSAGE, 75);
    site.ends(&["deliver", UNKNOWN], MESSAGE, 75);
    site.ends(&["deliver", "full@example.org"], MESSAGE, 75);
    site.ends(&may_store("full@example.org"), "", 75);
    site.ends(&may_store(UNKNOWN), "", 75);
    site.ends(&["deliver", ANNA], MESSAGE, 0);
}

fn a_password_change_reads_the_primarys_row(pair: &dyn Cluster) {
    let site = Site::lagging(pair);
    assert_eq!(site.login(ANNA, PASSWORD), "ACCOUNT");
    site.elsewhere(&["account", "passwd", ANNA, "--password-stdin"], "second words");
    assert_eq!(site.passwd("second words", "third words"), Outcome::Done, "{}", site.daemon.log());
    site.elsewhere(&["account", "passwd", DORA, "--password-stdin"], "second words");
    assert_eq!(site.passwd_of(DORA, DORAS_PASSWORD, "other words"), Outcome::Fail, "the primary has another row");
    assert_eq!((site.login(ANNA, "third words"), site.login(ANNA, "second words")), ("ACCOUNT", "FAIL"));
    // The command writes where it reads.
    site.elsewhere(&["account", "add", UNKNOWN, "--no-password"], "");
    site.done(&["account", "passwd", UNKNOWN, "--password-stdin"], "fourth words");
    site.done(&["account", "set", UNKNOWN, "--name", "Nobody"], "");
    site.ends(&["account", "add", UNKNOWN, "--no-password"], "", 1);
    site.elsewhere(&["domain", "add", "new.example", "--description", "from elsewhere"], "");
    site.done(&["account", "add", "first@new.example", "--no-password"], "");
    site.done(&["domain", "set", "new.example", "--quota", "1G"], "");
    let (_, shown) = site.here(&["domain", "show", "new.example"], "");
    assert!(shown.contains("from elsewhere"), "{shown}");
    let listed = ask(site.daemon.socket(), b"ENUMERATE\n", Manner::Whole).outcome();
    assert!(matches!(&listed, Outcome::List(entries) if entries.len() == 6), "{listed:?}");
    assert_eq!(site.login(UNKNOWN, "fourth words"), "ACCOUNT");

    pair.servers()[0].crash();
    for old in ["third words", PASSWORD, "wrong"] {
        assert_eq!(site.passwd(old, "fifth words"), Outcome::Closed, "{old}");
    }
    site.ends(&["account", "passwd", "x@example.org", "--password-stdin"], "fifth words", 75);
}

fn own_changes_take_effect_though_the_replica_lags(pair: &dyn Cluster) {
    let site = Site::new(pair);
    site.done(&["alias", "add", "team@example.org", ANNA, DORA], "");
    site.done(&["alias", "add", "gone@example.org", DORA], "");
    site.done(&["domain", "add", "off.example"], "");
    site.done(&["account", "add", "frida@off.example", "--no-password"], "");
    pair.wait_until_replicated();
    let targets = || site.asked("alias team@example.org");
    assert_eq!(targets(), format!("OK {ANNA}, {DORA}\n"));
    pair.switch().expect("a pair").hold_replication();

    site.done(&["alias", "remove", "team@example.org", ANNA], "");
    site.done(&["alias", "remove", "gone@example.org"], "");
    site.done(&["domain", "set", "off.example", "--disabled"], "");
    site.done(&["account", "set", BRUNO, "--disabled"], "");
    assert_eq!(targets(), format!("OK {DORA}\n"), "{}", site.daemon.log());
    for gone in ["alias gone@example.org", "account frida@off.example", "account bruno@example.org"] {
        assert_eq!(site.word(gone), "FAIL", "{gone}");
    }
    pair.servers()[0].crash();
    for gone in ["alias team@example.org", "alias gone@example.org", "account frida@off.example"] {
        assert_eq!(site.word(gone), "LATER", "{gone}: {}", site.asked(gone));
    }
    assert_eq!(site.word("account anna@example.org"), "OK", "nothing of this account was changed");
}

fn a_reload_forgets_no_change(pair: &dyn Cluster) {
    let site = Site::new(pair);
    let kept = ["recipient 9 anna@example.org", "alias info@example.org"];
    site.done(&["alias", "add", "info@example.org", ANNA], "");
    site.done(&["alias", "add", "info@example.org", BRUNO], "");
    pair.wait_until_replicated();
    pair.switch().expect("a pair").hold_replication();
    assert_eq!((site.login(DORA, DORAS_PASSWORD), site.login(ANNA, PASSWORD)), ("ACCOUNT", "ACCOUNT"));
    site.done(&["account", "set", DORA, "--disabled"], "");
    site.done(&["alias", "remove", "info@example.org", BRUNO], "");
    assert_eq!(site.passwd(PASSWORD, "second words"), Outcome::Done);
    site.reload(|config| config);
    assert_eq!(site.login(DORA, DORAS_PASSWORD), "FAIL", "{}", site.daemon.log());
    assert_eq!((site.login(ANNA, PASSWORD), site.login(ANNA, "second words")), ("FAIL", "ACCOUNT"));
    assert_eq!(site.asked("alias info@example.org"), format!("OK {ANNA}\n"));

    // Whatever else changes: here, the size of the cache, and the deadline of a query.
    pair.servers()[0].freeze();
    site.reload(|config| {
        config.replacen("deadline = \"2s\"", "deadline = \"1s\"\npool = 4", 1) + "[cache]\nfound = \"1s\"\n"
    });
    for (user, password) in [(DORA, DORAS_PASSWORD), (ANNA, PASSWORD), (ANNA, "second words")] {
        assert_eq!(site.login(user, password), "CLOSED", "{user} with {password}\n{}", site.daemon.log());
    }
    assert_eq!(site.word(kept[1]), "LATER");
    assert_eq!(site.login(BRUNO, "wrong"), "FAIL", "nothing of this account was changed");
    pair.servers()[0].thaw();
    eventually("the primary", SOON, || site.login(ANNA, "second words") == "ACCOUNT");
    assert_eq!((site.login(DORA, DORAS_PASSWORD), site.word(kept[0])), ("FAIL", "OK".to_owned()));
}

fn a_restarted_daemon_knows_changes_reported_before(pair: &dyn Cluster) {
    let mut site = Site::lagging(pair);
    site.done(&["account", "set", DORA, "--disabled"], "");
    site.done(&["alias", "add", "info@example.org", ANNA], "");
    site.daemon.crash();
    site.daemon.start_again();
    assert_eq!(site.login(DORA, DORAS_PASSWORD), "FAIL");
    assert_eq!(site.word("alias info@example.org"), "OK");
}

/// Each node accepts changes, and confirms them before the others have applied them.
#[test]
fn galera_refuses_no_row_that_another_node_just_confirmed() {
    let galera = Galera::start();
    let site = Site::new(&galera);
    for number in 0..20 {
        let name = format!("new{number}@example.org");
        assert_eq!(site.word(&format!("recipient 9 {name}")), "FAIL");
        site.elsewhere(&["account", "add", &name, "--no-password"], "");
        assert_eq!(site.word(&format!("recipient 9 {name}")), "OK", "{name}\n{}", site.daemon.log());
        assert_eq!(site.word(&format!("account {name}")), "OK", "{name}");
        let alias = format!("alias{number}@example.org");
        site.elsewhere(&["alias", "add", &alias, &name], "");
        assert_eq!(site.word(&format!("alias {alias}")), "OK", "{alias}");
    }
}

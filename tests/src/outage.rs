//! What can happen to one of several database servers, or to all of them.

use crate::cluster::Cluster;
use crate::mailauth::Mailauth;
use crate::process::eventually;
use crate::proxy::{Proxy, Way};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The deadline of the daemon for a connect and for each query.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// A cluster, and a second way to each of its servers, which can fail.
pub struct Site<'c> {
    /// The servers.
    pub cluster: &'c dyn Cluster,
    proxies: Vec<Proxy>,
    missed: AtomicBool,
}

impl<'c> Site<'c> {
    /// With open ways.
    pub fn of(cluster: &'c dyn Cluster) -> Self {
        let proxies = cluster.ports().into_iter().map(Proxy::to).collect();
        Site { cluster, proxies, missed: AtomicBool::new(false) }
    }

    /// A daemon that knows the servers themselves, or the second ways to them, with these sections after its socket.
    pub fn daemon(&self, proxied: bool, more: &str) -> Mailauth {
        let ports = match proxied {
            false => self.cluster.ports(),
            true => self.proxies.iter().map(Proxy::port).collect(),
        };
        // Old passwords are tried all the time, to see that they are refused, and no refusal is to wait for the throttle.
        Mailauth::configured(|socket| {
            let config = self.cluster.config(socket, &ports, "deadline = \"1s\"\n", more);
            config.replacen("[throttle]\n", "[throttle]\nenabled = false\n", 1)
        })
    }

    /// A daemon that knows the servers themselves, remembers nothing, and has a whole copy of the tables.
    ///
    /// # Panics
    /// Panics if it does not get one.
    pub fn daemon_with_a_copy(&self) -> Mailauth {
        let (accounts, ports) = (self.cluster.accounts(), self.cluster.ports());
        let daemon = Mailauth::configured(|socket| {
            let more = "[cache]\nenabled = false";
            let config = self.cluster.config(socket, &ports, "deadline = \"1s\"\n", more);
            let copy = format!("[outage]\nsnapshot = \"{}\"\n", accounts.snapshot_file().display());
            config.replacen("[outage]\nenabled = false\n", &copy, 1)
        });
        eventually("a copy", Duration::from_secs(30), || accounts.snapshot_is_whole());
        daemon
    }

    fn on_the_way(&self, way: Way, hold: &dyn Fn()) {
        let before = self.proxies[0].spoiled();
        self.proxies[0].set(way);
        hold();
        self.proxies[0].set(Way::Open);
        self.missed.fetch_or(self.proxies[0].spoiled() == before, Ordering::Relaxed);
    }

    /// Whether nobody went the way on which the last fault was, so that it proves nothing.
    pub fn was_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }
}

/// What is left to answer while a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The server that is preferred, and nothing changes.
    First,
    /// Another server.
    Another,
    /// None.
    Nobody,
    /// None, but the daemon has a copy of the tables.
    Copy,
}

/// Something that happens, lasts, and is over.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name in a table.
    pub name: &'static str,
    /// Whether it happens to the second way to the first server, rather than to a server.
    pub proxied: bool,
    /// Who is left.
    pub left: Left,
    /// Makes it, calls the function, which waits, and repairs it.
    pub act: fn(&Site, &dyn Fn()),
}

impl Fault {
    /// All that can happen to this cluster. In pairs the first server is the writable one before and after all of them.
    pub fn all(cluster: &dyn Cluster) -> Vec<Fault> {
        let mut all = Self::EVERYWHERE.to_vec();
        match cluster.switch() {
            Some(_) => all.extend(Self::OF_A_PAIR),
            None => all.extend(Self::OF_A_MAJORITY),
        }
        all
    }

    const EVERYWHERE: [Fault; 9] = [
        Fault { name: "first killed", proxied: false, left: Left::Another, act: killed },
        Fault { name: "first frozen", proxied: false, left: Left::Another, act: frozen },
        Fault { name: "first restarted", proxied: false, left: Left::Another, act: restarted },
        Fault { name: "first filled up", proxied: false, left: Left::Another, act: filled_up },
        Fault { name: "replies cut", proxied: true, left: Left::Another, act: cut },
        Fault { name: "replies slow", proxied: true, left: Left::Another, act: slow },
        Fault { name: "connections reset", proxied: true, left: Left::Another, act: reset },
        Fault { name: "bytes swallowed", proxied: true, left: Left::Another, act: swallowed },
        Fault { name: "all killed", proxied: false, left: Left::Nobody, act: all_killed },
    ];

    const OF_A_PAIR: [Fault; 3] = [
        Fault { name: "second killed", proxied: false, left: Left::First, act: second_killed },
        Fault { name: "second promoted", proxied: false, left: Left::Another, act: switched },
        Fault { name: "first promoted", proxied: false, left: Left::Another, act: switched },
    ];

    /// Of all servers of a daemon that has a copy.
    pub const WITH_A_COPY: [Fault; 2] = [
        Fault { name: "all killed, a copy", proxied: false, left: Left::Copy, act: all_killed },
        Fault { name: "all frozen, a copy", proxied: false, left: Left::Copy, act: all_frozen },
    ];

    /// For a moment, the end of one node is felt by all.
    const OF_A_MAJORITY: [Fault; 2] = [
        Fault { name: "second killed", proxied: false, left: Left::Another, act: second_killed },
        Fault { name: "majority killed", proxied: false, left: Left::Nobody, act: majority_killed },
    ];
}

fn killed(site: &Site, hold: &dyn Fn()) {
    site.cluster.servers()[0].crash();
    hold();
    site.cluster.bring_back(0);
}

fn second_killed(site: &Site, hold: &dyn Fn()) {
    site.cluster.servers()[1].crash();
    hold();
    site.cluster.bring_back(1);
}

fn frozen(site: &Site, hold: &dyn Fn()) {
    site.cluster.servers()[0].freeze();
    hold();
    site.cluster.servers()[0].thaw();
    site.cluster.wait_until_replicated();
}

fn restarted(site: &Site, hold: &dyn Fn()) {
    site.cluster.servers()[0].stop();
    site.cluster.bring_back(0);
    hold();
}

fn filled_up(site: &Site, hold: &dyn Fn()) {
    let (_, user) = site.cluster.place();
    let crowd = site.cluster.servers()[0].fill_up(&user);
    hold();
    drop(crowd);
}

fn switched(site: &Site, hold: &dyn Fn()) {
    let pair = site.cluster.switch().expect("a pair");
    pair.demote();
    pair.promote();
    hold();
    pair.follow();
}

fn cut(site: &Site, hold: &dyn Fn()) {
    site.on_the_way(Way::CutInReply, hold);
}

fn slow(site: &Site, hold: &dyn Fn()) {
    // Each piece is well within the deadline, and a connection, which takes some of them, is not.
    site.on_the_way(Way::Slow(DEADLINE * 2 / 5), hold);
}

fn reset(site: &Site, hold: &dyn Fn()) {
    site.on_the_way(Way::Reset, hold);
}

fn swallowed(site: &Site, hold: &dyn Fn()) {
    site.on_the_way(Way::Blackhole, hold);
}

fn all_killed(site: &Site, hold: &dyn Fn()) {
    for server in site.cluster.servers() {
        server.crash();
    }
    hold();
    site.cluster.bring_all_back();
}

fn all_frozen(site: &Site, hold: &dyn Fn()) {
    let before = site.cluster.agreement();
    site.cluster.servers().iter().for_each(|server| server.freeze());
    hold();
    site.cluster.servers().iter().for_each(|server| server.thaw());
    if site.cluster.switch().is_none() {
        // Nodes that wake up all at once fall out with each other seconds later, as a rule.
        let woke = Instant::now();
        while woke.elapsed() < Duration::from_secs(8) && site.cluster.agreement() == before {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    site.cluster.wait_until_replicated();
}

fn majority_killed(site: &Site, hold: &dyn Fn()) {
    let others = 1..site.cluster.servers().len();
    for number in others.clone() {
        site.cluster.servers()[number].crash();
    }
    site.cluster.wait_until_alone(0);
    hold();
    site.cluster.make_whole(0);
    for number in others {
        site.cluster.bring_back(number);
    }
}

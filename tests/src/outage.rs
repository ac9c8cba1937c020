//! Faults of one of several database servers, or of all of them.

use crate::cluster::Cluster;
use crate::mailauth::Mailauth;
use crate::process::eventually;
use crate::proxy::{Proxy, ProxyMode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Deadline of the daemon for a connect and for each query.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// A cluster, and a proxy to each of its servers, which can fail.
pub struct Site<'c> {
    /// The servers.
    pub cluster: &'c dyn Cluster,
    proxies: Vec<Proxy>,
    missed: AtomicBool,
}

impl<'c> Site<'c> {
    /// Starts the proxies, which pass everything.
    pub fn of(cluster: &'c dyn Cluster) -> Self {
        let proxies = cluster.ports().into_iter().map(Proxy::to).collect();
        Site { cluster, proxies, missed: AtomicBool::new(false) }
    }

    /// Starts a daemon that connects to the servers, directly or by the proxies, with these sections after its socket.
    pub fn daemon(&self, proxied: bool, more: &str) -> Mailauth {
        let ports = match proxied {
            false => self.cluster.ports(),
            true => self.proxies.iter().map(Proxy::port).collect(),
        };
        // Old passwords are sent all the time, to see that they are refused, and no refusal may wait for the throttle.
        Mailauth::configured(|socket| {
            let config = self.cluster.config(socket, &ports, "deadline = \"1s\"\n", more);
            config.replacen("[throttle]\n", "[throttle]\nenabled = false\n", 1)
        })
    }

    /// Starts a daemon that connects to the servers directly, has no cache, and has a complete snapshot.
    ///
    /// # Panics
    /// Panics if it gets no snapshot.
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

    fn through_proxy(&self, mode: ProxyMode, hold: &dyn Fn()) {
        let before = self.proxies[0].spoiled();
        self.proxies[0].set(mode);
        hold();
        self.proxies[0].set(ProxyMode::Open);
        self.missed.fetch_or(self.proxies[0].spoiled() == before, Ordering::Relaxed);
    }

    /// Returns true if no connection used the proxy that had the last fault, so that the fault proves nothing.
    pub fn was_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }
}

/// What can still answer during a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The preferred server, as before.
    First,
    /// Another server.
    Another,
    /// Nothing.
    Nothing,
    /// No server, but the daemon has a snapshot.
    Copy,
}

/// A fault that begins, lasts and ends.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name in a table.
    pub name: &'static str,
    /// True if the proxy to the first server fails, rather than a server.
    pub proxied: bool,
    /// What can still answer.
    pub left: Left,
    /// Causes the fault, calls the function, which waits, and repairs it.
    pub act: fn(&Site, &dyn Fn()),
}

impl Fault {
    /// Returns all faults of this cluster. In pairs the first server is the primary before and after each of them.
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
        Fault { name: "all killed", proxied: false, left: Left::Nothing, act: all_killed },
    ];

    const OF_A_PAIR: [Fault; 3] = [
        Fault { name: "second killed", proxied: false, left: Left::First, act: second_killed },
        Fault { name: "second promoted", proxied: false, left: Left::Another, act: switched },
        Fault { name: "first promoted", proxied: false, left: Left::Another, act: switched },
    ];

    /// Faults of all servers of a daemon that has a snapshot.
    pub const WITH_A_COPY: [Fault; 2] = [
        Fault { name: "all killed, a copy", proxied: false, left: Left::Copy, act: all_killed },
        Fault { name: "all frozen, a copy", proxied: false, left: Left::Copy, act: all_frozen },
    ];

    /// The end of one node affects all of them for a moment.
    const OF_A_MAJORITY: [Fault; 2] = [
        Fault { name: "second killed", proxied: false, left: Left::Another, act: second_killed },
        Fault { name: "majority killed", proxied: false, left: Left::Nothing, act: majority_killed },
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
    site.through_proxy(ProxyMode::CutInReply, hold);
}

fn slow(site: &Site, hold: &dyn Fn()) {
    // Each piece is well within the deadline. A connection, which takes several of them, is not.
    site.through_proxy(ProxyMode::Slow(DEADLINE * 2 / 5), hold);
}

fn reset(site: &Site, hold: &dyn Fn()) {
    site.through_proxy(ProxyMode::Reset, hold);
}

fn swallowed(site: &Site, hold: &dyn Fn()) {
    site.through_proxy(ProxyMode::Blackhole, hold);
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
        // Nodes that all wake up at once usually lose each other some seconds later.
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

//! Counting a big mailbox: mailauth compared with Courier and Dovecot, and with the bare system calls, in one run.
//!
//! `cargo bench -p mailauth-benches --bench quota`, as root, with Debian's `maildrop` (deliverquota) and
//! optionally `dovecot-core` (doveadm). 100,000 messages in 50 folders, once with `,S=` in each name and once without;
//! then a recount after ten new messages in one folder. Every contestant is a process of its own, measured
//! from its start, and they take turns, so that a machine that slows down slows all of them. Each figure is the
//! median of the rounds, each ratio the median of the ratios within a round. The cache is warm.
//!
//! `MAILAUTH_BENCH_MESSAGES` (100000), `MAILAUTH_BENCH_FOLDERS` (50) and `MAILAUTH_BENCH_ROUNDS` (9) change these numbers.
//!
//! The bare loops read each directory with getdents64(2), and one of them calls statx(2) for each name: no counter that
//! looks at every message can do less. Exim is not compared: it counts only as a part of a whole delivery.

use mailauth_benches::cost::{self, Cost};
use mailauth_benches::mailbox::{Mailbox, OWNER};
use mailauth_benches::summary::{Table, median};
use mailauth_core::quota::{CountRules, Effort, Limits, MaildirQuota};
use mailauth_tests::Scratch;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags, openat, statx};
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Limits far above the size of the mailboxes.
const QUOTA: &str = "1000000000000S,1000000000C";

/// Variable that makes this program run as one of the contestants.
const ROLE: &str = "MAILAUTH_BENCH_ROLE";

/// Time without a change after which the sum of a directory is kept.
const REST: Duration = Duration::from_millis(2200);

fn main() {
    let path = std::env::var_os("MAILAUTH_BENCH_MAILDIR").unwrap_or_default();
    match std::env::var(ROLE).as_deref() {
        Ok("full") => recount(path.as_ref(), Effort::Full),
        Ok("changed") => recount(path.as_ref(), Effort::Changed),
        Ok("getdents") => bare_loop(path.as_ref(), false),
        Ok("statx") => bare_loop(path.as_ref(), true),
        _ => compare(),
    }
}

fn recount(path: &Path, effort: Effort) {
    let limits = Limits::parse(QUOTA).expect("a quota");
    let mailbox = MaildirQuota::open(path, limits, CountRules::default()).expect("a Maildir");
    let recount = mailbox.recount(effort).expect("a count");
    assert!(recount.usage.messages > 0);
}

/// Reads the directories by bare system calls; with `stat`, also reads each message's size.
fn bare_loop(path: &Path, stat: bool) {
    let mut buffer = vec![MaybeUninit::uninit(); 1 << 20];
    let folders = fs::read_dir(path).expect("a Maildir").flatten().map(|entry| entry.path());
    let folders = folders.filter(|path| path.join("cur").is_dir()).chain([path.to_owned()]);
    let (mut messages, mut bytes) = (0u64, 0u64);
    for folder in folders {
        for part in ["new", "cur"] {
            let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = openat(CWD, folder.join(part), how, Mode::empty()).expect("a folder");
            let mut entries = RawDir::new(&directory, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry.expect("an entry");
                if entry.file_type() != FileType::RegularFile {
                    continue;
                }
                messages += 1;
                if stat {
                    let found = statx(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW, StatxFlags::SIZE);
                    bytes += found.expect("a message").stx_size;
                }
            }
        }
    }
    assert!(messages > 0 && (bytes > 0) == stat);
}

/// A program that counts, and its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    Getdents,
    Statx,
    Mailauth,
    MailauthChanged,
    Deliverquota,
    Doveadm,
}

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Contestant::Getdents => "bare getdents64",
            Contestant::Statx => "bare getdents64 + statx",
            Contestant::Mailauth => "mailauth, all of it",
            Contestant::MailauthChanged => "mailauth, what changed",
            Contestant::Deliverquota => "deliverquota",
            Contestant::Doveadm => "doveadm quota recalc",
        }
    }

    fn count(self, mailbox: &Mailbox, settings: &Settings) -> Cost {
        let mut command = match self {
            Contestant::Getdents => own("getdents", mailbox),
            Contestant::Statx => own("statx", mailbox),
            Contestant::Mailauth => own("full", mailbox),
            Contestant::MailauthChanged => own("changed", mailbox),
            // It counts when it delivers and there is no maildirsize.
            Contestant::Deliverquota => {
                mailbox.forget();
                let mut command = Command::new("deliverquota");
                command.arg(mailbox.path()).arg(QUOTA);
                command.stdin(File::open(settings.folder.join("message")).expect("a message"));
                as_owner(command)
            }
            Contestant::Doveadm => {
                let mut command = Command::new("doveadm");
                command.arg("-c").arg(settings.folder.join("dovecot.conf")).args(["quota", "recalc"]);
                command.env("HOME", mailbox.path()).env("USER", "nobody").stdin(Stdio::null());
                as_owner(command)
            }
        };
        let cost = cost::of(&mut command);
        if self == Contestant::Deliverquota {
            mailbox.remove_foreign();
        }
        cost
    }
}

fn own(role: &str, mailbox: &Mailbox) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(ROLE, role).env("MAILAUTH_BENCH_MAILDIR", mailbox.path()).stdin(Stdio::null());
    command
}

fn as_owner(mut command: Command) -> Command {
    command.uid(OWNER.uid).gid(OWNER.gid).current_dir("/");
    command
}

/// Sizes of the measurement, and its folder.
struct Settings {
    folder: Scratch,
    messages: usize,
    folders: usize,
    rounds: usize,
}

fn compare() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect(name));
    let settings = Settings {
        folder: Scratch::new("quota"),
        messages: number("MAILAUTH_BENCH_MESSAGES", 100_000),
        folders: number("MAILAUTH_BENCH_FOLDERS", 50),
        rounds: number("MAILAUTH_BENCH_ROUNDS", 9),
    };
    fs::write(settings.folder.join("message"), "Subject: bench\n\nx\n").expect("a message");
    fs::write(settings.folder.join("dovecot.conf"), DOVECOT).expect("a configuration");
    let mut table = Table::new(&["mailbox", "program", "CPU ms", "wall ms", "memory MiB", "CPU, ours to it"]);
    for sized in [true, false] {
        let name = if sized { "sized" } else { "unsized" };
        eprintln!("creating {} messages in {} folders, {name}", settings.messages, settings.folders);
        let mut mailbox = Mailbox::create(&settings.folder, name, settings.messages, settings.folders, sized);
        full_count(&mut mailbox, sized, &settings, &mut table);
        after_ten(&mut mailbox, sized, &settings, &mut table);
    }
    println!("\n{table}");
}

/// Dovecot keeps its figures in the mailbox by the Maildir++ backend, so that its recount does the same as the others'.
const DOVECOT: &str = "\
mail_location = maildir:%h
mail_plugins = quota
first_valid_uid = 1
log_path = /dev/stderr
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=1000000000K:messages=1000000000
}
";

fn label(sized: bool) -> &'static str {
    if sized { "with ,S=" } else { "without ,S=" }
}

fn full_count(mailbox: &mut Mailbox, sized: bool, settings: &Settings, table: &mut Table) {
    let bare = if sized { Contestant::Getdents } else { Contestant::Statx };
    let mut all = vec![Contestant::Mailauth, bare, Contestant::Deliverquota];
    if Path::new("/usr/bin/doveadm").exists() {
        all.push(Contestant::Doveadm);
    } else {
        eprintln!(
            "doveadm is not installed, so it is left out of the table; to install it: apt-get install dovecot-core"
        );
    }
    let rounds = take_turns(&all, mailbox, settings, |_| ());
    rows(&format!("all, {}", label(sized)), &all, &rounds, table);
}

fn after_ten(mailbox: &mut Mailbox, sized: bool, settings: &Settings, table: &mut Table) {
    let all = [Contestant::MailauthChanged, Contestant::Deliverquota];
    let rounds = take_turns(&all, mailbox, settings, |mailbox| {
        std::thread::sleep(REST);
        Contestant::MailauthChanged.count(mailbox, settings);
        mailbox.deliver(10);
    });
    rows(&format!("10 new, {}", label(sized)), &all, &rounds, table);
}

/// Runs each contestant once per round and returns the costs. A first round is a warm-up, and its costs are dropped.
fn take_turns(
    all: &[Contestant],
    mailbox: &mut Mailbox,
    settings: &Settings,
    before: impl Fn(&mut Mailbox),
) -> Vec<Vec<Cost>> {
    let mut rounds = Vec::new();
    for round in 0..=settings.rounds {
        eprintln!("round {round} of {}", settings.rounds);
        before(mailbox);
        let costs = all.iter().map(|contestant| contestant.count(mailbox, settings)).collect();
        if round > 0 {
            rounds.push(costs);
        }
    }
    rounds
}

/// Adds a row for each contestant. The first one is mailauth, with which the others are compared.
fn rows(what: &str, all: &[Contestant], rounds: &[Vec<Cost>], table: &mut Table) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for (index, contestant) in all.iter().enumerate() {
        let of = |figure: &dyn Fn(&Cost) -> f64| median(rounds.iter().map(|costs| figure(&costs[index])));
        let ratio = median(rounds.iter().map(|costs| ms(costs[0].cpu) / ms(costs[index].cpu)));
        table.row(vec![
            what.to_owned(),
            contestant.name().to_owned(),
            format!("{:.2}", of(&|cost| ms(cost.cpu))),
            format!("{:.2}", of(&|cost| ms(cost.wall))),
            format!("{:.1}", of(&|cost| cost.memory as f64 / f64::from(1 << 20))),
            format!("{ratio:.3}"),
        ]);
    }
}

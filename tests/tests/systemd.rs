//! The pages for systemd, on a machine booted by a real systemd: the unit, the commands and the log.

#[path = "systemd/machine.rs"]
mod machine;
#[path = "readme/page.rs"]
#[allow(dead_code, reason = "tests/readme.rs uses all of it")]
mod page;
#[path = "systemd/restarts.rs"]
mod restarts;
#[path = "readme/terminal.rs"]
mod terminal;

use machine::{ANNA, Machine, SERVICES};
use mailauth_tests::eventually;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::wire::{self, Manner, login};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn courier_runs_with_mailauth_instead_of_authdaemond() {
    let mut machine = Machine::with_courier();
    machine.install();
    answers_come_from_mailauth(&machine);
    restarts_and_reloads(&machine);
    may_write_only_where_needed(&machine);
    is_exposed_little(&machine);
    looks_at_mailboxes(&machine);
    the_daemon_is_restarted_after_a_crash(&machine);

    machine.booted.reboot();
    answers_come_from_mailauth(&machine);
    starts_before_courier(&machine);
    counts_mailboxes_of_several_owners(&machine);

    machine.booted.shell("systemctl stop courier-authdaemon");
    assert_eq!(machine.state("courier-imap"), "inactive", "it requires that name");
    assert_eq!(machine.state("mailauth-courier"), "active", "others use the daemon too");
    machine.booted.shell(&format!("systemctl start {}", SERVICES.join(" ")));
    answers_come_from_mailauth(&machine);
    stops_and_starts(&machine);

    machine.go_back();
    assert!(machine.booted.property("courier-authdaemon", "ExecStart").contains("/usr/sbin/authdaemond"));
    assert_eq!(machine.state("mailauth-courier"), "inactive");
    machine.booted.reboot();
    machine.booted.wait_for_jobs();
    for unit in [&["courier-authdaemon"], &SERVICES[..]].concat() {
        assert_eq!(machine.state(unit), "active", "{unit}");
    }
    assert_eq!(machine.state("mailauth-courier"), "inactive");
}

/// Asserts that all of Courier runs but its own daemon, and logins get the answers of our table.
fn answers_come_from_mailauth(machine: &Machine) {
    machine.booted.wait_for_jobs();
    for unit in [&["mailauth-courier", "mailauth-courier.socket", "courier-authdaemon"], &SERVICES[..]].concat() {
        assert_eq!(machine.state(unit), "active", "{unit}");
    }
    assert_eq!(machine.courier_processes(), "", "Courier's own daemon does not run");
    assert_eq!(machine.imap_login(ANNA, PASSWORD), "OK LOGIN Ok.");
    assert_eq!(machine.pop3_login(ANNA, PASSWORD), "+OK logged in.");
    assert_eq!(machine.booted.shell("systemctl --failed --no-legend --plain | cut -d' ' -f1"), "");
    // systemd refuses a sixth start of Courier's services within ten seconds, and here they come as fast as the machine
    // can.
    machine.booted.shell(&format!("systemctl reset-failed mailauth-courier courier-authdaemon {}", SERVICES.join(" ")));
}

fn restarts_and_reloads(machine: &Machine) {
    let booted = &machine.booted;
    let before = booted.property("mailauth-courier", "MainPID");
    booted.shell("systemctl restart courier-imap");
    assert_eq!(booted.property("mailauth-courier", "MainPID"), before, "a client's restart leaves the daemon alone");
    answers_come_from_mailauth(machine);

    booted.shell("systemctl reload mailauth-courier");
    machine.wait_for_journal("configuration read again");
    booted.wait_until("mailauth-courier", "active");
    assert_eq!(booted.property("mailauth-courier", "SubState"), "running");
    assert_eq!(booted.property("mailauth-courier", "MainPID"), before, "the same process goes on");

    let imap = booted.property("courier-imap", "MainPID");
    booted.shell("systemctl restart mailauth-courier");
    // It reports that it is ready before the command ends.
    assert_eq!(machine.state("mailauth-courier"), "active");
    assert_ne!(booted.property("mailauth-courier", "MainPID"), before);
    assert_eq!(booted.property("courier-imap", "MainPID"), imap, "sessions continue");
    answers_come_from_mailauth(machine);
    let daemon = booted.property("mailauth-courier", "MainPID");
    booted.shell("systemctl restart courier-authdaemon");
    assert_eq!(booted.property("mailauth-courier", "MainPID"), daemon);
    answers_come_from_mailauth(machine);
    // The kernel denies what the daemon never needs, by the daemon's own filter after those of the unit.
    assert!(!machine.journal("-o cat").contains("the daemon runs without that"), "{}", machine.journal("-o cat"));
}

/// Asserts that the daemon can be stopped, and that a login starts it if only the service was stopped.
fn stops_and_starts(machine: &Machine) {
    machine.stop_daemon();
    for unit in ["mailauth-courier", "mailauth-courier.socket"] {
        assert_eq!(machine.state(unit), "inactive", "{unit}");
    }
    assert!(!machine.socket().exists());
    assert!(machine.imap_login(ANNA, PASSWORD).starts_with("* BYE Temporary problem"));
    assert_eq!(machine.state("mailauth-courier"), "inactive");
    machine.booted.shell("systemctl start mailauth-courier");
    answers_come_from_mailauth(machine);

    machine.booted.shell("systemctl stop mailauth-courier");
    assert_eq!(machine.imap_login(ANNA, PASSWORD), "OK LOGIN Ok.");
    answers_come_from_mailauth(machine);
}

fn may_write_only_where_needed(machine: &Machine) {
    let booted = &machine.booted;
    let stat = |path: &str| booted.shell(&format!("stat -c '%U:%G %a' {path}"));
    assert_eq!(stat("/run/courier/authdaemon"), "mailauth:courier 755\n");
    assert_eq!(stat("/run/courier/authdaemon/socket"), "mailauth:courier 660\n");
    assert_eq!(stat("/run/mailauth"), "mailauth:courier 755\n");
    assert_eq!(stat("/run/mailauth/socket"), "mailauth:courier 600\n");
    assert_eq!(stat("/run/mailauth-mailboxes"), "root:mailauth 750\n");
    assert_eq!(stat("/run/mailauth-mailboxes/socket"), "root:mailauth 660\n");
    let never = ["/etc", "/usr", "/var/lib", "/home", "/etc/mailauth"];
    for (unit, may, may_not) in [
        ("mailauth-courier", &["/var/lib/mailauth", "/run/courier/authdaemon", "/tmp"][..], &["/var/mail"][..]),
        ("mailauth-mailboxes", &["/var/mail", "/run/mailauth-mailboxes", "/tmp"], &["/var/lib/mailauth"]),
    ] {
        let pid = booted.property(unit, "MainPID");
        // As the service sees it.
        let writes = |path: &str| {
            let line = format!("nsenter -t {pid} -m -- sh -c ': >{path}/tried && rm {path}/tried' 2>&1 || true");
            booted.shell(&line).is_empty()
        };
        for (paths, expected) in [(may, true), (may_not, false), (&never, false)] {
            paths.iter().for_each(|path| assert_eq!(writes(path), expected, "{unit}: {path}"));
        }
        let status = booted.shell(&format!("cat /proc/{pid}/status"));
        assert!(status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"), "{unit}: {status}");
    }
    let pid = booted.property("mailauth-courier", "MainPID");
    let status = booted.shell(&format!("cat /proc/{pid}/status"));
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000\n")), "{status}");
    }
    let user = booted.shell("id -u mailauth");
    let user = user.trim_end();
    assert!(status.contains(&format!("Uid:\t{user}\t{user}\t{user}\t{user}\n")), "{status}");
}

/// Asserts systemd's own judgement, from 0 (safe) to 10.
fn is_exposed_little(machine: &Machine) {
    for unit in ["mailauth-courier.service", "mailauth-mailboxes.service", "mailauth-quota-recount.service"] {
        let said = machine.booted.shell(&format!("systemd-analyze --no-pager security {unit}"));
        let line = said.lines().last().expect("a judgement");
        let figure = line.split_once(&format!("for {unit}: ")).and_then(|(_, rest)| rest.split(' ').next());
        println!("{line}");
        let figure: f64 = figure.expect(line).parse().expect(line);
        // The mailboxes of all users are written by root.
        let limit = if unit.contains("recount") { 3.0 } else { 2.0 };
        assert!(figure < limit, "{said}");
    }
}

/// Asserts that mail is counted and homes are created by the second unit, and that the first one has no right to do
/// so.
fn looks_at_mailboxes(machine: &Machine) {
    let booted = &machine.booted;
    let recipient = || {
        let asked = wire::ask(&machine.socket(), format!("ASK recipient 10 {ANNA}\n").as_bytes(), Manner::Whole);
        String::from_utf8(asked.bytes).expect("text")
    };
    assert_eq!(booted.shell("stat -c '%U %a' /var/mail/example.org/anna/Maildir"), "vmail 700\n");
    assert_eq!(recipient(), "OK\n");
    booted.shell("systemctl stop mailauth-mailboxes");
    let said = recipient();
    assert!(said.starts_with("LATER ") && said.contains("mailauth-mailboxes"), "{said}");
    answers_come_from_mailauth(machine);
    booted.shell("systemctl start mailauth-mailboxes");
    eventually("an answer", LIMIT, || recipient() == "OK\n");

    let page = booted.shell(&format!("cat {}", machine::CONFIG));
    booted.write(machine::CONFIG, &page.replace("[mailbox]\n", "[mailbox]\ncreate = true\n"));
    booted.shell("systemctl restart mailauth-mailboxes; systemctl reload mailauth-courier");
    booted.shell("mailauth domain add new.example");
    booted.shell("printf 'correct horse\\n' | mailauth account add new@new.example --password-stdin");
    eventually("the reload", LIMIT, || machine.imap_login("new@new.example", "correct horse") == "OK LOGIN Ok.");
    assert_eq!(booted.shell("stat -c %u /var/mail/new.example"), "0\n");
    assert_eq!(booted.shell("stat -c '%u:%g %a' /var/mail/new.example/new/Maildir/cur"), "5000:5000 700\n");
    booted.write(machine::CONFIG, &page);
    booted.shell("systemctl restart mailauth-mailboxes; systemctl reload mailauth-courier");
}

fn the_daemon_is_restarted_after_a_crash(machine: &Machine) {
    let booted = &machine.booted;
    let before = booted.property("mailauth-courier", "MainPID");
    booted.shell(&format!("kill -KILL {before}"));
    eventually("another process", LIMIT, || {
        let now = booted.property("mailauth-courier", "MainPID");
        now != before && now != "0" && machine.state("mailauth-courier") == "active"
    });
    answers_come_from_mailauth(machine);
}

/// Asserts that the unit for every night corrects the figures of each mailbox, which remain its owner's.
fn counts_mailboxes_of_several_owners(machine: &Machine) {
    let booted = &machine.booted;
    assert_eq!(machine.state("mailauth-quota-recount.timer"), "active");
    let page = booted.shell(&format!("cat {}", machine::CONFIG));
    booted.write(machine::CONFIG, &page.replace("uid = 5000\ngid = 5000\n", "min_uid = 5000\nmin_gid = 5000\n"));
    for login in [ANNA, "new@new.example"] {
        booted.shell(&format!("mailauth account set {login} --uid 5000 --gid 5000"));
    }
    booted.shell(
        "printf 'correct horse\\n' | mailauth account add bob@example.org --password-stdin --uid 5001 --gid 5001",
    );
    booted.shell("mailauth account set bob@example.org --make-mailbox");
    let owners = [("anna", "5000:5000"), ("bob", "5001:5001")];
    for (name, owner) in owners {
        booted.shell(&format!(
            "cd /var/mail/example.org/{name}/Maildir; printf 12345 >new/1.x; printf '1073741824S,10000C\\n7 7\\n' >maildirsize
             chown {owner} new/1.x maildirsize"
        ));
    }
    let unit = "mailauth-quota-recount";
    booted.shell(&format!("systemctl start {unit} || {{ journalctl --sync; journalctl -q -u {unit} >&2; exit 1; }}"));
    for (name, owner) in owners {
        let folder = format!("/var/mail/example.org/{name}/Maildir");
        let (bytes, messages) = ("$(find new cur -type f -exec cat {} + | wc -c)", "$(find new cur -type f | wc -l)");
        let expected = booted.shell(&format!("cd {folder}; echo {bytes} {messages}"));
        let figures = booted.shell(&format!("tail -n +2 {folder}/maildirsize"));
        assert_eq!(figures.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(booted.shell(&format!("stat -c %u:%g {folder}/maildirsize")), format!("{owner}\n"));
    }
    booted.write(machine::CONFIG, &page);
}

fn starts_before_courier(machine: &Machine) {
    let when = |unit: &str, property: &str| -> u64 {
        machine.booted.property(unit, property).parse().expect("a time of the system clock")
    };
    let ready = when("mailauth-courier", "ActiveEnterTimestampMonotonic");
    for service in SERVICES {
        assert!(
            ready <= when(service, "InactiveExitTimestampMonotonic"),
            "{service} started before the daemon was ready"
        );
    }
}

#[test]
fn a_restart_refuses_no_login_and_ends_no_session() {
    let machine = Machine::with_courier();
    machine.install();
    restarts::refuse_no_login(&machine);
    restarts::wait_for_a_correction(&machine);
}

#[test]
fn the_journal_has_each_line_once_with_its_priority_and_one_time() {
    let machine = Machine::new();
    machine.install();
    let socket = machine.socket();
    assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT");
    assert_eq!(login(&socket, ANNA, "wrong").word(), "FAIL");
    machine.booted.shell("mv /var/lib/mailauth /var/lib/away");
    machine.reload_with("");
    eventually("an outage", LIMIT, || login(&socket, ANNA, PASSWORD).word() == "CLOSED");
    machine.booted.shell("mv /var/lib/away /var/lib/mailauth");
    machine.reload_with("[log]\nlevle = \"info\"\nlevel = \"loud\"\n");
    machine.wait_for_journal("the old one stays in force");

    let lines = machine.journal_lines();
    let with = |text: &str| {
        let lines: Vec<_> = lines.iter().filter(|(_, message)| message.contains(text)).collect();
        assert!(!lines.is_empty(), "{text}: {lines:?}");
        lines
    };
    for (text, priority) in [
        ("ready socket=", 6),
        ("answer=\"yes\"", 6),
        ("answer=\"no\"", 6),
        ("answer=\"not now\"", 4),
        ("levle", 3),
        ("\"loud\" is not a valid value", 3),
        ("the old one stays in force", 3),
    ] {
        assert!(with(text).iter().all(|(found, _)| *found == priority), "{text}: {lines:?}");
    }
    let [(_, refused)] = &with("reason=\"wrong-password\"")[..] else { panic!("one line for one login: {lines:?}") };
    assert!(refused.starts_with("mailauth::decision: the password is wrong "), "{refused}");

    // By the command of the page.
    let grave = machine.booted.shell("journalctl -q -u mailauth-courier -p warning");
    assert!(grave.contains("not now") && !grave.contains("wrong-password"), "{grave}");
}

#[test]
fn a_reload_changes_what_the_log_omits() {
    let machine = Machine::new();
    machine.install();
    let socket = machine.socket();
    // Returns which answers have a line of their own now.
    let logged = || {
        let before = machine.journal("-o cat").len();
        assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT");
        assert_eq!(login(&socket, ANNA, "wrong").word(), "FAIL");
        let lines = machine.journal("-o cat").split_off(before);
        ["yes", "no"].map(|answer| lines.contains(&format!("answer=\"{answer}\"")))
    };
    assert_eq!(logged(), [true, true]);
    for (section, expected) in [
        ("decisions = \"refused\"", [false, true]),
        ("decisions = \"all\"", [true, true]),
        ("level = \"warn\"", [false, false]),
        ("level = \"debug\"", [true, true]),
        ("level = \"error\"", [false, false]),
        ("", [true, true]),
    ] {
        machine.reload_with(&format!("[log]\n{section}\n"));
        eventually(section, LIMIT, || logged() == expected);
    }

    // The reason for a failed start is an error. Output to anything but the journal has the program's name instead of
    // a priority.
    machine.booted.write(machine::CONFIG, "[nonsense]\n");
    machine.booted.shell("systemctl restart mailauth-courier 2>/dev/null || true");
    machine.wait_for_journal("no such section");
    let lines = machine.journal_lines();
    assert!(lines.iter().any(|(priority, line)| *priority == 3 && line.contains("no such section")), "{lines:?}");
    let said = machine.booted.shell("JOURNAL_STREAM=1:2 mailauth-courier 2>&1 || true");
    assert!(said.starts_with("mailauth-courier: "), "{said}");
}

impl Machine {
    /// Returns the priority and the text of each journal entry of the daemon.
    fn journal_lines(&self) -> Vec<(u8, String)> {
        let entries = self.journal("-o json");
        let entry = |line: &str| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| entry[name].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{name}: {line}"));
            (text("PRIORITY").parse().expect("a number"), text("MESSAGE"))
        };
        entries.lines().map(entry).collect()
    }
}

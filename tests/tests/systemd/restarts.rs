//! Logins of all kinds while systemd restarts the daemon again and again.

use super::machine::{ANNA, CONFIG, Machine};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::{Asked, Load, Verdict, eventually, output_with_input, run_with_input};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const RESTARTS: usize = 20;
const LIMIT: Duration = Duration::from_secs(60);

/// Programs that ask, each in a process of its own: Exim's by `${dlfunc` and `${run`, and checkpassword. Each line exits
/// with 0 for a yes and with 1 for a no.
const PROGRAMS: [(&str, &str); 3] = [
    (
        "test \"$(exim4 -C /dev/null -be '${dlfunc{/opt/programs/libmailauth_exim.so}{mailauth_login}{smtp}{anna@example.org}{GOOD}{}}')\" = yes",
        "test \"$(exim4 -C /dev/null -be '${dlfunc{/opt/programs/libmailauth_exim.so}{mailauth_login}{smtp}{anna@example.org}{BAD}{}}')\" = no && exit 1",
    ),
    (
        "/opt/programs/mailauth-exim sender anna@example.org anna@example.org",
        "/opt/programs/mailauth-exim sender anna@example.org root@example.org",
    ),
    (
        "printf 'anna@example.org\\0GOOD\\0\\0' | /opt/programs/mailauth-pop3 true 3<&0",
        "printf 'anna@example.org\\0BAD\\0\\0' | /opt/programs/mailauth-pop3 true 3<&0",
    ),
];

/// Asserts that each login gets the right answer through restarts, and that an IMAP session goes on.
pub fn refuse_no_login(machine: &Machine) {
    let booted = &machine.booted;
    let page = booted.shell(&format!("cat {CONFIG}"));
    // No program may ask the database itself, which would hide that the daemon was away.
    booted.write(CONFIG, &format!("{page}\n[client]\nfallback = \"none\"\n[throttle]\nenabled = false\n"));
    booted.shell("systemctl reload mailauth-courier; mailauth domain add load.example");
    run_with_input(booted.command("mailauth").args(["account", "import", "-"]), &Load::accounts());
    let mut session = booted.on_its_network(|| Imap::connect(143));
    assert_eq!(session.login(ANNA, PASSWORD), "OK LOGIN Ok.");
    let imap = booted.property("courier-imap", "MainPID");

    let (over, counts) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 5]);
    let answers = std::thread::scope(|scope| {
        let (over, [right, wrong, programs @ ..]) = (&over, &counts);
        for (password, expected, count) in [(PASSWORD, "OK LOGIN Ok.", right), ("wrong", "NO Login failed.", wrong)] {
            scope.spawn(move || {
                until(over, count, || assert_eq!(machine.imap_login(ANNA, password), expected, "{}", log(machine)));
            });
        }
        for (lines, count) in PROGRAMS.into_iter().zip(programs) {
            scope.spawn(move || until(over, count, || ask(machine, lines)));
        }
        Load::new().run_watched(&machine.socket(), |watch| {
            let _end = End(over);
            for _ in 0..RESTARTS {
                watch.wait_for_right(Asked::Read, 10, Instant::now(), LIMIT);
                booted.shell("systemctl restart mailauth-courier");
            }
            watch.wait_for_right(Asked::Read, 10, Instant::now(), LIMIT);
            // Courier's imapd takes five seconds to refuse a password, which may be longer than all restarts.
            let asked = || counts.iter().all(|count| count.load(Ordering::SeqCst) > 1);
            eventually("two logins of each kind", LIMIT, asked);
        })
    });
    let counts = counts.map(AtomicUsize::into_inner);
    println!(
        "IMAP right and wrong, ${{dlfunc}}, mailauth-exim, mailauth-pop3: {counts:?}; authdaemon: {}",
        answers.count()
    );
    assert!(counts.iter().all(|count| *count > 1), "{counts:?}");
    assert_eq!(answers.wrong(), [""; 0], "{}", log(machine));
    for asked in [Asked::Read, Asked::Change] {
        assert_eq!(answers.which(asked, &Verdict::NotNow).count(), 0, "{asked:?}: {}", log(machine));
        assert!(answers.which(asked, &Verdict::Right).count() > RESTARTS, "{asked:?}");
    }
    assert!(machine.journal("-o cat").matches("ready socket=").count() > RESTARTS);
    assert_eq!(booted.property("courier-imap", "MainPID"), imap);
    assert_eq!(session.command("NOOP").pop().expect("an answer"), "OK NOOP completed");
}

/// Asserts that a login waits while a mistake in the configuration keeps the daemon from starting.
pub fn wait_for_a_correction(machine: &Machine) {
    let booted = &machine.booted;
    let page = booted.shell(&format!("cat {CONFIG}"));
    booted.write(CONFIG, "[nonsense]\n");
    booted.shell("systemctl restart mailauth-courier 2>/dev/null || true");
    std::thread::scope(|scope| {
        let login = scope.spawn(|| machine.imap_login(ANNA, PASSWORD));
        eventually("more starts", LIMIT, || machine.journal("-o cat").matches("no such section").count() > 2);
        assert!(!login.is_finished(), "it waits: {}", log(machine));
        booted.write(CONFIG, &page);
        assert_eq!(login.join().expect("no panic"), "OK LOGIN Ok.", "{}", log(machine));
    });
}

/// Repeats `act` until the end, and counts.
fn until(over: &AtomicBool, count: &AtomicUsize, act: impl Fn()) {
    while !over.load(Ordering::SeqCst) {
        act();
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Asks by a program, once for a yes and once for a no.
fn ask(machine: &Machine, (yes, no): (&str, &str)) {
    for (line, expected) in [(yes, 0), (no, 1)] {
        let line = line.replace("GOOD", PASSWORD).replace("BAD", "wrong");
        let output = output_with_input(machine.booted.command("sh").args(["-c", &line]), "");
        assert_eq!(output.status.code(), Some(expected), "{line}: {output:?}\n{}", log(machine));
    }
}

fn log(machine: &Machine) -> String {
    machine.journal("-o cat -n 50")
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

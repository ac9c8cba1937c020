//! A machine on which Debian's own systemd has booted, in namespaces over a temporary layer of a root file system.
//!
//! The root is that of this machine, with all its programs and without its services: the test enables units. Or it is a
//! bare Debian made by `tests/debian-root`. Nothing on this machine is changed, and everything disappears with the test
//! process.

use crate::not_run::not_run;
use crate::process::{children, ended, eventually, output_with_input, run};
use crate::programs::workspace;
use crate::scratch::Scratch;
use rustix::process::{Pid, test_kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Maximum time of a boot and of a shutdown, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// A booted machine.
pub struct Booted {
    folder: Scratch,
    supervisor: std::process::Child,
    orders: Option<ChildStdin>,
    first: Pid,
}

impl Booted {
    /// Boots a machine that finds each of these folders, read-only, at the second path.
    ///
    /// # Panics
    /// Panics if the machine does not boot. The message contains its console.
    pub fn with(folders: &[(&Path, &str)]) -> Self {
        Self::over(Path::new("/"), folders)
    }

    /// Does the same over another root file system, which is not changed.
    ///
    /// # Panics
    /// Panics as [`Booted::with`] does.
    pub fn over(root: &Path, folders: &[(&Path, &str)]) -> Self {
        let folder = Scratch::new("booted");
        for (name, text) in
            [("supervisor.sh", include_str!("booted/supervisor.sh")), ("boot.sh", include_str!("booted/boot.sh"))]
        {
            fs::write(folder.join(name), text).expect("a script");
        }
        let binds = folders.iter().map(|(from, to)| format!("{}:{to}\n", from.display()));
        fs::write(folder.join("binds"), binds.collect::<String>()).expect("a list");
        let mut supervisor = Command::new("setsid")
            .args(["unshare", "--mount", "sh"])
            .arg(folder.join("supervisor.sh"))
            .arg(unused_name())
            .arg(folder.path())
            .arg(root)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("console")).expect("a console"))
            .spawn()
            .expect("setsid");
        let orders = supervisor.stdin.take();
        let mut machine = Booted { folder, supervisor, orders, first: Pid::INIT };
        machine.boot();
        machine
    }

    fn boot(&mut self) {
        let parent = self.folder.join("parent");
        let _ = fs::remove_file(&parent);
        self.orders.as_mut().expect("a running supervisor").write_all(b"boot\n").expect("a supervisor");
        let begin = Instant::now();
        self.first = loop {
            if let Some(first) = fs::read_to_string(&parent).ok().and_then(|pid| systemd_below(&pid)) {
                break first;
            }
            assert!(begin.elapsed() < LIMIT, "it does not boot:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(10));
        };
        while !self.has_started() {
            let patient = begin.elapsed() < LIMIT && self.runs();
            assert!(patient, "it does not boot:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn has_started(&self) -> bool {
        let state = output_with_input(self.command("systemctl").arg("is-system-running"), "").stdout;
        matches!(state.trim_ascii(), b"running" | b"degraded")
    }

    fn runs(&self) -> bool {
        test_kill_process(self.first).is_ok()
    }

    /// Shuts the machine down as an administrator does, and boots it again.
    ///
    /// # Panics
    /// Panics if the shutdown or the boot does not end.
    pub fn reboot(&mut self) {
        run(self.command("systemctl").arg("reboot"));
        let begin = Instant::now();
        while self.runs() {
            assert!(begin.elapsed() < LIMIT, "it does not shut down:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.boot();
    }

    /// Returns the output of systemd.
    pub fn console(&self) -> String {
        fs::read_to_string(self.folder.join("console")).unwrap_or_default()
    }

    /// Returns a command that root runs on the machine.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.as_raw_nonzero().to_string()]);
        command.args(["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--root", "env", "-i"]);
        command.args([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]);
        command.arg(program);
        command
    }

    /// Runs lines of a shell to their end, and returns their output.
    ///
    /// # Panics
    /// Panics if one of them fails.
    pub fn shell(&self, lines: &str) -> String {
        run(self.command("sh").args(["-ec", lines]))
    }

    /// Returns a file of the machine, by its path there.
    pub fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first.as_raw_nonzero()))
    }

    /// Writes a file, and creates its folder.
    ///
    /// # Panics
    /// Panics if it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("its folder");
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Runs `act` in a thread that uses the loopback interface of the machine.
    ///
    /// # Panics
    /// Panics if `act` panics.
    pub fn on_its_network<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.first.as_raw_nonzero())).expect("its network");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("the rights of root");
                act()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Returns a property of a unit, as `systemctl show` prints it.
    pub fn property(&self, unit: &str, name: &str) -> String {
        run(self.command("systemctl").args(["show", "--value", "--property", name, unit])).trim_end().to_owned()
    }

    /// Waits until systemd has nothing left to start or stop.
    ///
    /// # Panics
    /// Panics if there are still jobs after a while.
    pub fn wait_for_jobs(&self) {
        eventually("an end of all jobs", LIMIT, || self.shell("systemctl list-jobs --no-legend").is_empty());
    }

    /// Waits until a unit is in a state such as `active`.
    ///
    /// # Panics
    /// Panics if the unit does not reach the state after a while.
    pub fn wait_until(&self, unit: &str, state: &str) {
        eventually(&format!("{unit} {state}"), LIMIT, || self.property(unit, "ActiveState") == state);
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.supervisor.wait();
    }
}

/// Returns the root of a bare Debian `suite`, which `tests/debian-root` makes if this machine has none yet. `None` if
/// Debian's archive cannot be reached: `test` is recorded as not run then.
///
/// # Panics
/// Panics if the root cannot be made for any other reason.
pub fn bare_debian(suite: &str, test: &str) -> Option<PathBuf> {
    let script = workspace().join("tests/debian-root");
    let output = output_with_input(Command::new(script).arg(suite), "");
    if output.status.code() == Some(75) {
        let why = String::from_utf8_lossy(&output.stderr);
        not_run(&format!("NOT RUN WITHOUT DEBIAN'S ARCHIVE: {test}: {}", why.trim_end()));
        return None;
    }
    Some(ended(&output, 0).trim_end().into())
}

/// Returns the first process of the namespace that the unshare(1) with this ID has created, once it is systemd.
fn systemd_below(parent: &str) -> Option<Pid> {
    let parent = Pid::from_raw(parent.trim().parse().ok()?)?;
    let [first] = children(parent)[..] else { return None };
    let name = fs::read_to_string(format!("/proc/{}/comm", first.as_raw_nonzero())).ok()?;
    (name.trim() == "systemd").then_some(first)
}

fn unused_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("mailauth-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

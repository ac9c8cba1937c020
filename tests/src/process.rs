//! Processes that end with the test: single ones, or a family in a PID namespace.

use crate::scratch::User;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// A process that is killed when it is dropped and when the test process ends.
#[derive(Debug)]
pub struct Child(std::process::Child);

impl Child {
    /// Starts the command.
    ///
    /// # Panics
    /// Panics if it cannot be started.
    pub fn spawn(mut command: Command) -> Self {
        let name = command.get_program().to_owned();
        // SAFETY: prctl only sets an attribute of the new process, and is async-signal-safe.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        Child(spawn_for_life(command).unwrap_or_else(|e| panic!("cannot start {}: {e}", name.display())))
    }

    /// Returns its process ID.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Sends a signal. After SIGSTOP, waits until every thread has stopped: until then it can still answer.
    ///
    /// # Panics
    /// Panics if a thread does not stop for many seconds.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
        if signal == Signal::STOP {
            eventually("every thread stopped", Duration::from_secs(20), || is_stopped(self.pid()));
        }
    }

    /// Returns true if it is running.
    pub fn runs(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Waits for its end and returns its status. `None` if it does not end within this time.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begin = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(None) if begin.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }

    /// Returns the process, with the pipes that the command has set up.
    pub fn inner(&mut self) -> &mut std::process::Child {
        &mut self.0
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a command in a thread that never ends. The signal at a parent's death is sent when the *thread* that started the
/// child ends, and a test's thread ends long before its servers should.
fn spawn_for_life(command: Command) -> io::Result<std::process::Child> {
    type Order = (Command, mpsc::Sender<io::Result<std::process::Child>>);
    static ORDERS: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (sender, receiver) = mpsc::channel();
    orders.lock().expect("no panic with the lock held").send((command, sender)).expect("the thread lives");
    receiver.recv().expect("an answer")
}

/// A program and all its descendants, in PID and mount namespaces of their own.
#[derive(Debug)]
pub struct Family {
    parent: Child,
    eldest: Pid,
}

impl Family {
    /// Starts a program (and its arguments) that sees a private copy of the mounts, after the shell commands of
    /// `prelude`, which run as root. Its output is appended to the file `log`.
    ///
    /// # Panics
    /// Panics if namespaces cannot be created.
    pub fn spawn<S: AsRef<OsStr>>(prelude: &str, user: Option<User>, program: &[S], log: &Path) -> Self {
        // `exec "$@"` leaves no shell behind: the program itself is the first process of the namespace.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-ec"]);
        command.arg(format!("{prelude}\nexec \"$@\"")).arg("sh");
        if let Some(User { uid, gid }) = user {
            // Changing the user clears the signal at the parent's death.
            command.args(["setpriv", "--clear-groups", "--pdeathsig", "KILL"]);
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        }
        let log = File::options().create(true).append(true).open(log).expect("a log");
        command.args(program).current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        let mut parent = Child::spawn(command);
        let begin = Instant::now();
        loop {
            if let [eldest] = children(parent.pid())[..] {
                return Family { parent, eldest };
            }
            let patient = parent.runs() && begin.elapsed() < Duration::from_secs(10);
            assert!(
                patient,
                "unshare(1) started nothing: namespaces are needed, as root and not in a closed container"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns the first process of the namespace, by its ID outside.
    pub fn eldest(&self) -> Pid {
        self.eldest
    }

    /// Returns a command that runs a program in the namespaces of this family.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--target", &self.eldest.as_raw_nonzero().to_string()]).arg(program);
        command
    }

    /// Returns true if its first process is running.
    pub fn runs(&mut self) -> bool {
        self.parent.runs()
    }

    /// Sends the first process a signal, and waits until all have ended. Kills them after a while.
    pub fn end(&mut self, signal: Signal) {
        if self.runs() {
            let _ = kill_process(self.eldest, signal);
            if self.parent.wait(Duration::from_secs(20)).is_none() {
                self.kill();
            }
        }
    }

    /// Kills all of them, and waits until they have ended.
    pub fn kill(&mut self) {
        if self.runs() {
            // When the first process is killed, the kernel kills all others of the namespace, and reports its end only
            // then.
            let _ = kill_process(self.eldest, Signal::KILL);
            let _ = self.parent.wait(Duration::from_secs(20));
        }
    }

    /// Stops all processes, as on a machine that hangs: connections stay open, and nothing is answered. Returns once
    /// no thread of them runs.
    ///
    /// # Panics
    /// Panics if a thread does not stop for many seconds.
    pub fn freeze(&self) {
        // A signal takes effect a moment after it was sent. Until then a process can still answer and start others.
        eventually("every thread stopped", Duration::from_secs(20), || {
            let all = self.descendants();
            for &pid in &all {
                let _ = kill_process(pid, Signal::STOP);
            }
            all.iter().all(|&pid| is_stopped(pid)) && self.descendants() == all
        });
    }

    /// Lets all processes continue.
    pub fn thaw(&self) {
        for pid in self.descendants() {
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    fn descendants(&self) -> Vec<Pid> {
        let mut all = vec![self.eldest];
        let mut seen = 0;
        while let Some(&pid) = all.get(seen) {
            all.extend(children(pid));
            seen += 1;
        }
        all
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns true if every thread of a process is stopped, or has ended.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    threads(pid).iter().all(|thread| {
        // The state follows the name, which is in parentheses and may contain anything.
        let Ok(stat) = fs::read_to_string(thread.join("stat")) else { return true };
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        matches!(state, Some('T' | 't' | 'Z' | 'X'))
    })
}

/// Returns the processor time that all threads of a process have used so far.
///
/// # Panics
/// Panics if the process is not running.
pub fn processor_time(pid: Pid) -> Duration {
    let used = |thread: PathBuf| {
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let threads = threads(pid);
    assert!(!threads.is_empty(), "process {pid:?} has ended");
    Duration::from_nanos(threads.into_iter().filter_map(used).sum())
}

/// Returns the folders of a process's threads.
fn threads(pid: Pid) -> Vec<PathBuf> {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else { return Vec::new() };
    threads.filter_map(|thread| Some(thread.ok()?.path())).collect()
}

/// Returns the children of all threads of a process.
pub fn children(parent: Pid) -> Vec<Pid> {
    threads(parent)
        .into_iter()
        .filter_map(|thread| fs::read_to_string(thread.join("children")).ok())
        .flat_map(|pids| pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        .collect()
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// Panics if it cannot be run, or fails. The message contains its output.
pub fn run(command: &mut Command) -> String {
    run_with_input(command, "")
}

/// Does the same, with this standard input.
///
/// # Panics
/// Panics as [`run`] does.
pub fn run_with_input(command: &mut Command, input: &str) -> String {
    let output = output_with_input(command, input);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{out}{err}", output.status);
    out.into_owned()
}

/// Runs a program to its end, and returns its output also if it fails.
///
/// # Panics
/// Panics if it cannot be run.
pub fn output_with_input(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // In a thread of its own, so that neither side waits for the other with a full pipe.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    let _ = writer.join(); // a program may leave its input unread
    output
}

/// Returns what a program printed on both outputs.
///
/// # Panics
/// Panics if it did not end with this exit code.
#[track_caller]
pub fn ended(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Waits until `so` returns true.
///
/// # Panics
/// Panics if it does not within `limit`.
pub fn eventually(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

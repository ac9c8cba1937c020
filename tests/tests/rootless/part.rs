//! The helper that is root, as a service of its own, and its clients.

use mailauth_mailboxes::frame::{Answer, MOST_ANSWER, Question};
use mailauth_mailboxes::packet::{self, Received};
use mailauth_tests::{Child, Scratch, User, eventually, program};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Returns a user of every Debian that owns nothing.
pub fn daemon() -> User {
    User::named("daemon")
}

pub struct Part {
    process: Child,
    folder: Scratch,
    options: Vec<String>,
}

impl Part {
    /// Starts it for mailboxes below `root`.
    pub fn start(options: &[&str], root: &Path) -> Self {
        let folder = Scratch::new("part");
        let mut all: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        all.extend(["--root".to_owned(), root.display().to_string()]);
        let mut part = Part { process: spawn(&folder, &all), folder, options: all };
        part.wait_until_up();
        part
    }

    pub fn start_again(&mut self) {
        self.process = spawn(&self.folder, &self.options);
        self.wait_until_up();
    }

    fn wait_until_up(&mut self) {
        eventually("the root helper", LIMIT, || self.connect().is_ok() || !self.process.runs());
        assert!(self.process.runs(), "{}", self.log());
        // On a host, the daemon's group may use the socket. Here the test permits it.
        std::os::unix::fs::chown(self.socket(), None, Some(daemon().gid)).expect("its group");
    }

    pub fn crash(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(LIMIT).expect("its end");
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    pub fn connect(&self) -> Result<OwnedFd, Errno> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(self.socket())?)?;
        Ok(socket)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub fn wait_for_log(&self, text: &str) {
        eventually(text, LIMIT, || self.log().contains(text));
    }

    pub fn pid(&self) -> i32 {
        self.process.pid().as_raw_nonzero().get()
    }

    /// Returns the number of its child processes.
    pub fn processes(&self) -> usize {
        processes_of(self.pid())
    }

    /// Returns its child processes that run as this user.
    pub fn processes_of(&self, uid: u32) -> Vec<i32> {
        let wanted = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}");
        let is_of = |pid: &i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line == wanted)
        };
        children_of(self.pid()).into_iter().filter(is_of).collect()
    }
}

fn spawn(folder: &Scratch, options: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    let mut command = Command::new(program("mailauth-mailboxes"));
    command.arg("--socket").arg(folder.join("socket")).args(options).current_dir("/").stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
    Child::spawn(command)
}

pub fn processes_of(pid: i32) -> usize {
    children_of(pid).len()
}

/// Returns the children of all threads of a process.
pub fn children_of(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of = |task: std::io::Result<fs::DirEntry>| {
        let list = task.and_then(|task| fs::read_to_string(task.path().join("children"))).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    tasks.flat_map(of).collect()
}

/// Sends a question, and returns the socket for the answer.
pub fn begin(door: &OwnedFd, question: &Question) -> OwnedFd {
    let (here, there) = packet::pair().expect("sockets");
    let begin = Instant::now();
    // A question that does not fit into the queue gets no reply.
    while packet::send(door.as_fd(), &question.bytes(), Some(there.as_fd())) == Err(Errno::AGAIN) {
        assert!(begin.elapsed() < LIMIT, "it accepts no question");
        std::thread::sleep(Duration::from_millis(1));
    }
    here
}

/// Waits for the answer. `None` if the question was refused or not completed.
pub fn wait_for_answer(socket: &OwnedFd, limit: Duration) -> Option<Answer> {
    let came = packet::wait(socket.as_fd(), PollFlags::IN, Instant::now() + limit).expect("a wait");
    assert!(came, "neither an answer nor an end");
    let mut buffer = vec![0; MOST_ANSWER];
    match packet::receive(socket.as_fd(), &mut buffer) {
        Ok(Received::Packet(length, _)) => Some(Answer::parse(&buffer[..length]).expect("an answer")),
        Ok(Received::End) | Err(_) => None,
    }
}

pub fn ask(door: &OwnedFd, question: &Question) -> Option<Answer> {
    wait_for_answer(&begin(door, question), LIMIT)
}

/// Runs `work` in a thread that has another user, without root's groups.
pub fn as_user<T: Send>(user: User, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: numbers and an empty list. The calls themselves change only this thread, which ends after the
            // work.
            let done = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) == 0
                    && libc::syscall(libc::SYS_setresgid, user.gid, user.gid, user.gid) == 0
                    && libc::syscall(libc::SYS_setresuid, user.uid, user.uid, user.uid) == 0
            };
            assert!(done, "the rights of root");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

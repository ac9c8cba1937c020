//! A terminal and a simulated user, for programs that ask for a password.

use crate::process::Child;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Maximum time to wait for a question, and then for the end.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a program on a terminal of its own, which setsid(1), called by `command` with `--ctty --wait`, sets up. Each
/// answer is typed once the question before it has been printed. Returns the exit code, all output of the terminal,
/// and whether it echoes input again.
///
/// # Panics
/// Panics if there is no terminal, or a question or the end does not come.
pub fn on_a_terminal(mut command: Command, dialogue: &[(&str, &str)]) -> (Option<i32>, String, bool) {
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&main).and_then(|()| unlockpt(&main)).expect("a terminal");
    let name = ptsname(&main, Vec::new()).expect("its name").into_string().expect("its name");
    let other = File::options().read(true).write(true).open(name).expect("the terminal");
    let end = || other.try_clone().expect("a descriptor");
    command.stdin(end()).stdout(end()).stderr(end());
    let mut child = Child::spawn(command);
    let mut keyboard = File::from(main);
    let mut screen = Screen::of(keyboard.try_clone().expect("a descriptor"));
    for (question, answer) in dialogue {
        screen.wait_for(question);
        keyboard.write_all(answer.as_bytes()).expect("an answer");
    }
    let Some(status) = child.wait(LIMIT) else { panic!("no end; the terminal shows:\n{}", screen.text()) };
    let echoes = tcgetattr(&other).expect("the terminal's modes").local_modes.contains(LocalModes::ECHO);
    // No other process has it open now: unread output is followed by the end.
    drop(other);
    screen.finish();
    (status.code(), screen.text(), echoes)
}

/// Output of a terminal.
struct Screen {
    coming: Receiver<Vec<u8>>,
    shown: Vec<u8>,
    /// Length of the output at the last answer.
    answered: usize,
}

impl Screen {
    fn of(mut terminal: File) -> Self {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = terminal.read(&mut bytes) {
                let _ = sender.send(bytes[..count].to_vec());
            }
        });
        Screen { coming, shown: Vec::new(), answered: 0 }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits for a question that has not been answered.
    fn wait_for(&mut self, question: &str) {
        let begin = Instant::now();
        while !String::from_utf8_lossy(&self.shown[self.answered..]).ends_with(question) {
            let patience = LIMIT.saturating_sub(begin.elapsed());
            match self.coming.recv_timeout(patience) {
                Ok(bytes) => self.shown.extend(bytes),
                Err(_) => panic!("no {question:?}; the terminal shows:\n{}", self.text()),
            }
        }
        self.answered = self.shown.len();
    }

    fn finish(&mut self) {
        while let Ok(bytes) = self.coming.recv_timeout(LIMIT) {
            self.shown.extend(bytes);
        }
    }
}

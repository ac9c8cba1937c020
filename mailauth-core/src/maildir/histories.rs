//! Tests that a count of changed folders equals a full count, after random histories of a mailbox.

use super::CountRules;
use super::maildirsums::compose;
use super::tally::Tally;
use super::{Effort, MaildirQuota};
use crate::model::limits::Limits;
use crate::model::usage::Usage;
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const FOLDERS: [&str; 4] = [".", ".Sent", ".Trash", ".Archive.2026"];

/// A change of a mailbox. Indices choose among the existing messages and folders.
#[derive(Clone, Debug)]
enum Event {
    Deliver {
        folder: usize,
        named: bool,
        size: u16,
    },
    Read {
        message: usize,
    },
    Delete {
        message: usize,
    },
    Move {
        message: usize,
        folder: usize,
    },
    Flag {
        message: usize,
        flags: &'static str,
    },
    RenameFolder {
        folder: usize,
    },
    RemoveFolder {
        folder: usize,
    },
    /// A backup is restored: files with their old times.
    Restore {
        folder: usize,
        size: u16,
    },
    /// The clock was set: a directory has times in the distant past or in the future.
    ClockStep {
        folder: usize,
        ahead: bool,
    },
    Count,
}

fn event() -> impl Strategy<Value = Event> {
    let folder = 0..FOLDERS.len();
    let message = any::<usize>();
    prop_oneof![
        5 => (folder.clone(), any::<bool>(), any::<u16>()).prop_map(|(folder, named, size)| Event::Deliver { folder, named, size }),
        2 => message.prop_map(|message| Event::Read { message }),
        2 => message.prop_map(|message| Event::Delete { message }),
        2 => (message, folder.clone()).prop_map(|(message, folder)| Event::Move { message, folder }),
        2 => (message, prop::sample::select(vec!["S", "ST", "", "FRS"])).prop_map(|(message, flags)| Event::Flag { message, flags }),
        1 => folder.clone().prop_map(|folder| Event::RenameFolder { folder }),
        1 => folder.clone().prop_map(|folder| Event::RemoveFolder { folder }),
        1 => (folder.clone(), any::<u16>()).prop_map(|(folder, size)| Event::Restore { folder, size }),
        1 => (folder, any::<bool>()).prop_map(|(folder, ahead)| Event::ClockStep { folder, ahead }),
        4 => Just(Event::Count),
    ]
}

/// A mailbox that is changed.
struct World {
    root: PathBuf,
    number: usize,
}

impl World {
    fn parts(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.root.clone()];
        folders.extend(entries(&self.root).into_iter().filter(|path| name(path).starts_with('.')));
        folders.sort();
        folders.iter().flat_map(|folder| [folder.join("new"), folder.join("cur")]).collect()
    }

    fn message(&self, index: usize) -> Option<PathBuf> {
        let mut messages: Vec<_> = self.parts().iter().flat_map(|part| entries(part)).collect();
        messages.sort();
        (!messages.is_empty()).then(|| messages.swap_remove(index % messages.len()))
    }

    fn folder(&self, index: usize) -> PathBuf {
        let folder = self.root.join(FOLDERS[index]);
        for part in ["new", "cur", "tmp"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        folder
    }

    fn next(&mut self) -> usize {
        self.number += 1;
        self.number
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Deliver { folder, named, size } => {
                let size = usize::from(size % 500);
                let tag = if named { format!(",S={size}") } else { String::new() };
                let file = self.folder(folder).join(format!("new/{}.host{tag}", self.next()));
                fs::write(file, vec![b'x'; size]).unwrap();
            }
            Event::Read { message } => self.rename(message, |_, from| {
                let folder = from.parent().unwrap().parent().unwrap();
                folder.join("cur").join(format!("{}:2,S", base(from)))
            }),
            Event::Delete { message } => {
                if let Some(message) = self.message(message) {
                    fs::remove_file(message).unwrap();
                }
            }
            Event::Move { message, folder } => {
                self.rename(message, |world, from| world.folder(folder).join("cur").join(name(from)));
            }
            Event::Flag { message, flags } => {
                self.rename(message, |_, from| from.with_file_name(format!("{}:2,{flags}", base(from))));
            }
            Event::RenameFolder { folder } if folder > 0 => {
                let number = self.next();
                let to = self.root.join(format!(".Renamed{number}"));
                fs::rename(self.folder(folder), to).unwrap();
            }
            Event::RemoveFolder { folder } if folder > 0 => fs::remove_dir_all(self.folder(folder)).unwrap(),
            Event::Restore { folder, size } => {
                let part = self.folder(folder).join("cur");
                let before = fs::metadata(&part).unwrap().modified().unwrap();
                fs::write(part.join(format!("{}.restored:2,S", self.next())), vec![b'x'; usize::from(size % 500)])
                    .unwrap();
                fs::File::open(&part).unwrap().set_modified(before).unwrap();
            }
            Event::ClockStep { folder, ahead } => {
                let seconds = if ahead { 4_000_000_000 } else { 1_000_000_000 };
                let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
                let times = Timestamps { last_access: time, last_modification: time };
                utimensat(CWD, self.folder(folder).join("new"), &times, AtFlags::empty()).unwrap();
            }
            Event::RenameFolder { .. } | Event::RemoveFolder { .. } | Event::Count => {}
        }
    }

    fn rename(&mut self, message: usize, to: impl Fn(&World, &Path) -> PathBuf) {
        if let Some(from) = self.message(message) {
            fs::rename(&from, to(self, &from)).unwrap();
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map(|entries| entries.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn base(path: &Path) -> &str {
    name(path).split(':').next().unwrap()
}

/// Counts with the sums of the last count, as if all directories had been at rest, and stores the new sums in `kept`.
fn count_changed(mailbox: &MaildirQuota, kept: &mut String) -> Usage {
    // The clock of the file system must have advanced since the last event. Changes within one tick are the reason for
    // the two seconds of rest, which are skipped here by passing a time one hour ahead.
    std::thread::sleep(Duration::from_millis(12));
    let rules = mailbox.rules();
    let later = SystemTime::now() + Duration::from_secs(3600);
    fs::write(mailbox.path().join("maildirsums"), &kept).unwrap();
    let mut tally = Tally::take(mailbox, Effort::Changed, later).unwrap();
    tally.settle().unwrap();
    *kept = compose(&tally.folders, rules, later);
    tally.usage().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_recount_of_changed_folders_equals_a_full_count(
        history in prop::collection::vec(event(), 1..40),
        count_trash in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World { root: folder.path().to_owned(), number: 0 };
        world.folder(0);
        let mailbox = MaildirQuota::open(folder.path(), Limits::NONE, CountRules { count_trash }).unwrap();
        let mut kept = String::new();
        for event in history.iter().chain([&Event::Count]) {
            world.happen(event);
            if matches!(event, Event::Count) {
                prop_assert_eq!(count_changed(&mailbox, &mut kept), mailbox.count().unwrap());
            }
        }
    }
}

#[test]
fn only_changed_folders_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World { root: folder.path().to_owned(), number: 0 };
    for (folder, size) in [(0, 10), (1, 20), (3, 30)] {
        world.happen(&Event::Deliver { folder, named: false, size });
    }
    let mailbox = MaildirQuota::open(folder.path(), Limits::parse("1000S").unwrap(), CountRules::default()).unwrap();
    assert_eq!(mailbox.recount(Effort::Changed).unwrap().folders_read, 3);
    assert_eq!(mailbox.recount(Effort::Changed).unwrap().folders_read, 3, "no directory has been at rest yet");
    let mut kept = String::new();
    count_changed(&mailbox, &mut kept);
    fs::write(folder.path().join("maildirsums"), &kept).unwrap();
    assert_eq!(mailbox.recount(Effort::Changed).unwrap().folders_read, 0);
    assert_eq!(mailbox.recount(Effort::Full).unwrap().folders_read, 3);
    world.happen(&Event::Deliver { folder: 1, named: true, size: 5 });
    fs::write(folder.path().join("maildirsums"), &kept).unwrap();
    let recount = mailbox.recount(Effort::Changed).unwrap();
    assert_eq!((recount.folders_read, recount.usage), (1, Usage { bytes: 65, messages: 4 }));
}

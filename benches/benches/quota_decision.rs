//! Cost of a quota decision inside a process: `cargo bench -p mailauth-benches --bench quota_decision`.
//!
//! The decision reads only the mailbox's maildirsize: once with one line, and once with as many as the reader accepts.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mailauth_core::maildir::maildirsize::{Contents, TOO_LONG};
use mailauth_core::quota::{CountRules, Limits, MaildirQuota};
use std::fs;
use std::hint::black_box;

const QUOTA: &str = "1000000000S,1000000C";

/// Returns a maildirsize with this number of lines after the first.
fn text(lines: usize) -> String {
    format!("{QUOTA}\n{}", "1234 1\n".repeat(lines))
}

fn decision(criterion: &mut Criterion) {
    let most = (TOO_LONG - 1 - QUOTA.len()) / "1234 1\n".len();
    let mut group = criterion.benchmark_group("quota");
    for lines in [1, most] {
        let folder = tempfile::tempdir().expect("a folder");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir(folder.path().join(part)).expect("a folder");
        }
        fs::write(folder.path().join("maildirsize"), text(lines)).expect("maildirsize");
        let limits = Limits::parse(QUOTA).expect("a quota");
        let mailbox = MaildirQuota::open(folder.path(), limits, CountRules::default()).expect("a Maildir");
        group.bench_function(BenchmarkId::new("precheck", lines), |bencher| {
            bencher.iter(|| assert!(matches!(mailbox.precheck(black_box(1000)), Ok(()))));
        });
        group.bench_function(BenchmarkId::new("open and precheck", lines), |bencher| {
            bencher.iter(|| {
                let mailbox =
                    MaildirQuota::open(black_box(folder.path()), limits, CountRules::default()).expect("a Maildir");
                assert!(matches!(mailbox.precheck(black_box(1000)), Ok(())));
            });
        });
        let text = text(lines);
        group.bench_function(BenchmarkId::new("parse", lines), |bencher| {
            bencher.iter(|| Contents::parse(black_box(text.as_bytes())).expect("a good file"));
        });
    }
}

criterion_group!(benches, decision);
criterion_main!(benches);

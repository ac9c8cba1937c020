//! The log: the lines that the programs write to the standard error.
//!
//! If systemd has connected the standard error to its journal, a line begins with its priority, `<3>` to `<7>` as in
//! sd-daemon(3), and has no time and no level, because the journal keeps both. Otherwise it has both.
//!
//! Each event is one line: a line end or an escape sequence in data from outside is escaped.

use crate::config::{LogConfig, LogLevel, LoggedDecisions};
use crate::printable::{brief, printable};
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Maximum number of characters of a line.
const MAX_LINE: usize = 8192;

/// The target under which decisions are logged.
pub(crate) const DECISIONS: &str = "mailauth::decision";

/// The log of this process.
pub struct Log {
    journal: bool,
    wanted: reload::Handle<Wanted, Registry>,
}

impl Log {
    /// Starts the log of this process, with the defaults of `[log]`.
    ///
    /// # Panics
    /// Panics if the process already has a log.
    pub fn start() -> Self {
        let journal = is_journal();
        let (filter, wanted) = reload::Layer::new(Wanted(LogConfig::default()));
        let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
        tracing_subscriber::registry().with(filter).with(lines.event_format(Form::new(journal))).init();
        // The text of a panic may contain data from outside too.
        std::panic::set_hook(Box::new(|panic| tracing::error!("a defect in this program: {panic}")));
        Log { journal, wanted }
    }

    /// Applies `config` from now on.
    pub fn configure(&self, config: &LogConfig) {
        // The only error is that the log has been dropped.
        let _ = self.wanted.modify(|wanted| wanted.0 = *config);
    }

    /// Writes why a program ends, whatever the configuration of the log is.
    pub fn fatal(&self, program: &str, problem: &str) {
        let mut stderr = io::stderr().lock();
        // Without a standard error there is nothing to write to.
        let _ = match self.journal {
            true => problem.lines().try_for_each(|line| writeln!(stderr, "<3>{}", printable(line))),
            false => {
                let lines: Vec<_> = problem.lines().map(printable).collect();
                writeln!(stderr, "{program}: {}", lines.join("\n"))
            }
        };
    }
}

/// Returns true if the standard error is the stream to the journal that systemd.exec(5) describes: `$JOURNAL_STREAM` is its
/// device and inode. A child may have inherited the variable, and have another standard error.
fn is_journal() -> bool {
    let Ok(told) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| names(&told, stat.st_dev, stat.st_ino))
}

fn names(told: &str, device: u64, inode: u64) -> bool {
    told.split_once(':').is_some_and(|(d, i)| d.parse() == Ok(device) && i.parse() == Ok(inode))
}

/// What the configuration wants to be logged.
struct Wanted(LogConfig);

impl Wanted {
    fn level(&self) -> LevelFilter {
        match self.0.level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        }
    }
}

impl<S: Subscriber> Layer<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level())
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if self.0.decisions == LoggedDecisions::All || event.metadata().target() != DECISIONS {
            return true;
        }
        let mut answer = Answer::default();
        event.record(&mut answer);
        answer.refused
    }
}

/// The answer in the line of a decision.
#[derive(Default)]
struct Answer {
    refused: bool,
}

impl Visit for Answer {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "answer" {
            self.refused = matches!(value, "no" | "not now");
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Format of a line.
enum Form {
    Plain(Format<Full>),
    Journal(Format<Full, ()>),
}

impl Form {
    fn new(journal: bool) -> Self {
        let format = Format::default();
        if journal { Form::Journal(format.without_time().with_level(false)) } else { Form::Plain(format) }
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::with_capacity(256);
        match self {
            Form::Plain(format) => format.format_event(context, Writer::new(&mut text), event)?,
            Form::Journal(format) => {
                write!(text, "<{}>", priority(*event.metadata().level()))?;
                format.format_event(context, Writer::new(&mut text), event)?;
            }
        }
        writeln!(to, "{}", brief(text.strip_suffix('\n').unwrap_or(&text), MAX_LINE))
    }
}

/// Returns the priority, as in syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is written for an event with this message and field.
    fn written(journal: bool, message: &str, field: &str) -> String {
        #[derive(Clone, Default)]
        struct Sink(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let to = sink.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || to.clone()).with_ansi(false);
        let log = tracing_subscriber::registry().with(lines.event_format(Form::new(journal)));
        tracing::subscriber::with_default(log, || tracing::warn!(%field, "{message}"));
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_with_data_from_outside_is_one_line() {
        let forged = "gone\n2026-01-01T00:00:00Z  INFO mailauth::decision: login=\"anna\"\x1b[2J\u{202e}";
        for journal in [false, true] {
            let line = written(journal, forged, forged);
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
            assert!(!line.trim_end().contains(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
            assert_eq!(line.starts_with("<4>"), journal, "{line:?}");
            assert!(line.contains(r"gone\n2026-01-01T00:00:00Z"), "{line:?}");
        }
        assert!(written(false, &"x".repeat(100_000), "").len() < 10_000);
    }

    #[test]
    fn only_the_stream_that_systemd_names_is_the_journal() {
        assert!(names("8:12345", 8, 12345));
        for told in ["8:12346", "9:12345", "8", "", ":", "8:12345:1", "8:-1", " 8:12345"] {
            assert!(!names(told, 8, 12345), "{told:?}");
        }
    }
}

//! The decision log of the server, received as it is written.

use crate::output::{printable, remark, say};
use std::fmt::Debug;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Target of the log lines about decisions.
const TARGET: &str = "mailauth::decision";

/// A decision in the log.
#[derive(Debug, Default)]
pub struct Decision {
    pub login: String,
    pub service: String,
    pub answer: String,
    pub reason: String,
    pub ms: f64,
}

/// A line of the log: a decision, or a warning or error.
enum LogLine {
    Decision(Decision),
    Other(String),
}

/// The log of this process.
pub struct Decisions(Receiver<LogLine>);

impl Decisions {
    /// Receives everything that this process logs from now on.
    pub fn follow() -> Result<Self, SetGlobalDefaultError> {
        let (sender, receiver) = channel();
        set_global_default(tracing_subscriber::registry().with(Tap(sender)))?;
        Ok(Decisions(receiver))
    }

    /// Returns the next decision, if it arrives in time.
    pub fn next(&self, patience: Duration) -> Option<Decision> {
        let deadline = Instant::now() + patience;
        loop {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()? {
                LogLine::Decision(decision) => return Some(decision),
                LogLine::Other(text) => remark(text),
            }
        }
    }

    /// Prints decisions until the log ends.
    pub fn print(self) {
        for line in self.0 {
            match line {
                LogLine::Decision(Decision { login, service, answer, reason, ms }) => {
                    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                    let (login, service) = (printable(&login), printable(&service));
                    // The demonstration goes on if its output is closed.
                    let _ = say(format_args!("{login} for {service}: {answer}{reason} ({ms} ms)"));
                }
                LogLine::Other(text) => remark(text),
            }
        }
    }
}

struct Tap(Sender<LogLine>);

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut seen = Fields::default();
        event.record(&mut seen);
        let Fields { mut decision, code, message } = seen;
        let line = if metadata.target() == TARGET {
            decision.reason = if message.is_empty() { code } else { format!("{message} ({code})") };
            LogLine::Decision(decision)
        } else if *metadata.level() <= Level::WARN {
            LogLine::Other(message)
        } else {
            return;
        };
        // Nothing receives the lines after the end of the demonstration.
        let _ = self.0.send(line);
    }
}

#[derive(Default)]
struct Fields {
    decision: Decision,
    code: String,
    message: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "login" => &mut self.decision.login,
            "service" => &mut self.decision.service,
            "answer" => &mut self.decision.answer,
            "reason" => &mut self.code,
            "message" => &mut self.message,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "ms" {
            self.decision.ms = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

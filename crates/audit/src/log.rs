//! The writer of record.

use std::io::Write;
use std::time::SystemTime;

use crate::Event;
use crate::record::{Record, Syntax};
use crate::rhdh::{Page, Rhdh};
use crate::timestamp::rfc3339;

/// How much an event matters. A log writes its level and those above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was not done.
    Error,
    /// It was done, and someone should look.
    Warn,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
}

impl Level {
    /// The value of the field `level`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// How a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// A JSON object a line, the same keys in the same order.
    Json,
    /// The lines that Red Hat Developer Hub's installer writes, for those who look for them.
    Rhdh,
}

/// Writes events, one line each, or in [`Format::Rhdh`] the few that it takes.
///
/// Errors go to `err`, all else to `out`; in [`Format::Rhdh`] only the last one goes to `err`. An event is handed over
/// whole, so that lines of several writers do not mix.
/// A stream that is closed or fails is given up silently: a lost reader of the log must not change what a run does.
pub struct Log {
    format: Format,
    level: Level,
    clock: fn() -> SystemTime,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    rhdh: Rhdh,
    watch: Option<Box<Watch>>,
}

/// Sees every event, whatever its level.
type Watch = dyn FnMut(&Event<'_>) + Send;

impl Log {
    /// A log of `level` and above.
    pub fn new(
        format: Format,
        level: Level,
        clock: fn() -> SystemTime,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self { format, level, clock, out: Box::new(out), err: Box::new(err), rhdh: Rhdh::default(), watch: None }
    }

    /// The same with somebody who sees each event before it is written, whatever its level.
    #[must_use]
    pub fn watched(self, watch: impl FnMut(&Event<'_>) + Send + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// Writes one event.
    pub fn record(&mut self, event: &Event<'_>) {
        if let Some(watch) = &mut self.watch {
            watch(event);
        }
        match self.format {
            Format::Logfmt => self.record_fields(event, Syntax::Logfmt),
            Format::Json => self.record_fields(event, Syntax::Json),
            Format::Rhdh => {
                let Page { out, err } = self.rhdh.page(event, self.level);
                hand_over(&mut self.out, &out);
                hand_over(&mut self.err, &err);
            }
        }
    }

    fn record_fields(&mut self, event: &Event<'_>, syntax: Syntax) {
        let level = event.level();
        if level > self.level {
            return;
        }
        let mut record = Record::new(syntax);
        record.text("ts", &rfc3339((self.clock)()));
        record.text("level", level.name());
        record.text("event", event.name());
        event.write(&mut record);
        hand_over(if level == Level::Error { &mut self.err } else { &mut self.out }, &record.finish());
    }
}

fn hand_over(stream: &mut dyn Write, text: &str) {
    if !text.is_empty() {
        // Nobody is left to tell about a log that cannot be written.
        drop(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()));
    }
}

//! The writer of record.

use std::io::Write;
use std::time::SystemTime;

use crate::Event;
use crate::record::Record;
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
}

/// Writes events, one line each.
///
/// Errors go to `err`, all else to `out`. A line is handed over whole, so that lines of several writers do not mix.
/// A stream that is closed or fails is given up silently: a lost reader of the log must not change what a run does.
pub struct Log {
    format: Format,
    level: Level,
    clock: fn() -> SystemTime,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Log {
    /// A log of `level` and above.
    pub fn new(
        format: Format,
        level: Level,
        clock: fn() -> SystemTime,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self { format, level, clock, out: Box::new(out), err: Box::new(err) }
    }

    /// Writes one event.
    pub fn record(&mut self, event: &Event<'_>) {
        let level = event.level();
        if level > self.level {
            return;
        }
        let mut record = Record::new(self.format);
        record.text("ts", &rfc3339((self.clock)()));
        record.text("level", level.name());
        record.text("event", event.name());
        event.write(&mut record);
        let stream = if level == Level::Error { &mut self.err } else { &mut self.out };
        let line = record.finish();
        // Nobody is left to tell about a log that cannot be written.
        drop(stream.write_all(line.as_bytes()).and_then(|()| stream.flush()));
    }
}

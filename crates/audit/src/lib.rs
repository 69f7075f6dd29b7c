//! The audit log: what a run did to each plugin, in records that people read and machines parse.
//!
//! ```
//! use std::time::UNIX_EPOCH;
//! use audit::{Event, Format, Level, Log, SkipReason};
//!
//! let mut log = Log::new(Format::Logfmt, Level::Info, || UNIX_EPOCH, std::io::stdout(), std::io::stderr());
//! log.record(&Event::PluginSkipped { package: "oci://ghcr.io/my-org/my-plugin:1.2.3", reason: SkipReason::Disabled });
//! // ts=1970-01-01T00:00:00Z level=INFO event=plugin_skipped package=oci://ghcr.io/my-org/my-plugin:1.2.3 reason=disabled
//! ```
//!
//! - [`Event`]: the closed list of what can be said; names, fields and their order are a contract.
//! - [`Progress`]: what is said of a run on its way.
//! - [`Log`]: owns the two streams, the [`Format`], the least [`Level`] and the clock.
//! - [`Explanation`]: what a reason code means in general, whose move it is, and what to do.
//!
//! # What this crate refuses
//! It writes no field that is not in an event, no line that an event's text begins, no character that a terminal would
//! act on, and no value longer than [`MAX_VALUE_BYTES`]. It reads no clock and opens no stream of its own.

mod escape;
mod event;
mod explanation;
mod log;
mod progress;
mod record;
mod rhdh;
mod timestamp;

pub use escape::MAX_VALUE_BYTES;
pub use event::{Event, SkipReason};
pub use explanation::{Explanation, reasons_page};
pub use integrity::Blame;
pub use log::{Format, Level, Log};
pub use progress::{LockState, NoteShape, PluginKind, Progress};
pub use rhdh::more_failed;
pub use timestamp::rfc3339;

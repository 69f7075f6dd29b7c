//! A bar for people who wait, and plain lines for logs.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use publish::{OciDigest, Progress};
use source::OciReference;

use crate::failure::{note, warn_of_retry};

/// Shows a transfer on standard error, if that is a terminal.
#[derive(Debug, Default)]
pub(crate) struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        // A thread that panicked while it drew has spoiled a picture, nothing else.
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Bar {
    fn begins(&self, bytes: u64) {
        let style = ProgressStyle::with_template("{bytes}/{total_bytes} {wide_bar} {bytes_per_sec}, {eta}");
        self.with(|bar| {
            let new = ProgressBar::new(bytes);
            *bar = Some(style.map(|style| new.clone().with_style(style)).unwrap_or(new));
        });
    }

    fn advances(&self, bytes: u64) {
        self.with(|bar| {
            let Some(shown) = bar else { return };
            shown.inc(bytes);
            if Some(shown.position()) >= shown.length() {
                shown.finish_and_clear();
            }
        });
    }

    fn tagged(&self, reference: &OciReference, from: Option<&OciDigest>) {
        let from = from.map(|from| format!(", which pointed to {from}")).unwrap_or_default();
        note(&format!("pushed {reference}{from}"));
    }

    fn waits(&self, failure: &dyn std::error::Error, wait: Duration) {
        self.with(|bar| {
            if let Some(shown) = bar.take() {
                shown.finish_and_clear();
            }
        });
        warn_of_retry(failure, wait);
    }
}

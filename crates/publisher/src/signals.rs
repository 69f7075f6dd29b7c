//! Ending early without leaving anything behind.

use std::path::PathBuf;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::note;
use crate::scratch::{Scratch, Swept};
use crate::terminal;

/// What shells add to a signal's number for an exit status.
const SIGNALLED: i32 = 128;

/// Whether a signal is ending the program.
static ENDING: AtomicBool = AtomicBool::new(false);

/// How often what was left behind is looked for, and the pause between: a thread that unpacks fails as soon as its
/// folder is gone, and may have made one more file by then.
const SWEEPS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Watches for the signals that end a program. What waits for a server or a disk is not asked first: nothing has a name
/// yet but folders for looking into archives.
#[expect(clippy::exit, reason = "a signal ends the program wherever it is")]
pub(crate) fn watch(temporary: PathBuf) {
    // Without a handler the signal ends the program as well, less tidily.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            terminal::restore();
            note("interrupted: what was not told as done is not done");
            ENDING.store(true, Ordering::SeqCst);
            if let Ok(scratch) = Scratch::open(&temporary) {
                for _ in 0..SWEEPS {
                    if scratch.sweep() == Swept::Nothing {
                        break;
                    }
                    thread::sleep(PAUSE);
                }
            }
            exit(SIGNALLED + signal);
        }
    });
}

/// Whether a signal is ending the program, so that what fails now is not worth a word.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// Leaves the last word to a signal that is ending the program: what it sweeps away makes others fail.
pub(crate) fn give_way() {
    while is_ending() {
        thread::park();
    }
}

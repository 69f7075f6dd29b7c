//! Ending early without leaving anything behind.

use std::fs::read_to_string;
use std::os::raw::c_int;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::note;
use crate::scratch::{Scratch, Swept};
use crate::terminal;

/// What shells add to a signal's number for an exit status.
const SIGNALLED: c_int = 128;
/// How often what was left behind is looked for, and the pause between: a thread that unpacks fails as soon as its
/// folder is gone, and may have made one more file by then.
const SWEEPS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);
/// Longest wait for somebody to read the last words.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Whether a signal is ending the program.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Watches for the signals that end a program, but for those that whoever started it has it ignore. What waits for a
/// server or a disk is not asked first: nothing has a name yet but folders for looking into archives. A second signal
/// ends it at once.
#[expect(clippy::exit, reason = "a signal ends the program wherever it is")]
pub(crate) fn watch(temporary: PathBuf) {
    let ignored = ignored();
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Without a handler a signal ends the program as well, less tidily.
    let Ok(mut signals) = Signals::new(wanted) else { return };
    thread::spawn(move || {
        for signal in signals.forever() {
            if ENDING.swap(true, Ordering::SeqCst) {
                exit(SIGNALLED + signal);
            }
            let temporary = temporary.clone();
            thread::spawn(move || {
                tidy(&temporary);
                exit(SIGNALLED + signal);
            });
        }
    });
}

fn tidy(temporary: &Path) {
    terminal::restore();
    let (told, telling) = channel();
    // Nobody may be reading: it is not waited for.
    thread::spawn(move || {
        note("interrupted: what was told as done is done, anything else may be done in part");
        drop(told);
    });
    if let Ok(scratch) = Scratch::open(temporary) {
        for _ in 0..SWEEPS {
            if scratch.sweep() == Swept::Nothing {
                break;
            }
            thread::sleep(PAUSE);
        }
    }
    let _: Result<(), _> = telling.recv_timeout(LAST_WORDS);
}

/// The signals that are ignored, a bit each from number 1 on, as `SigIgn` in `/proc/self/status` has them: by `nohup`, or
/// by a shell that runs something in the background.
fn ignored() -> u64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default()
}

/// Leaves the last word to a signal that is ending the program: what it sweeps away makes others fail.
pub(crate) fn give_way() {
    while is_ending() {
        thread::park();
    }
}

/// Whether what fails now is not worth a word.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

//! Input that a terminal does not show.

use std::io::{self, stdin};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// How the terminal was before, while it hides what is typed. A signal may end the program meanwhile.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Shows input again when this is dropped.
#[must_use]
pub(crate) struct Hidden(());

/// Has the terminal hide what is typed.
pub(crate) fn hide_input() -> io::Result<Hidden> {
    let before = tcgetattr(stdin())?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    // Held until it is hidden, so that a signal does not show it in between.
    let mut kept = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    tcsetattr(stdin(), OptionalActions::Flush, &hidden)?;
    *kept = Some(before);
    Ok(Hidden(()))
}

/// Leaves the terminal as it was.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // If that fails, the next prompt shows it.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        restore();
    }
}

//! Kubernetes' termination message: why the container ended, for `kubectl describe pod`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Most bytes that Kubernetes keeps.
const LIMIT: usize = 4096;

/// Leaves a message where the kubelet looks for one. Elsewhere the file does not exist, and none is made.
pub(crate) fn leave(path: &Path, reason: &str, detail: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("\nhelp: {hint}")).unwrap_or_default();
    let mut message = format!("{reason}: {detail}");
    let room = LIMIT.saturating_sub(hint.len() + '…'.len_utf8() + 1);
    if message.len() > room {
        message.truncate(message.floor_char_boundary(room));
        message.push('…');
    }
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{message}{hint}\n").as_bytes()));
    // The log has said it already; this is a copy for those who have no log at hand.
    drop(written);
}

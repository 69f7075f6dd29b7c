//! Reports on standard output, of the commands that change nothing.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use source::printable;

use crate::cli::{Args, ReportFormat, RootArgs};
use crate::exit::Status;
use crate::front::Failure;

/// The root that was named behind the command, or else before it or by the environment.
pub(crate) fn root<'a>(args: &'a Args, behind: &'a RootArgs) -> &'a Path {
    behind.root.as_ref().unwrap_or(&args.root)
}

/// Says that nothing can be said of a root.
pub(crate) fn untold(root: &Path, format: ReportFormat, failure: &Failure) {
    let Failure { reason, detail, hint, blame } = failure;
    let root = text_of(root);
    match format {
        ReportFormat::Json => {
            print(&json!({ "root": root, "reason": reason, "detail": detail, "hint": hint, "blame": blame.name() }));
        }
        ReportFormat::Text => {
            let hint = hint.as_ref().map(|hint| format!("help: {hint}\n")).unwrap_or_default();
            print_text(&format!("error: {}: {} [{reason}]\n{hint}", printable(&root), printable(detail)));
        }
    }
}

/// Rows below their heads; the last column needs no width.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..head.len().saturating_sub(1)).map(width).collect();
    let mut page = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(page, "{cell:width$}  ");
        }
        page += row.last().map_or("", String::as_str);
        page += "\n";
    }
    page
}

/// There is nothing to clean up; but the first process of a container does not even die of a signal that it ignores.
pub(crate) fn end_on_signals() {
    for (signal, status) in [(SIGTERM, Status::Terminated), (SIGINT, Status::Interrupted)] {
        let always = Arc::new(AtomicBool::new(true));
        drop(signal_hook::flag::register_conditional_shutdown(signal, status as i32, always));
    }
}

pub(crate) fn print(value: &Value) {
    print_text(&format!("{value:#}\n"));
}

pub(crate) fn print_text(text: &str) {
    // A reader that went away (`check | head`) is no reason to fail.
    drop(io::stdout().write_all(text.as_bytes()));
}

/// A path as text; bytes that are no UTF-8 are shown as `\x` and two hex digits.
pub(crate) fn text_of(path: impl AsRef<OsStr>) -> String {
    let chunks = path.as_ref().as_bytes().utf8_chunks();
    chunks.fold(String::new(), |text, chunk| format!("{text}{}{}", chunk.valid(), chunk.invalid().escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_can_be_told_apart() {
        for (bytes, text) in
            [(&b"dist/\xc3\xbc.js"[..], "dist/ü.js"), (b"\xff\xfe/a", r"\xff\xfe/a"), (b"a\xe2\x82", r"a\xe2\x82")]
        {
            assert_eq!(text_of(OsStr::from_bytes(bytes)), text);
        }
    }
}

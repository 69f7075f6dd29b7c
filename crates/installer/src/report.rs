//! Reports on standard output, of the commands that change nothing.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use install::{Chain, InventoryError};
use serde_json::{Value, json};
use source::printable;

use crate::cli::{Args, ReportFormat, RootArgs};
use crate::exit::Status;

/// The root that was named behind the command, or else before it or by the environment.
pub(crate) fn root<'a>(args: &'a Args, behind: &'a RootArgs) -> &'a Path {
    behind.root.as_ref().unwrap_or(&args.root)
}

/// Says that nothing can be said of a root.
pub(crate) fn untold(root: &Path, format: ReportFormat, error: &InventoryError) -> Status {
    let (root, reason, detail, hint) = (text_of(root), error.reason(), Chain(error).to_string(), error.hint());
    match format {
        ReportFormat::Json => {
            print(
                &json!({ "root": root, "reason": reason, "detail": detail, "hint": hint, "blame": error.blame().name() }),
            );
        }
        ReportFormat::Text => {
            let hint = hint.map(|hint| format!("help: {hint}\n")).unwrap_or_default();
            print_text(&format!("error: {}: {} [{reason}]\n{hint}", printable(&root), printable(&detail)));
        }
    }
    Status::Root
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

//! Where things are, and what cargo says about the members.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::command;

/// The top folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where downloads that git does not keep are put.
///
/// It stays in the workspace whatever `CARGO_TARGET_DIR` says: tests of every crate look for it there.
pub(crate) fn fixtures() -> PathBuf {
    root().join("target/fixtures")
}

/// Where cargo builds into; honours `CARGO_TARGET_DIR` and cargo's own settings.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(target))
}

/// `cargo metadata` about the members alone.
pub(crate) fn metadata() -> anyhow::Result<Value> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let text = command::read(&mut command::cargo(&arguments))?;
    serde_json::from_str(&text).context("`cargo metadata` printed something that is not JSON")
}

//! The start of a pod whose volume holds every plugin already: nothing is fetched, and each file is read again, or none.

use std::process::Command;
use std::time::Duration;

use super::plugins::small;
use super::published::Published;
use super::table::{Comparison, Limit, Tool};
use super::usage::Usage;
use super::{Only, Place};

const COUNT: usize = 1000;
const ABOUT: &str = "1000 small plugins, unchanged";
/// Nobody should see it in the start of a pod.
const MAX_TRUSTED: Duration = Duration::from_secs(1);

/// Lists the digests of all files of all plugins under `$1` in `$2`.
const LIST: &str = r#"cd "$1" && find . -mindepth 2 -type f -path './*-dynamic/*' -print0 | xargs -0 sha256sum > "$2""#;
/// Compares all of them.
const CHECK: &str = r#"cd "$1" && exec sha256sum --check --quiet "$2""#;

/// Measures a run that changes nothing, without a network, beside a tool that hashes the same files.
pub(super) fn measure(place: &Place, rounds: usize, only: &Only) -> anyhow::Result<Option<Comparison>> {
    if !only.takes(ABOUT) {
        return Ok(None);
    }
    place.with_root(|root| {
        let published = Published::new(place, &small(COUNT))?;
        let list = published.list(COUNT, published.registry().host());
        let ours = |flag: Option<&str>| {
            let mut command = place.installer(&list, root)?;
            command.args(flag);
            Usage::of(&command)
        };
        ours(Some("--trust-state"))?;
        // From here on nobody answers.
        drop(published);
        let sums = place.at("sums");
        let shell = |script| {
            let mut command = Command::new("sh");
            command.args(["-c", script, "sh"]).arg(root).arg(&sums);
            Usage::of(&command)
        };
        shell(LIST)?;
        let (mut hashed, mut trusted, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            hashed.push(ours(None)?);
            trusted.push(ours(Some("--trust-state"))?);
            theirs.push(shell(CHECK)?);
        }
        let [hashed, trusted, theirs] = [hashed, trusted, theirs].map(|usages| Usage::middle(&usages));
        let what = |what: &str| format!("{what}; {ABOUT}");
        let limits = vec![
            Limit::bytes(what("peak memory"), hashed.peak.max(trusted.peak), super::speed::MAX_PEAK),
            Limit::time(what("time, to that of sha256sum"), hashed.wall, theirs.wall),
            Limit::time(what("time with --trust-state"), trusted.wall, MAX_TRUSTED),
        ];
        let tools = [
            ("butler-plugin-installer", hashed),
            ("butler-plugin-installer --trust-state", trusted),
            ("sha256sum --check", theirs),
        ];
        let tools = tools.map(|(name, usage)| Tool { name, usage }).into();
        Ok(Some(Comparison { about: ABOUT, tools, limits }))
    })
}

//! The start of a pod whose volume holds every plugin already: nothing is fetched, and each file is read again, or none.

use std::process::Command;
use std::time::Duration;

use super::plugins::{Recipe, images, small};
use super::published::Published;
use super::table::{Comparison, Limit, Tool};
use super::usage::Usage;
use super::{Dialect, Only, Place};

/// Plugins that are installed already.
struct Case {
    about: &'static str,
    dialect: Dialect,
    recipes: fn() -> Vec<Recipe>,
    /// What nobody sees in the start of a pod, when the state is believed.
    max_trusted: Duration,
    trusted: &'static str,
}

const CASES: [Case; 2] = [
    Case {
        about: "1000 small plugins, unchanged",
        dialect: Dialect::Butler,
        recipes: || small(1000),
        max_trusted: Duration::from_secs(1),
        trusted: "butler-plugin-installer --trust-state",
    },
    Case {
        about: "20 images of 400 files of 16 KiB, unchanged",
        dialect: Dialect::Rhdh,
        recipes: images,
        max_trusted: Duration::from_millis(50),
        trusted: "butler-plugin-installer --dialect rhdh --trust-state",
    },
];

/// Lists the digests of all files of all plugins under `$1` in `$2`: what lies there besides is the installer's own.
const LIST: &str = r#"cd "$1" && find . -mindepth 2 -type f -print0 | xargs -0 sha256sum > "$2""#;
/// Compares all of them.
const CHECK: &str = r#"cd "$1" && exec sha256sum --check --quiet "$2""#;

/// Measures runs that change nothing, without a network, beside a tool that hashes the same files.
pub(super) fn measure(place: &Place, rounds: usize, only: &Only) -> anyhow::Result<Vec<Comparison>> {
    CASES.iter().filter(|case| only.takes(case.about)).map(|case| case.measure(place, rounds)).collect()
}

impl Case {
    fn measure(&self, place: &Place, rounds: usize) -> anyhow::Result<Comparison> {
        let Self { about, dialect, .. } = *self;
        place.with_root(|root| {
            let recipes = (self.recipes)();
            let published = Published::new(place, &recipes)?;
            let list = published.list(dialect, recipes.len(), published.registry().host());
            let ours = |flag: Option<&str>| {
                let mut command = place.installer(dialect, &list, root)?;
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
            let what = |what: &str| format!("{what}; {about}");
            let limits = vec![
                Limit::bytes(what("peak memory"), hashed.peak.max(trusted.peak), super::speed::MAX_PEAK),
                Limit::time(what("time, to that of sha256sum"), hashed.wall, theirs.wall),
                Limit::time(what("time with --trust-state"), trusted.wall, self.max_trusted),
            ];
            let tools = [(dialect.installer(), hashed), (self.trusted, trusted), ("sha256sum --check", theirs)];
            let tools = tools.map(|(name, usage)| Tool { name, usage }).into();
            Ok(Comparison { about, tools, limits })
        })
    }
}

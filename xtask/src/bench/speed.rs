//! Twenty plugins from a registry on the loopback interface, beside curl, sha512sum and tar.
//!
//! The server is a thread of this process and shares the cores with whoever is measured. The tools by hand are told
//! where the blobs are, so that they need one request for each plugin and the installer two.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use integrity::{Algorithm, OciDigest};
use testkit::{Plugin, Registry};

use super::Place;
use super::table::Tool;
use super::usage::Usage;

const PLUGINS: usize = 20;
const FILES: usize = 400;
const FILE_BYTES: usize = 16 * 1024;

/// What is done by hand for one plugin: its URL, its sha512 and the folder for it are the arguments.
const BY_HAND: &str = r#"set -e
mkdir "$3"
curl --silent --show-error --fail --output "$3.tgz" "$1"
echo "$2  $3.tgz" | sha512sum --check --quiet
tar --extract --gzip --strip-components=1 --file "$3.tgz" --directory "$3"
rm "$3.tgz"
"#;

/// What fills a root.
type CommandFor<'a> = dyn Fn(&Path) -> anyhow::Result<Command> + 'a;

/// Runs every tool once a round, so that what disturbs the machine disturbs all of them, and takes the medians.
pub(super) fn measure(place: &Place, rounds: usize) -> anyhow::Result<Vec<Tool>> {
    let published = Published::new(place)?;
    println!(
        "\n{PLUGINS} plugins of {FILES} files of {} KiB, {} KiB packed; the root is a folder in memory",
        FILE_BYTES / 1024,
        published.packed / 1024
    );
    let tools: [(&'static str, &CommandFor<'_>); 3] = [
        ("butler-plugin-installer", &|root| place.installer(&published.list, root)),
        ("curl, sha512sum, tar", &|root| published.by_hand(place, root, "1")),
        ("the same, two at a time", &|root| published.by_hand(place, root, "2")),
    ];
    let mut usages = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for ((_, command), usages) in tools.iter().zip(&mut usages) {
            usages.push(place.with_root(|root| Usage::of(&command(root)?))?);
        }
    }
    Ok(tools.iter().zip(&usages).map(|((name, _), usages)| Tool { name, usage: Usage::middle(usages) }).collect())
}

/// The plugins in their registry, and what both sides are told about them.
struct Published {
    _registry: Registry,
    /// For the installer.
    list: String,
    /// For the others: URL and sha512 of each blob.
    blobs: Vec<(String, String)>,
    script: PathBuf,
    packed: usize,
}

impl Published {
    fn new(place: &Place) -> anyhow::Result<Self> {
        let registry = Registry::start();
        let (mut list, mut blobs, mut packed) = (String::from("plugins:\n"), Vec::new(), 0);
        let text = source_text();
        for number in 0..PLUGINS {
            let name = format!("plugin-{number}");
            let tarball = plugin(&name, number, &text).tarball();
            let repository = format!("my-org/{name}");
            let pushed = registry.push(&repository, "1.0.0", &tarball);
            writeln!(list, "  - package: {}\n    integrity: {}", pushed.reference, pushed.integrity)?;
            let url = registry.server().url(&format!("/v2/{repository}/blobs/{}", testkit::sha256_digest(&tarball)));
            let sha512 = OciDigest::of(Algorithm::Sha512, &tarball).to_string();
            blobs.push((url, sha512.trim_start_matches("sha512:").to_owned()));
            packed += tarball.len();
        }
        Ok(Self { _registry: registry, list, blobs, script: place.write("by-hand.sh", BY_HAND)?, packed })
    }

    /// `at_once` plugins at a time.
    fn by_hand(&self, place: &Place, root: &Path, at_once: &str) -> anyhow::Result<Command> {
        let line = |(number, (url, sha512)): (usize, &(String, String))| {
            format!("{url} {sha512} {}\n", root.join(number.to_string()).display())
        };
        let list: String = self.blobs.iter().enumerate().map(line).collect();
        let mut command = Command::new("xargs");
        command.args(["--max-procs", at_once, "--max-args", "3", "--arg-file"]).arg(place.write("blobs", &list)?);
        command.arg("sh").arg(&self.script);
        Ok(command)
    }
}

/// A plugin whose files are all different pieces of the text.
fn plugin(name: &str, number: usize, text: &str) -> Plugin {
    (0..FILES).fold(Plugin::backend(name), |plugin, file| {
        let at = (number * FILES + file) * 4099 % (text.len() - FILE_BYTES);
        plugin.file(&format!("dist/chunks/{:02}/chunk-{file:03}.js", file % 20), &text[at..at + FILE_BYTES])
    })
}

/// Something like a bundle of JavaScript: it compresses to about a quarter, as real plugins do.
fn source_text() -> String {
    const WORDS: [&str; 32] = [
        "const ",
        "return ",
        "function ",
        "export ",
        "await ",
        "async ",
        "=> {\n",
        "}\n",
        "(",
        ")",
        ", ",
        ";\n",
        "this.",
        "props",
        "state",
        "request",
        "response",
        "router",
        "catalog",
        "entity",
        "plugin",
        "module",
        "logger",
        ".map",
        ".filter",
        "undefined",
        " = ",
        " === ",
        "'",
        "permission",
        "config",
        "backend",
    ];
    let mut state = 1_u32;
    let mut text = String::new();
    while text.len() < 1024 * 1024 {
        // The constants of Numerical Recipes; the upper bits are the better ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(WORDS[(state >> 27) as usize]);
        if (state >> 24).is_multiple_of(8) {
            text.push_str(&(state >> 8).to_string());
        }
    }
    text
}

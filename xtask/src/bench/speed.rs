//! What it takes to install plugins from a registry on the loopback interface, beside the tools one would use by hand,
//! and beside those that do only a part of the work.
//!
//! Whoever is measured starts from an empty root in memory. They take turns, so that what disturbs the machine disturbs
//! all of them.

use std::process::Command;
use std::time::Duration;

use testkit::Distance;

use super::plugins::{Recipe, even, images, real, small};
use super::published::Published;
use super::table::{Comparison, Limit, Tool};
use super::usage::Usage;
use super::{Dialect, Only, Place};

/// However many plugins there are, and however large they are.
pub(super) const MAX_PEAK: u64 = 32 * 1024 * 1024;
/// To a registry on the same continent.
const FAR: Duration = Duration::from_millis(20);

/// A way to do the work, or a part of it, without the installer.
struct Rival {
    name: &'static str,
    /// What a shell does for one plugin: `$1` is the blob's URL, `$2` the image, `$3` the sha512, `$4` the tarball as a
    /// file, `$5` the folder to make.
    script: &'static str,
    /// How many plugins at a time.
    at_once: &'static str,
}

const BY_HAND: &str = r#"set -e
mkdir "$5"
curl --silent --show-error --fail --output "$5.tgz" "$1"
echo "$3  $5.tgz" | sha512sum --check --quiet
tar --extract --gzip --strip-components=1 --file "$5.tgz" --directory "$5"
rm "$5.tgz"
"#;
const CURL: Rival = Rival { name: "curl, sha512sum, tar", script: BY_HAND, at_once: "1" };
const CURL_TWO: Rival = Rival { name: "curl, sha512sum, tar, two at a time", script: BY_HAND, at_once: "2" };
/// What the shortest script does: no digest is looked at, and a download that breaks off goes unnoticed.
const PIPED_TWO: Rival = Rival {
    name: "curl into tar, two at a time",
    script: r#"mkdir "$5" && curl --silent --fail "$1" | tar --extract --gzip --strip-components=1 --directory "$5""#,
    at_once: "2",
};
const SKOPEO: Rival = Rival {
    name: "skopeo, tar, two at a time",
    script: r#"set -e
mkdir "$5"
skopeo --insecure-policy copy --quiet --src-tls-verify=false "docker://$2" "dir:$5.image"
tar --extract --gzip --strip-components=1 --file "$5.image/${1##*:}" --directory "$5"
rm -r "$5.image"
"#,
    at_once: "2",
};
const TAR: Rival = Rival {
    name: "limit: tar of files in memory, two at a time",
    script: r#"mkdir "$5" && exec tar --extract --gzip --strip-components=1 --file "$4" --directory "$5""#,
    at_once: "2",
};
const OPENSSL: Rival = Rival {
    name: "limit: openssl dgst -sha512, two at a time",
    script: r#"exec openssl dgst -sha512 "$4""#,
    at_once: "2",
};

/// A rival, and the share of its time that the installer may take at most.
type Beside = (Rival, Option<f64>);

/// Plugins to be installed in several ways.
struct Case {
    about: &'static str,
    dialect: Dialect,
    /// How many of those that are published.
    count: usize,
    /// How far away the registry is.
    round_trip: Duration,
    rivals: &'static [Beside],
}

const NEAR: &[Beside] = &[(CURL, None), (CURL_TWO, None), (SKOPEO, None), (TAR, None), (OPENSSL, None)];
const NEAR_LIMITED: &[Beside] =
    &[(CURL, None), (CURL_TWO, Some(0.5)), (SKOPEO, None), (TAR, Some(1.0)), (OPENSSL, None)];
const AWAY: &[Beside] = &[(CURL, None), (CURL_TWO, None)];
const AWAY_LIMITED: &[Beside] = &[(CURL, None), (CURL_TWO, Some(0.35))];
const EVEN: &[Beside] = &[(CURL, None), (CURL_TWO, None), (TAR, None)];
const IMAGES: &[Beside] = &[(PIPED_TWO, Some(0.5)), (TAR, None)];
const GROWTH: &[Beside] = &[(CURL_TWO, None)];

/// The first plugins of `real`.
const REAL_CASES: [Case; 6] = [
    Case::near("1 plugin, 4.9 MB", 1, NEAR),
    Case::near("10 plugins, 29.6 MB", 10, NEAR),
    Case::near("50 plugins, 207 MB", 50, NEAR_LIMITED),
    Case::away("1 plugin, 4.9 MB, 20 ms away", 1, AWAY),
    Case::away("10 plugins, 29.6 MB, 20 ms away", 10, AWAY),
    Case::away("50 plugins, 207 MB, 20 ms away", 50, AWAY_LIMITED),
];
const EVEN_CASES: [Case; 1] = [Case::near("20 plugins of 400 files of 16 KiB", 20, EVEN)];
const IMAGE_CASES: [Case; 1] =
    [Case { dialect: Dialect::Rhdh, ..Case::near("20 images of 400 files of 16 KiB", 20, IMAGES) }];
const GROWTH_CASES: [Case; 4] = [
    Case::near("1 small plugin", 1, GROWTH),
    Case::near("10 small plugins", 10, GROWTH),
    Case::near("100 small plugins", 100, GROWTH),
    Case::near("1000 small plugins", 1000, GROWTH),
];

/// Measures all cases that are asked for.
pub(super) fn measure(place: &Place, rounds: usize, only: &Only) -> anyhow::Result<Vec<Comparison>> {
    let mut all = Vec::new();
    for (cases, recipes) in [
        (&REAL_CASES[..], real()),
        (&EVEN_CASES[..], even()),
        (&IMAGE_CASES[..], images()),
        (&GROWTH_CASES[..], small(GROWTH_CASES[3].count)),
    ] {
        all.extend(of_kind(place, rounds, only, cases, &recipes)?);
    }
    Ok(all)
}

fn of_kind(
    place: &Place,
    rounds: usize,
    only: &Only,
    cases: &[Case],
    recipes: &[Recipe],
) -> anyhow::Result<Vec<Comparison>> {
    let cases: Vec<_> = cases.iter().filter(|case| only.takes(case.about)).collect();
    let Some(most) = cases.iter().map(|case| case.count).max() else { return Ok(Vec::new()) };
    let published = Published::new(place, &recipes[..most])?;
    cases.into_iter().map(|case| case.measure(place, rounds, &published)).collect()
}

impl Case {
    const fn near(about: &'static str, count: usize, rivals: &'static [Beside]) -> Self {
        Self { about, dialect: Dialect::Butler, count, round_trip: Duration::ZERO, rivals }
    }

    const fn away(about: &'static str, count: usize, rivals: &'static [Beside]) -> Self {
        Self { round_trip: FAR, ..Self::near(about, count, rivals) }
    }

    fn measure(&self, place: &Place, rounds: usize, published: &Published) -> anyhow::Result<Comparison> {
        let server = published.registry().server();
        let far = (!self.round_trip.is_zero()).then(|| Distance::to(server, self.round_trip));
        let host = far.as_ref().map_or(server.address(), Distance::address).to_string();
        let list = published.list(self.dialect, self.count, &host);
        let (mut ours, mut theirs) = (Vec::new(), vec![Vec::new(); self.rivals.len()]);
        for _ in 0..rounds {
            ours.push(place.with_root(|root| Usage::of(&place.installer(self.dialect, &list, root)?))?);
            for ((rival, _), usages) in self.rivals.iter().zip(&mut theirs) {
                usages.push(place.with_root(|root| {
                    let lines = published.lines(self.count, &host, root);
                    Usage::of(&rival.command(place, &lines)?)
                })?);
            }
        }
        let ours = Usage::middle(&ours);
        let mut limits = vec![Limit::bytes(format!("peak memory, {}", self.about), ours.peak, MAX_PEAK)];
        let mut tools = vec![Tool { name: self.dialect.installer(), usage: ours }];
        for ((Rival { name, .. }, share), usages) in self.rivals.iter().zip(&theirs) {
            let usage = Usage::middle(usages);
            if let Some(share) = share {
                let what = format!("time, to {share} of {name}; {}", self.about);
                limits.push(Limit::time(what, ours.wall, usage.wall.mul_f64(*share)));
            }
            tools.push(Tool { name, usage });
        }
        Ok(Comparison { about: self.about, tools, limits })
    }
}

impl Rival {
    fn command(&self, place: &Place, lines: &str) -> anyhow::Result<Command> {
        let mut command = Command::new("xargs");
        command.args(["--max-procs", self.at_once, "--max-args", "5", "--arg-file"]).arg(place.write("lines", lines)?);
        command.arg("sh").arg(place.write("by-hand.sh", self.script)?);
        Ok(command)
    }
}

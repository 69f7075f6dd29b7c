//! What an initContainer may weigh and take: size, start-up, and memory that does not grow with an artifact.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use testkit::{Ca, HttpServer, OCI_MANIFEST, Registry, Reply};

use super::artifact::{Artifact, Digests};
use super::table::Limit;
use super::usage::Usage;
use super::{Dialect, Place, median};
use crate::dist::{Binary, Dist};

const MIB: u64 = 1024 * 1024;
/// The largest plugin known is a tenth of this, compressed.
const ARTIFACT_BYTES: u64 = 300 * MIB;
const MAX_PEAK: u64 = 16 * MIB;
const MAX_START: Duration = Duration::from_millis(5);
/// Starts are short, so that many are needed for a median.
const STARTS: usize = 50;

/// Measures everything that has a limit.
pub(super) fn measure(place: &Place, built: &Dist, rounds: usize) -> anyhow::Result<Vec<Limit>> {
    let mut version = Command::new(&place.installer);
    version.arg("--version");
    let version = start(&mut version)?;
    let empty = place.with_root(|root| start(&mut place.installer(Dialect::Butler, "plugins: []\n", root)?))?;
    let (artifact, digests) = Artifact::new(ARTIFACT_BYTES).context("could not make a large plugin")?;
    let Binary { bytes, crates, budget, .. } = &built.installer;
    let peak = |found: u64, from| {
        Limit::bytes(format!("peak memory, a plugin of {} MiB {from}", ARTIFACT_BYTES / MIB), found, MAX_PEAK)
    };
    Ok(vec![
        Limit::bytes("static binary", *bytes as u64, budget.bytes as u64),
        Limit::count("crates in it", *crates, budget.crates),
        Limit::time(format!("`--version`, median of {STARTS}"), version, MAX_START),
        Limit::time(format!("an empty list, median of {STARTS}"), empty, MAX_START),
        peak(over_https(place, &built.ca_bundle(), &artifact, &digests, rounds)?, "over https"),
        peak(from_registry(place, &artifact, &digests, rounds)?, "from a registry"),
    ])
}

fn start(command: &mut Command) -> anyhow::Result<Duration> {
    command.env_clear().stdout(Stdio::null()).stderr(Stdio::null());
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let start = Instant::now();
        let status = command.status().context("could not start the installer")?;
        times.push(start.elapsed());
        ensure!(status.success(), "{command:?} failed with {status}");
    }
    Ok(median(times))
}

fn over_https(
    place: &Place,
    ca_bundle: &Path,
    artifact: &Artifact,
    digests: &Digests,
    rounds: usize,
) -> anyhow::Result<u64> {
    let ca = Ca::new();
    let tarball = artifact.clone();
    let server = HttpServer::builder().tls(&ca).start(move |_| Reply::ok().stream(tarball.open(), tarball.len()));
    // As in the image: the whole bundle is loaded, and costs its memory.
    let bundle = fs::read_to_string(ca_bundle).with_context(|| format!("could not read `{}`", ca_bundle.display()))?;
    let bundle = place.write("ca.pem", &(bundle + &ca.pem()))?;
    peak(place, &server.url("/large.tgz"), digests, Some(&bundle), rounds)
}

fn from_registry(place: &Place, artifact: &Artifact, digests: &Digests, rounds: usize) -> anyhow::Result<u64> {
    let registry = Registry::start();
    let config = registry.push_blob("my-org/large", b"{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}",
            "config":{{"mediaType":"{}","digest":"{config}","size":2}},
            "layers":[{{"mediaType":"{}","digest":"{}","size":{}}}]}}"#,
        testkit::EMPTY,
        testkit::GZIP,
        digests.digest,
        artifact.len()
    );
    registry.push_manifest("my-org/large", "1.0.0", manifest.as_bytes(), OCI_MANIFEST);
    let (tarball, blob) = (artifact.clone(), format!("/v2/my-org/large/blobs/{}", digests.digest));
    registry.server().intercept(move |request, answer| {
        if request.path == blob { Reply::ok().stream(tarball.open(), tarball.len()) } else { answer() }
    });
    peak(place, &format!("oci://{}/my-org/large:1.0.0", registry.host()), digests, None, rounds)
}

/// The most memory that any of the rounds took.
fn peak(place: &Place, package: &str, digests: &Digests, ca: Option<&Path>, rounds: usize) -> anyhow::Result<u64> {
    let list = format!("plugins:\n  - package: {package}\n    integrity: {}\n", digests.integrity);
    let mut most = 0;
    for _ in 0..rounds {
        let usage = place.with_root(|root| {
            let mut command = place.installer(Dialect::Butler, &list, root)?;
            if let Some(ca) = ca {
                command.env("SSL_CERT_FILE", ca);
            }
            Usage::of(&command)
        })?;
        most = most.max(usage.peak);
    }
    Ok(most)
}

//! The image's way to a registry, by the code that plugins take.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use fetch::Surroundings;
use integrity::OciDigest;
use oci::{Artifact, Client, PushOptions};
use source::Source;
use transport::{Deadline, Patience, Retry, Stop, SystemClock, Timeouts};

use super::image::Image;

const USER_AGENT: &str = "butler-plugins-release";
/// How long all of it may take.
const LONGEST: Duration = Duration::from_mins(10);

/// Pushes the image under the reference's tag, with Docker's logins. A tag that is there already with another image
/// stays as it is, and that is an error.
pub(super) fn push(image: &Image, to: &str) -> anyhow::Result<OciDigest> {
    let Source::Oci(to) = Source::parse(to)? else { bail!("expected `oci://…`, found `{to}`") };
    let surroundings = Surroundings::read(|name| std::env::var_os(name));
    let access = surroundings.logins().open()?;
    let http = surroundings.client(USER_AGENT, &[], Timeouts::default())?;
    let client = Client::new(Arc::new(http), access.credentials, access.realms);
    let (clock, stop) = (SystemClock::start(), Stop::new());
    let patience = Patience::new(&clock, Deadline::after(&clock, LONGEST), &stop);
    let store = |blob| {
        Retry::default().run(patience, &|_, _| (), || client.push_blob(&to, blob, &PushOptions::default(), patience))
    };

    let artifact = Artifact::new(store(&image.config)?, store(&image.layer)?, None, image.annotations.clone());
    match client.tagged(&to, patience)? {
        Some(found) if found != artifact.digest() => {
            bail!("expected `{}` or nothing at `{to}`, found `{found}`", artifact.digest())
        }
        _ => Ok(client.push_manifest(&to, &artifact, patience)?),
    }
}

//! Packages of npm registries: which version is meant, and where its tarball is.

mod choice;
mod failure;
mod file;
mod npmrc;
mod packument;
mod range;
mod version;

use source::{Allowed, NpmName, NpmSpec};
use transport::{Patience, Request, Response, Scheme, Transport, Url, UrlError};

pub use choice::NoVersion;
pub use failure::NpmFailure;
pub use file::NpmrcFileError;
pub use npmrc::{Npmrc, NpmrcError};

use npmrc::DEFAULT_HOST;

use crate::tarball_url::{REDIRECT_LIMIT, Rest};
use crate::{Refused, Unfollowed};

/// The short form of a package's metadata, and the long one where a registry has no other.
const METADATA_TYPES: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";
/// Longest integrity that is taken from a registry.
const INTEGRITY_LIMIT: usize = 1024;

/// The version of a package that was chosen, as its registry describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NpmArtifact {
    /// The package's name, whatever its alias.
    pub(crate) name: NpmName,
    /// The version.
    pub(crate) version: String,
    /// Where the tarball is: at an https server, or at the registry's own origin.
    pub(crate) tarball: Url,
    /// What the registry says that the tarball's integrity is, in the form of SRI. Nobody pinned it.
    pub(crate) integrity: Option<String>,
}

/// Asks a package's registry which version is meant.
pub(crate) fn locate(
    transport: &dyn Transport,
    npmrc: &Npmrc,
    spec: &Allowed<NpmSpec>,
    patience: Patience<'_>,
) -> Result<NpmArtifact, NpmFailure> {
    let (name, wanted) = (spec.subject().name(), spec.subject().wanted());
    let registry = npmrc.registry_of(name);
    let server = registry.authority();
    let at = format!("{}{}", registry.with_query(), name.as_str().replace('/', "%2f"));
    let at = Url::parse(&at).map_err(|source| NpmFailure::Url { server: server.clone(), source })?;
    let response = get(transport, npmrc, &at, Wanted::Metadata, patience)?;
    let packument = packument::read(&server, response, patience)?;
    let chosen = packument.choose(wanted);
    let (version, published) = chosen.map_err(|source| NpmFailure::NoVersion { name: name.to_string(), source })?;
    let tarball = tarball_url(registry, &published.dist.tarball)
        .map_err(|source| NpmFailure::Url { server: server.clone(), source })?;
    let is_plain =
        |text: &&String| text.len() <= INTEGRITY_LIMIT && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let integrity = published.dist.integrity.as_ref().filter(is_plain).cloned();
    Ok(NpmArtifact { name: name.clone(), version: version.to_string(), tarball, integrity })
}

/// Asks for the tarball, or for the rest of it. An answer to the latter may also say that there is no such rest (416).
pub(crate) fn open(
    transport: &dyn Transport,
    npmrc: &Npmrc,
    artifact: &NpmArtifact,
    rest: Option<&Rest<'_>>,
    patience: Patience<'_>,
) -> Result<Response, NpmFailure> {
    get(transport, npmrc, &artifact.tarball, Wanted::Tarball(rest), patience)
}

#[derive(Clone, Copy)]
enum Wanted<'a> {
    Metadata,
    Tarball(Option<&'a Rest<'a>>),
}

/// Follows redirects, to https or within an origin. Each hop gets the login that is written for it, and no other.
fn get(
    transport: &dyn Transport,
    npmrc: &Npmrc,
    from: &Url,
    wanted: Wanted<'_>,
    patience: Patience<'_>,
) -> Result<Response, NpmFailure> {
    let mut url = from.clone();
    for _ in 0..=REDIRECT_LIMIT {
        let server = url.authority();
        let denied = |why: String| NpmFailure::RedirectDenied(Unfollowed { server: server.clone(), why });
        let authorization = npmrc.authorization(&url);
        let with_credentials = authorization.is_some();
        let request = Request::get(url.clone()).authorization(authorization);
        let (request, is_part) = match wanted {
            Wanted::Metadata => (request.header("accept", METADATA_TYPES), false),
            Wanted::Tarball(None) => (request, false),
            Wanted::Tarball(Some(rest)) => (rest.asked_for(request), true),
        };
        let response = patience.send(transport, &request).map_err(NpmFailure::Transport)?;
        match response.status() {
            200 => return Ok(response),
            206 | 416 if is_part => return Ok(response),
            301 | 302 | 303 | 307 | 308 => {}
            _ => return Err(NpmFailure::Status(Refused::of(&response, server, with_credentials, patience.clock()))),
        }
        let location = response.headers().first("location").ok_or_else(|| denied("it names no location".to_owned()))?;
        url = url
            .join(location)
            .and_then(|next| of_origin_or_https(&url, next))
            .map_err(|error| denied(error.to_string()))?;
    }
    let (server, why) = (url.authority(), format!("more than {REDIRECT_LIMIT} redirects"));
    Err(NpmFailure::RedirectDenied(Unfollowed { server, why }))
}

/// Where a tarball is, by what the metadata of `registry` say.
fn tarball_url(registry: &Url, written: &str) -> Result<Url, UrlError> {
    // Mirrors repeat the metadata of npm's own registry unchanged; like npm, whoever asks a mirror stays with it. Old
    // metadata say http there, which nobody speaks any more.
    let mirrored = ["https://", "http://"].iter().find_map(|scheme| {
        written.strip_prefix(scheme)?.strip_prefix(DEFAULT_HOST).filter(|path| path.starts_with('/'))
    });
    let Some(path) = mirrored else { return of_origin_or_https(registry, Url::parse(written)?) };
    let below = registry.target().trim_end_matches('/');
    let is_below = path.strip_prefix(below).is_some_and(|rest| rest.starts_with('/'));
    registry.join(&if is_below { path.to_owned() } else { format!("{below}{path}") })
}

fn of_origin_or_https(origin: &Url, url: Url) -> Result<Url, UrlError> {
    let is_safe = url.scheme() == Scheme::Https || url.origin() == origin.origin();
    if is_safe { Ok(url) } else { Err(UrlError::PlainHttp) }
}

#[cfg(test)]
mod tests;

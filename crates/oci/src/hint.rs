//! What to do about a failure.

use transport::Cause;

use crate::error::Act;
use crate::{Failure, Login};

impl Failure {
    pub(crate) fn hint(&self, act: Act, subject: &str, registry: &str) -> Option<String> {
        let text = match self {
            Self::Nowhere { source, .. } => return source.hint(act, subject, registry),
            Self::Forbidden { login: Login::Given, .. } if act.writes() => {
                "give this account write access to the repository"
            }
            Self::Forbidden { login: Login::Given, .. } => "give this account read access to the repository",
            Self::Unauthorized { login, .. } | Self::Forbidden { login, .. } => {
                return Some(unauthorized(login, act, registry));
            }
            Self::NotFound { what: "repository", .. } => {
                "create the repository first: this registry does not do it by itself, or may not for this account"
            }
            Self::NotFound { what: "upload", .. } => {
                "the registry has forgotten what it began: if it runs in several copies, they must share their storage"
            }
            Self::NotFound { login: Login::None, .. } => {
                return Some(format!(
                    "check repository and tag; no login was sent to `{registry}`, and some registries say so of private \
                     repositories, too"
                ));
            }
            Self::NotFound { .. } => {
                "check repository and tag; some registries also say so of private repositories that this account may \
                 not see"
            }
            Self::RateLimited { .. } => "log in with an account that has a higher limit, or use a mirror",
            Self::RealmDenied { .. } => {
                "the registry has to name an https token server: look at its configuration, or at a proxy between"
            }
            Self::NoPluginPath { .. } => return Some(format!("select one with its folder: `{subject}!<folder>`")),
            Self::NoPlugins { .. } => {
                return Some(format!("name the folder that holds the plugin: `{subject}!<folder>`"));
            }
            Self::Blocked => "give the `[[registry]]` that is `blocked` a mirror, or leave the plugin out",
            Self::Place { .. } => "look at the `location` that belongs to this prefix in `registries.conf`",
            Self::Credentials(error) => return Some(error.hint()),
            Self::Transport(error) if act.writes() && error.cause() == Cause::Reset => {
                "if a proxy between limits the size of a request, send less at once with `--chunk-size`"
            }
            Self::Transport(error) => return error.cause().hint().map(str::to_owned),
            Self::LocationDenied { .. } => {
                "the registry has to name its own address, the one of the reference: look at its public URL, or at the \
                 headers (`Host`, `X-Forwarded-Proto`) of a proxy between"
            }
            Self::ChunkRefused { least: Some(least), .. } => {
                return Some(format!("choose a `--chunk-size` of {least} or more, or leave it out"));
            }
            Self::ChunkRefused { least: None, .. } => "choose another `--chunk-size`, or leave it out",
            Self::StoredOther { .. } if act == Act::PushManifest => {
                "the tag may point to something else now: look at the registry or a proxy between before anybody uses it"
            }
            Self::StoredOther { .. } => {
                "nothing was tagged; push with another `--chunk-size` or without, and look at the registry or a proxy \
                 between"
            }
            Self::UnknownSize { .. } => {
                "the registry has to send `Content-Length` or `Content-Range` with blobs: look at a proxy between"
            }
            Self::ManifestTooLarge { .. } => "put fewer plugins into one image",
            Self::Status { status: 413, .. } => {
                "the registry, or a proxy between, limits the size of a request: send less at once with `--chunk-size`"
            }
            Self::Status { status: 405, .. } if act.writes() => {
                "nothing can be pushed there: it is read-only, a mirror, or no registry"
            }
            Self::MediaType { .. } => {
                "push the tarball as one layer of type `application/gzip`, or an image whose layers are compressed with gzip"
            }
            Self::Status { status: 500..=599, .. } => "the registry has trouble: try again later, or ask its operator",
            Self::NoDocument { found, .. } => {
                return Some(format!(
                    "{found} is no registry's: look for a proxy or a login page between, or for a wrong host in the \
                     reference"
                ));
            }
            Self::Concealed { .. } => "ask the registry's operator why its answers repeat what clients send",
            Self::Status { .. }
            | Self::RedirectDenied { .. }
            | Self::DigestMismatch { .. }
            | Self::Elsewhere { .. }
            | Self::Shape { .. }
            | Self::Json { .. }
            | Self::NoPlatform { .. } => return None,
        };
        Some(text.to_owned())
    }
}

/// For somebody who is not let in as this.
fn unauthorized(login: &Login, act: Act, registry: &str) -> String {
    match login {
        Login::Given => match act {
            Act::Resolve | Act::OpenLayer => {
                format!("the password or token for `{registry}` in `config.json` is wrong or has expired")
            }
            Act::LogIn => format!("the user name, or the password or token, for `{registry}` is wrong"),
            Act::LookUpTag | Act::PushBlob | Act::PushManifest => format!(
                "the password or token for `{registry}` is wrong or has expired, or this account may not push there"
            ),
        },
        Login::None if act.writes() => format!("log in to `{registry}` first, with an account that may push there"),
        Login::None => {
            format!("mount a `config.json` with an entry for `{registry}` and point DOCKER_CONFIG at its folder")
        }
        Login::Withheld { realm } => format!(
            "if that token server may see the login for `{registry}`, say so with `--token-realm {registry}={realm}`"
        ),
        Login::Redirected => {
            "the registry's storage refuses its own links: look at its configuration, or at a proxy between".to_owned()
        }
        Login::InTheClear => format!("let `{registry}` speak https, or let everybody read there"),
    }
}

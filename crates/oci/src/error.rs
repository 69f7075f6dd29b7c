//! What can go wrong between a reference and its blob, either way.

use std::fmt;
use std::time::Duration;

use integrity::{Blame, Chain, OciDigest};
use source::{Authority, OciReference};
use transport::{Cause, Retryable, TransportError, UrlError};

use crate::{Credentials, CredentialsError, words};

/// Something that a registry was asked and did not do.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} `{subject}`")]
pub struct OciError {
    act: Act,
    subject: String,
    registry: String,
    /// What there is in place of a login.
    no_login: Option<String>,
    #[source]
    failure: Failure,
}

/// What a registry is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Resolve,
    OpenLayer,
    LogIn,
    LookUpTag,
    PushBlob,
    PushManifest,
}

/// Why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No usable answer.
    #[error(transparent)]
    Transport(TransportError),
    /// 401.
    #[error("`{server}` answered 401 {login}{}", behind_colon(.said.as_ref()))]
    Unauthorized {
        /// Who said so: the registry or its token server.
        server: String,
        /// As whom it had been asked.
        login: Login,
        /// What else it said.
        said: Option<String>,
    },
    /// 403.
    #[error("`{server}` answered 403 {login}{}", behind_colon(.said.as_ref()))]
    Forbidden {
        /// Who said so.
        server: String,
        /// As whom it had been asked.
        login: Login,
        /// What else it said.
        said: Option<String>,
    },
    /// 404 or 410.
    #[error("`{server}` answered {status}: there is no such {what}{}", behind_colon(.said.as_ref()))]
    NotFound {
        /// Who said so.
        server: String,
        /// The status code.
        status: u16,
        /// `tag`, `manifest`, `blob`, `repository`, `upload` or `registry API`.
        what: &'static str,
        /// As whom it had been asked.
        login: Login,
        /// What else it said.
        said: Option<String>,
    },
    /// 429.
    #[error("`{server}` answered 429: too many requests{}", behind_colon(.said.as_ref()))]
    RateLimited {
        /// Who said so.
        server: String,
        /// What it asked for.
        retry_after: Option<Duration>,
        /// What else it said.
        said: Option<String>,
    },
    /// Any other status that is no success.
    #[error("`{server}` answered {status}{}", behind_colon(.said.as_ref()))]
    Status {
        /// Who said so.
        server: String,
        /// The status code.
        status: u16,
        /// What it asked for.
        retry_after: Option<Duration>,
        /// What else it said.
        said: Option<String>,
    },
    /// A token server that is not asked, whoever vouches for it: it cannot be reached over https.
    #[error("the registry wants a token from `{realm}`, which is not asked: {why}")]
    RealmDenied {
        /// The realm, without query.
        realm: String,
        /// Why not.
        why: &'static str,
    },
    /// A redirect that is not followed.
    #[error("`{server}` redirects to a place that is not followed: {why}")]
    RedirectDenied {
        /// Who redirected.
        server: String,
        /// Why not.
        why: String,
    },
    /// An upload that would go to a place where nothing is sent.
    #[error("`{server}` wants the upload at a place where nothing is sent: {why}")]
    LocationDenied {
        /// Who said so.
        server: String,
        /// Why not.
        why: String,
    },
    /// 416, or a chunk below the least size that the registry announced.
    #[error("`{server}` takes no chunk of {size} bytes{}", at_least(.least.as_ref()))]
    ChunkRefused {
        /// Who said so.
        server: String,
        /// The chunk's size.
        size: u64,
        /// The least size that the registry takes, where it says so.
        least: Option<u64>,
    },
    /// The registry says of what was sent that it is something else.
    #[error("`{server}` keeps something else than was sent: expected {expected}, found {found}")]
    StoredOther {
        /// Who said so.
        server: String,
        /// What was sent.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A blob that the registry has, and whose size it keeps to itself.
    #[error("`{server}` does not say how large the blob is")]
    UnknownSize {
        /// Who does not say so.
        server: String,
    },
    /// A manifest that no reader would take.
    #[error("expected a manifest of at most {limit} bytes, found {size}")]
    ManifestTooLarge {
        /// The most bytes that readers take.
        limit: usize,
        /// How many it has.
        size: usize,
    },
    /// A manifest whose blobs were stored elsewhere.
    #[error("expected the blobs of the manifest in `{expected}`, found them in `{found}`")]
    Elsewhere {
        /// Where the manifest was to go.
        expected: String,
        /// Where its blobs are.
        found: String,
    },
    /// Bytes with another digest than the one they were asked by.
    #[error("expected content with digest `{expected}`, found `{found}`")]
    DigestMismatch {
        /// What was asked for.
        expected: OciDigest,
        /// What came.
        found: String,
    },
    /// A type that is none of a plugin's.
    #[error("the {what} has media type `{found}`, which no plugin has")]
    MediaType {
        /// `document` or `layer`.
        what: &'static str,
        /// The media type found.
        found: String,
    },
    /// A document that is not of the expected form.
    #[error("the registry's document cannot be used: {what}")]
    Shape {
        /// What is wrong with it.
        what: String,
    },
    /// Something in a document's place that nobody has ever put there: a page, or nothing.
    #[error("expected {expected}, found {found}")]
    NoDocument {
        /// `a manifest` or `a token`.
        expected: &'static str,
        /// Its media type, in words.
        found: String,
    },
    /// A document that is not the JSON it must be.
    #[error("the registry's document is not a manifest")]
    Json {
        /// Where and why.
        source: serde_json::Error,
    },
    /// An index without a usable entry.
    #[error("expected an entry for `{wanted}` or `linux/amd64` in the index, found {found}")]
    NoPlatform {
        /// This machine.
        wanted: String,
        /// What is there, in words.
        found: String,
    },
    /// An image with several plugins, or none, and no folder selected.
    #[error("the image holds {count} plugins, and the reference selects none: {found}")]
    NoPluginPath {
        /// How many folders the annotation names.
        count: usize,
        /// The folders, in words.
        found: String,
    },
    /// An image whose folders nothing names, neither the reference nor the image.
    #[error(
        "the reference selects no folder, and the image {found} `{}` that would name it",
        crate::plugin_folders::PLUGINS_ANNOTATION
    )]
    NoPlugins {
        /// What is there in place of names.
        found: &'static str,
    },
    /// All places that have it are blocked in `registries.conf`.
    #[error("`registries.conf` blocks every place of it")]
    Blocked,
    /// A place of `registries.conf` that is none for this reference.
    #[error("`{place}` stands in for it, which is no reference")]
    Place {
        /// What came out.
        place: String,
    },
    /// None of several places has it.
    #[error("asked in vain at {missed}, and at last at `{place}`")]
    Nowhere {
        /// The first places and what came of them, in words.
        missed: String,
        /// The last one.
        place: String,
        /// What came of that.
        source: Box<Failure>,
        /// Whether another try may do better at any of them.
        is_transient: bool,
        /// What any of them asked for.
        retry_after: Option<Duration>,
    },
    /// `config.json` or a helper.
    #[error(transparent)]
    Credentials(CredentialsError),
    /// Any of the others, told in words that repeat a login or token.
    #[error("what the registry says repeats a login or token, and is not shown")]
    Concealed {
        /// The value of the log's `cause=` field.
        code: &'static str,
        /// Whether another try may do better.
        is_transient: bool,
    },
}

/// As whom a server was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// With the configured credentials.
    Given,
    /// Anonymously: none are configured, or it asked for none.
    None,
    /// Anonymously, because the token server is not one that may see them.
    Withheld {
        /// The token server's host.
        realm: String,
    },
    /// Anonymously, because the registry had redirected to another server.
    Redirected,
    /// Anonymously, because it is spoken to over plain http.
    InTheClear,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("to the credentials it was given"),
            Self::None => f.write_str("and was given no credentials"),
            Self::Redirected => f.write_str("to the link that the registry gave"),
            Self::InTheClear => f.write_str("to an anonymous request: no login is sent over plain http"),
            Self::Withheld { realm } => {
                write!(f, "to an anonymous request: its token server `{realm}` is not known to belong to it")
            }
        }
    }
}

impl Act {
    pub(crate) const fn writes(self) -> bool {
        match self {
            Self::Resolve | Self::OpenLayer | Self::LogIn => false,
            // The tag is looked up by somebody who is about to push.
            Self::LookUpTag | Self::PushBlob | Self::PushManifest => true,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve the manifest of",
            Self::OpenLayer => "open the layer of",
            Self::LogIn => "log in to",
            Self::LookUpTag => "look up the tag of",
            Self::PushBlob => "push a blob to",
            Self::PushManifest => "push the manifest of",
        })
    }
}

fn at_least(least: Option<&u64>) -> String {
    least.map_or_else(String::new, |least| format!(", but of {least} or more"))
}

fn behind_colon(said: Option<&String>) -> String {
    said.map_or_else(String::new, |said| format!(": {said}"))
}

impl OciError {
    /// About a reference that this registry was asked for.
    pub(crate) fn new(act: Act, reference: &OciReference, registry: &Authority, failure: Failure) -> Self {
        Self { act, subject: reference.to_string(), registry: registry.to_string(), no_login: None, failure }
    }

    pub(crate) fn about_registry(act: Act, registry: &Authority, failure: Failure) -> Self {
        Self { act, subject: registry.to_string(), registry: registry.to_string(), no_login: None, failure }
    }

    /// The same, where these logins were looked through in vain.
    pub(crate) fn looked_up_in(self, credentials: &Credentials, registry: &Authority) -> Self {
        Self { no_login: credentials.instead_of(registry), ..self }
    }

    /// Why.
    pub const fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The value of the log's `cause=` field.
    pub const fn cause(&self) -> &'static str {
        self.failure.code()
    }

    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        self.failure.blame()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = self.failure.hint(self.act, &self.subject, &self.registry)?;
        Some(match &self.no_login {
            Some(found) if self.failure.wants_login() => format!("{found}: {hint}"),
            _ => hint,
        })
    }
}

impl Failure {
    const fn blame(&self) -> Blame {
        match self {
            Failure::Transport(error) => blame_of(error.cause()),
            Failure::Nowhere { source, .. } => source.blame(),
            Failure::Elsewhere { .. } => Blame::Bug,
            Failure::Unauthorized { .. }
            | Failure::Forbidden { .. }
            | Failure::NotFound { .. }
            | Failure::RealmDenied { .. }
            | Failure::NoPluginPath { .. }
            | Failure::NoPlugins { .. }
            | Failure::Blocked
            | Failure::Place { .. }
            | Failure::ChunkRefused { .. }
            | Failure::Status { status: 405 | 413, .. }
            // It has understood what was asked for, and has a reason against it.
            | Failure::Status { status: 400..=407 | 409..=415 | 417..=499, said: Some(_), .. }
            | Failure::Credentials(_) => Blame::Operator,
            Failure::RateLimited { .. }
            | Failure::Status { .. }
            | Failure::Concealed { .. }
            | Failure::RedirectDenied { .. }
            | Failure::LocationDenied { .. }
            | Failure::StoredOther { .. }
            | Failure::UnknownSize { .. }
            | Failure::NoDocument { .. }
            | Failure::DigestMismatch { .. } => Blame::Network,
            Failure::ManifestTooLarge { .. }
            | Failure::MediaType { .. }
            | Failure::Shape { .. }
            | Failure::Json { .. }
            | Failure::NoPlatform { .. } => Blame::Publisher,
        }
    }
}

/// Whose move it is after an exchange without a usable answer, whatever it was for.
pub const fn blame_of(cause: Cause) -> Blame {
    match cause {
        Cause::Certificate(_) | Cause::Tls | Cause::NotTls | Cause::Proxy | Cause::ProxyLogin | Cause::Dns => {
            Blame::Operator
        }
        Cause::Content => Blame::Host,
        Cause::Connect
        | Cause::Timeout
        | Cause::Stalled
        | Cause::Reset
        | Cause::Truncated
        | Cause::Protocol
        | Cause::TooLarge { .. }
        | Cause::Deadline
        | Cause::Stopped => Blame::Network,
    }
}

impl Failure {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.cause().code(),
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::RateLimited { .. } => "rate_limited",
            Self::Status { status, .. } => {
                if *status == 408 {
                    "timeout"
                } else if matches!(status, 500..=599) {
                    "server_error"
                } else {
                    "protocol"
                }
            }
            Self::RealmDenied { .. } => "realm_denied",
            Self::RedirectDenied { .. } => "redirect_denied",
            Self::LocationDenied { .. } => "location_denied",
            Self::ChunkRefused { .. } => "chunk_refused",
            Self::StoredOther { .. } => "stored_other",
            Self::UnknownSize { .. } => "unknown_size",
            Self::ManifestTooLarge { .. } => "too_large",
            Self::Elsewhere { .. } => "elsewhere",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::MediaType { .. } => "media_type",
            Self::Shape { .. }
            | Self::NoDocument { .. }
            | Self::Json { .. }
            | Self::NoPlatform { .. }
            | Self::NoPluginPath { .. }
            | Self::NoPlugins { .. } => "shape",
            Self::Blocked => "blocked",
            Self::Place { .. } => "registries",
            Self::Nowhere { source, .. } => source.code(),
            Self::Credentials(_) => "credentials",
            Self::Concealed { code, .. } => code,
        }
    }

    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => error.cause().is_transient(),
            Self::RateLimited { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 500..=599),
            Self::Concealed { is_transient, .. } | Self::Nowhere { is_transient, .. } => *is_transient,
            _ => false,
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::Status { retry_after, .. }
            | Self::Nowhere { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether somebody was not let in who came without a login.
    fn wants_login(&self) -> bool {
        match self {
            Self::Unauthorized { login, .. } | Self::Forbidden { login, .. } => *login == Login::None,
            Self::Nowhere { source, .. } => source.wants_login(),
            _ => false,
        }
    }

    /// Whether another place may still have it. One that has it, and a reader who has no time left, decide for all; and
    /// a place that answers other bytes than were asked for is none to be passed over in silence.
    pub(crate) const fn may_be_missing_there(&self) -> bool {
        match self {
            Self::DigestMismatch { .. } | Self::NoPluginPath { .. } | Self::NoPlugins { .. } => false,
            Self::Transport(error) => !matches!(error.cause(), Cause::Deadline | Cause::Stopped),
            _ => true,
        }
    }

    /// What came of asking at several places.
    pub(crate) fn nowhere(missed: &[(String, Self)], place: String, last: Self) -> Self {
        if !last.may_be_missing_there() {
            return last;
        }
        let all = || missed.iter().map(|(_, why)| why).chain([&last]);
        let (is_transient, retry_after) = (all().any(Self::is_transient), all().filter_map(Self::retry_after).max());
        let missed = words::outcomes(missed.iter().map(|(place, why)| (place.as_str(), Chain(why))));
        Self::Nowhere { missed, place, source: Box::new(last), is_transient, retry_after }
    }

    /// Whether it says that the method is not known there; some servers and proxies know no `HEAD`.
    pub(crate) const fn is_about_method(&self) -> bool {
        matches!(self, Self::Status { status: 405 | 501, .. })
    }

    /// What is to be a JSON object, and is no JSON of any kind.
    pub(crate) fn no_document(expected: &'static str, body: &[u8], content_type: Option<&str>) -> Option<Self> {
        let found = match (body.trim_ascii_start(), content_type) {
            ([b'{', ..], _) => return None,
            ([], _) => "an empty answer".to_owned(),
            (_, None) => "an answer of no media type".to_owned(),
            (_, Some(content_type)) => format!("an answer of type `{}`", words::shown(content_type)),
        };
        Some(Self::NoDocument { expected, found })
    }

    pub(crate) fn malformed_redirect(server: &str, error: UrlError) -> Self {
        Self::RedirectDenied { server: server.to_owned(), why: error.to_string() }
    }
}

impl Retryable for OciError {
    fn is_transient(&self) -> bool {
        self.failure.is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after()
    }
}

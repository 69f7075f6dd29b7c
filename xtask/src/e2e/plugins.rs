//! The plugins that a portal is booted on: our own two, and published ones with what this host makes of them.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::installer::Wanted;
use super::market::{Entry, Market, Tag};
use super::portal::Portal;
use crate::fixtures;

/// `fixtures/plugins/hello-backend`, exported.
pub(super) const BACKEND: &str = "hello-backend-dynamic";
/// Where it answers.
pub(super) const PING: &str = "/api/hello/ping";
/// `fixtures/plugins/hello-frontend`, exported.
pub(super) const FRONTEND: &str = "hello-frontend-dynamic";
/// Where it is mounted.
pub(super) const ROUTE: &str = "/hello-frontend";
/// What it renders, and twice the spacing of the page's theme, with which it does.
pub(super) const MARKER: &str = "butler-hello-frontend";
pub(super) const PADDING: &str = "20px";

/// The packages of `fixtures/portal/plugins.toml`.
const LIST: &str = "fixtures/portal/plugins.toml";
const PUBLISHED: [Published; 6] = [
    Published {
        package: "@veecode-platform/backstage-plugin-about-backend-dynamic",
        via: Via::Registry("about-backend"),
        config: None,
        becomes: Becomes::Answering("/api/about/info", |body| body["nodeJsVersion"].is_string()),
    },
    Published {
        package: "@veecode-platform/backstage-plugin-kong-service-manager-backend-dynamic",
        via: Via::Server,
        config: Some("{ kong: { instances: [{ id: butler, apiBaseUrl: 'http://127.0.0.1:9' }] } }"),
        // What it was configured with, as nothing else could know it.
        becomes: Becomes::Answering("/api/kong-service-manager-backend/instances", |body| body[0]["id"] == "butler"),
    },
    Published {
        package: "@veecode-platform/plugin-veecode-homepage-dynamic",
        via: Via::Registry("homepage"),
        config: None,
        becomes: Becomes::Remote,
    },
    // The three others are for older or larger hosts. What they say against this one shows that all of theirs is there.
    Published {
        package: "@janus-idp/backstage-scaffolder-backend-module-regex-dynamic",
        via: Via::Registry("scaffolder-regex"),
        config: None,
        becomes: Becomes::Idle(&[
            "Module scaffolder-backend-regexp",
            "init.deps.scaffolder, expected a service reference",
        ]),
    },
    Published {
        package: "@janus-idp/backstage-scaffolder-backend-module-servicenow-dynamic",
        via: Via::Server,
        config: None,
        becomes: Becomes::Refused("the module should either export a 'BackendFeature'"),
    },
    Published {
        package: "@pfeifferj/backstage-scaffolder-backend-module-kubernetes-deploy-dynamic",
        via: Via::Server,
        config: None,
        becomes: Becomes::Refused("Cannot find module '@backstage/plugin-scaffolder-backend'"),
    },
];

/// A package that others have published.
struct Published {
    package: &'static str,
    via: Via,
    config: Option<&'static str>,
    becomes: Becomes,
}

/// Where the installer finds it.
enum Via {
    /// In this repository, pushed by our publisher.
    Registry(&'static str),
    /// As a file.
    Server,
}

/// What this host makes of it.
#[derive(Clone, Copy)]
enum Becomes {
    /// A guest gets this at its route.
    Answering(&'static str, fn(&Value) -> bool),
    /// A frontend that a browser can load.
    Remote,
    /// The host loads it, and it does not start there: these words are in the log.
    Idle(&'static [&'static str]),
    /// The host does not load it, and says this of it.
    Refused(&'static str),
}

/// One that can be installed.
pub(super) struct Offered {
    pub(super) package: &'static str,
    pub(super) entry: Entry,
    config: Option<&'static str>,
    becomes: Becomes,
}

/// Brings the published packages, and offers them in the market.
pub(super) fn offer(market: &Market) -> anyhow::Result<Vec<Offered>> {
    let tarballs = fixtures::tarballs(LIST)?;
    ensure!(
        tarballs.len() == PUBLISHED.len(),
        "expected {} packages in `{LIST}`, found {}",
        PUBLISHED.len(),
        tarballs.len()
    );
    let offer = |Published { package, via, config, becomes }: Published| {
        let listed = tarballs.iter().find(|tarball| tarball.plugin.name == package);
        let tarball = listed.with_context(|| format!("expected `{package}` in `{LIST}`"))?;
        let entry = match via {
            Via::Registry(name) => {
                let entry = market.push(&tarball.path, &format!("{name}:{}", tarball.plugin.version), Tag::Keep)?;
                let expected = tarball.plugin.integrity.to_string();
                ensure!(entry.integrity == expected, "expected the bytes of `{package}` as they were, found {entry:?}");
                entry
            }
            Via::Server => market.serve(&tarball.path, &tarball.plugin.integrity)?,
        };
        Ok(Offered { package, entry, config, becomes })
    };
    PUBLISHED.into_iter().map(offer).collect()
}

impl<'a> From<&'a Offered> for Wanted<'a> {
    fn from(offered: &'a Offered) -> Self {
        Self { entry: &offered.entry, config: offered.config }
    }
}

impl Offered {
    /// Whether it is a frontend.
    pub(super) const fn is_remote(&self) -> bool {
        matches!(self.becomes, Becomes::Remote)
    }

    /// Fails unless the portal makes of it what it should; says what that is.
    pub(super) fn expect(&self, portal: &Portal) -> anyhow::Result<String> {
        let package = self.package;
        let seen = portal.seen(package)?.with_context(|| format!("expected `{package}` among the plugins found"))?;
        let failure = match self.becomes {
            Becomes::Refused(_) => None,
            _ => seen.failure.as_ref(),
        };
        ensure!(failure.is_none(), "expected `{package}` to be loaded, found {failure:?}");
        match self.becomes {
            Becomes::Answering(path, is_right) => {
                let body = portal.get(path)?.json()?;
                ensure!(is_right(&body), "expected `{package}` to answer at `{path}`, found {body}");
                Ok(format!("answers at {path}"))
            }
            Becomes::Remote => Ok("is loaded".to_owned()),
            Becomes::Idle(words) => {
                portal.logged(words)?;
                Ok(format!("is loaded; does not start on this host: … {}", words.join(" … ")))
            }
            Becomes::Refused(why) => {
                let failure = seen.failure.unwrap_or_default();
                ensure!(failure.contains(why), "expected the host to say `{why}` of `{package}`, found `{failure}`");
                Ok(format!("is found; this host does not take it: … {why}"))
            }
        }
    }
}

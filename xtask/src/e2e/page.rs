//! The page in `fixtures/portal/page`: built, and tried with our frontend plugin as its author meant it and broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::string::FromUtf8Error;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use testkit::{HttpServer, Reply, Request, Tree};

use super::browser::{self, Page};
use super::plugins::{FRONTEND, MARKER, PADDING, ROUTE};
use super::portal::REMOTES;
use crate::{command, fixtures, workspace};

/// Says which sources the result was made from.
const MADE_FROM: &str = "made-from.txt";
/// As a Backstage backend sends it: the page must get along with it.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' https: 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; upgrade-insecure-requests";

/// What happens to the plugin's files on their way to the browser.
type Harm = fn(&str, Vec<u8>) -> Option<Vec<u8>>;

/// Makes sure that the page lies built in `e2e/page` of the target directory, and returns that folder.
pub(crate) fn build_page(target: &Path) -> anyhow::Result<PathBuf> {
    let sources = workspace::root().join("fixtures/portal/page");
    let tree = Tree::of(&sources).with_context(|| format!("could not list `{}`", sources.display()))?;
    let made_from = tree.lines().join("\n");
    let page = target.join("e2e/page");
    if fs::read_to_string(page.join(MADE_FROM)).is_ok_and(|text| text == made_from) {
        println!("kept       the page");
        return Ok(page);
    }
    let scratch = tempfile::tempdir().context("could not create a folder for the page")?;
    let work = scratch.path().join("page");
    command::copy_folder(&sources, &work)?;
    for step in [["ci"].as_slice(), &["run", "build"]] {
        command::run(Command::new("npm").args(step).current_dir(&work))?;
    }
    fs::create_dir_all(&page).with_context(|| format!("could not create `{}`", page.display()))?;
    command::copy_folder(&work.join("dist"), &page)?;
    fs::write(page.join(MADE_FROM), made_from).context("could not write down what the page was made from")?;
    Ok(page)
}

const UNHARMED: Harm = |_, bytes| Some(bytes);

/// Ways in which the plugin cannot be seen as it should.
const UNSEEN: [Unseen; 5] = [
    Unseen { name: "elsewhere", route: "/elsewhere", harm: UNHARMED, fate: Fate::Loaded },
    Unseen {
        name: "transparent",
        route: ROUTE,
        harm: |_, bytes| Some(replaced(bytes, "padding:", "opacity:0,padding:")),
        fate: Fate::Loaded,
    },
    // What the host shares has another name, so that the plugin falls back on its own: there are two themes.
    Unseen {
        name: "own-theme",
        route: ROUTE,
        harm: |_, bytes| Some(replaced(bytes, "@material-ui/", "@material-xx/")),
        fate: Fate::Loaded,
    },
    Unseen {
        name: "throwing",
        route: ROUTE,
        harm: |_, bytes| Some(replaced(bytes, ".spacing(", ".no_spacing(")),
        fate: Fate::Failed("no_spacing is not a function"),
    },
    Unseen {
        name: "no-entry",
        route: ROUTE,
        harm: |path, bytes| (path != "remoteEntry.js").then_some(bytes),
        fate: Fate::Failed("remoteEntry.js"),
    },
];

struct Unseen {
    name: &'static str,
    route: &'static str,
    harm: Harm,
    fate: Fate,
}

/// What becomes of the plugin.
enum Fate {
    Loaded,
    /// The error holds this.
    Failed(&'static str),
}

/// Shows that the page draws a plugin, and that it is noticed when it does not.
pub(super) fn run() -> anyhow::Result<()> {
    fixtures::run()?;
    let target = workspace::target()?;
    let page = build_page(&target)?;
    let visit = |name: &str, route: &str, harm: Harm| -> anyhow::Result<Page> {
        let server = serve(&page, harm)?;
        let screenshot = target.join(format!("e2e/page-{name}.png"));
        browser::visit(&server.url(&format!("/page/?route={route}")), &screenshot)
    };
    visit("seen", ROUTE, UNHARMED)?.expect_mounted(FRONTEND, MARKER, PADDING)?;
    println!("ok         seen: {}", target.join("e2e/page-seen.png").display());
    for Unseen { name, route, harm, fate } in UNSEEN {
        let page = visit(name, route, harm)?;
        match fate {
            Fate::Loaded => page.expect_loaded(FRONTEND)?,
            Fate::Failed(why) => page.expect_failed(FRONTEND, why)?,
        }
        let Err(noticed) = page.expect_mounted(FRONTEND, MARKER, PADDING) else {
            bail!("{name}: expected `{FRONTEND}` not to be seen");
        };
        println!("ok         {name}: {}", noticed.to_string().lines().next().unwrap_or_default());
    }
    Ok(())
}

fn replaced(bytes: Vec<u8>, this: &str, that: &str) -> Vec<u8> {
    String::from_utf8(bytes).map_or_else(FromUtf8Error::into_bytes, |text| text.replace(this, that).into_bytes())
}

/// Serves the page, the plugin, and the list of it, as a portal does.
fn serve(page: &Path, harm: Harm) -> anyhow::Result<HttpServer> {
    let plugin = workspace::fixtures().join("dist-dynamic/hello-frontend");
    let manifest = fs::read(plugin.join("dist/mf-manifest.json")).context("could not read the plugin's manifest")?;
    let manifest: Value = serde_json::from_slice(&manifest).context("the plugin's manifest is not JSON")?;
    let (page, dist) = (page.to_owned(), plugin.join("dist"));
    Ok(HttpServer::start(move |request| answer(request, &page, &dist, &manifest["name"], harm)))
}

fn answer(request: &Request, page: &Path, dist: &Path, name: &Value, harm: Harm) -> Reply {
    let of_remote = request.path.strip_prefix(REMOTES);
    if of_remote == Some("") {
        let entry = format!("{}{REMOTES}/{FRONTEND}/mf-manifest.json", request.origin);
        let remote = json!({ "name": name, "entry": entry });
        return Reply::ok().json(&json!([{ "packageName": FRONTEND, "remoteInfo": remote, "exposedModules": ["."] }]));
    }
    let content = match (of_remote, request.path.strip_prefix("/page/")) {
        (Some(path), _) => {
            let path = path.trim_start_matches('/').trim_start_matches(FRONTEND).trim_start_matches('/');
            fs::read(dist.join(path)).ok().and_then(|bytes| harm(path, bytes))
        }
        (None, Some(path)) => fs::read(page.join(if path.is_empty() { "index.html" } else { path })).ok(),
        (None, None) => None,
    };
    let kind = match Path::new(&request.path).extension().and_then(|extension| extension.to_str()) {
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        _ => "text/html",
    };
    content.map_or_else(
        || Reply::status(404),
        |bytes| {
            Reply::ok()
                .header("content-type", kind)
                .header("content-security-policy", POLICY)
                .body(Arc::<[u8]>::from(bytes))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_leaves_the_registry_to_the_client() {
        let lock = workspace::root().join("fixtures/portal/page/package-lock.json");
        let text = fs::read_to_string(lock).unwrap();
        assert_eq!(text.lines().find(|line| line.contains("resolved")), None);
    }
}

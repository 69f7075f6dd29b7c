//! What a person would see of the page in `fixtures/portal/page`, in a headless Chromium.

mod devtools;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use devtools::Chromium;

/// Start, page and picture together take seconds; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// Evaluated in the page: waits until it has settled, then says what there is of each remote.
const LOOK: &str = include_str!("browser/look.js");
/// How each PNG begins (PNG, third edition, section 5.2).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What has become of each of the portal's remotes.
#[derive(Debug)]
pub(crate) struct Page {
    remotes: Vec<Remote>,
}

#[derive(Debug)]
struct Remote {
    package: String,
    state: String,
    /// Each text that can be seen of it; of a failed one the error.
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    text: String,
    /// Of the element that the text is in, such as `20px`.
    padding: String,
}

/// Visits the page, waits until it has done with each remote, and keeps a picture of it.
pub(crate) fn visit(url: &str, screenshot: &Path) -> anyhow::Result<Page> {
    let mut chromium = Chromium::start(PATIENCE)?;
    look(&mut chromium, url, screenshot)
        .map_err(|error| anyhow!("could not look at `{url}`: {error:#}{}", chromium.last_words()))
}

fn look(chromium: &mut Chromium, url: &str, screenshot: &Path) -> anyhow::Result<Page> {
    let tab = chromium.open_tab()?;
    chromium.call(&tab, "Page.enable", &json!({}))?;
    chromium.call(&tab, "Page.setLifecycleEventsEnabled", &json!({ "enabled": true }))?;
    let visited = chromium.call(&tab, "Page.navigate", &json!({ "url": url }))?;
    if let Some(error) = visited["errorText"].as_str() {
        bail!("{error}");
    }
    let is_loaded = |event: &Value| event["name"] == "load" && event["loaderId"] == visited["loaderId"];
    chromium.wait_for("Page.lifecycleEvent", is_loaded)?;
    let expression = json!({ "expression": LOOK, "awaitPromise": true, "returnByValue": true });
    let seen = chromium.call(&tab, "Runtime.evaluate", &expression)?;
    if let Some(error) = seen["exceptionDetails"]["exception"]["description"].as_str() {
        bail!("{error}");
    }
    let page = Page::read(&seen["result"]["value"])?;
    let picture = chromium.call(&tab, "Page.captureScreenshot", &json!({ "captureBeyondViewport": true }))?;
    keep(&picture, screenshot)?;
    Ok(page)
}

fn keep(picture: &Value, at: &Path) -> anyhow::Result<()> {
    let picture = picture["data"].as_str().context("chromium sent no picture")?;
    let picture = Base64::decode_vec(picture).context("could not decode the picture")?;
    ensure!(picture.starts_with(PNG), "expected a PNG of the page, found {} other bytes", picture.len());
    fs::write(at, picture).with_context(|| format!("could not write `{}`", at.display()))
}

impl Page {
    /// Fails unless the remote of this package was loaded, whether or not something of it is mounted.
    pub(crate) fn expect_loaded(&self, package: &str) -> anyhow::Result<()> {
        let remote = self.remote(package)?;
        ensure!(
            ["loaded", "mounted"].contains(&remote.state.as_str()),
            "expected `{package}` to be loaded, found {}",
            remote.shown()
        );
        Ok(())
    }

    /// Fails unless something of this package is mounted, and this text in it can be seen, in an element with this
    /// padding: where it is a multiple of the host's spacing, the plugin has the host's theme.
    pub(crate) fn expect_mounted(&self, package: &str, text: &str, padding: &str) -> anyhow::Result<()> {
        let remote = self.remote(package)?;
        let is_there = |seen: &Text| seen.text.contains(text) && seen.padding == padding;
        ensure!(
            remote.state == "mounted" && remote.texts.iter().any(is_there),
            "expected `{text}` of `{package}` to be seen with a padding of {padding}, found {}",
            remote.shown()
        );
        Ok(())
    }

    /// Fails unless the remote of this package could not be loaded or drawn, with this in its error.
    pub(crate) fn expect_failed(&self, package: &str, why: &str) -> anyhow::Result<()> {
        let remote = self.remote(package)?;
        ensure!(
            remote.state == "failed" && remote.texts.iter().any(|seen| seen.text.contains(why)),
            "expected `{package}` to fail with `{why}`, found {}",
            remote.shown()
        );
        Ok(())
    }

    fn remote(&self, package: &str) -> anyhow::Result<&Remote> {
        let listed = || self.remotes.iter().map(|remote| remote.package.as_str()).collect::<Vec<_>>().join("`, `");
        self.remotes
            .iter()
            .find(|remote| remote.package == package)
            .with_context(|| format!("expected a remote of `{package}`, found `{}`", listed()))
    }

    fn read(seen: &Value) -> anyhow::Result<Self> {
        let remotes = seen.as_array().context("the page told no list of remotes")?;
        Ok(Self { remotes: remotes.iter().map(Remote::read).collect::<Option<_>>().context("a remote is not whole")? })
    }
}

impl Remote {
    fn read(seen: &Value) -> Option<Self> {
        let string = |of: &Value, key: &str| of[key].as_str().map(str::to_owned);
        let text = |seen: &Value| Some(Text { text: string(seen, "text")?, padding: string(seen, "padding")? });
        Some(Self {
            package: string(seen, "package")?,
            state: string(seen, "state")?,
            texts: seen["texts"].as_array()?.iter().map(text).collect::<Option<_>>()?,
        })
    }

    fn shown(&self) -> String {
        let texts: Vec<_> = self.texts.iter().map(|Text { text, padding }| format!("`{text}` ({padding})")).collect();
        let texts = if texts.is_empty() { "no text".to_owned() } else { texts.join(", ") };
        format!("it {} with {texts}", self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(state: &str, text: &str, padding: &str) -> Page {
        let texts = json!([{ "text": text, "padding": padding }]);
        Page::read(&json!([{ "package": "hello", "state": state, "texts": texts }])).unwrap()
    }

    #[test]
    fn a_text_that_is_seen_in_the_hosts_theme_is_mounted() {
        page("mounted", "say hello", "20px").expect_mounted("hello", "hello", "20px").unwrap();
    }

    #[test]
    fn another_state_text_or_padding_is_told() {
        for (state, text, padding) in
            [("loaded", "hello", "20px"), ("mounted", "bye", "20px"), ("mounted", "hello", "16px")]
        {
            let error = page(state, text, padding).expect_mounted("hello", "hello", "20px").unwrap_err();
            let found = format!("found it {state} with `{text}` ({padding})");
            assert!(error.to_string().ends_with(&found), "{error}");
        }
    }

    #[test]
    fn a_failed_remote_is_not_loaded_and_its_error_is_told() {
        let page = page("failed", "no entry", "0px");
        assert!(page.expect_loaded("hello").unwrap_err().to_string().contains("failed with `no entry`"));
        page.expect_failed("hello", "entry").unwrap();
        assert!(page.expect_failed("hello", "other").is_err());
    }

    #[test]
    fn a_remote_that_is_not_listed_is_told_with_those_that_are() {
        let error = page("loaded", "", "0px").expect_loaded("other").unwrap_err();
        assert_eq!(error.to_string(), "expected a remote of `other`, found `hello`");
    }

    #[test]
    fn what_is_no_picture_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("x.png");
        assert!(keep(&json!({ "data": "aGVsbG8=" }), &at).is_err());
        assert!(!at.exists());
    }
}

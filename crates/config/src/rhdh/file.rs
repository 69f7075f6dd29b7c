//! One file, as it is written: nothing is resolved, nothing replaces anything.

use std::sync::Arc;

use source::{Prefix, SourcePolicy, redact};

use super::place::{Place, Text, Written};
use crate::butler::decode;
use crate::fields::{Fields, Reader, nearest};
use crate::load::{Reading, load};
use crate::node::Node;
use crate::problem::Fault;
use crate::{Fragment, Problems, Warning};

/// The keys of a file.
pub(crate) const FILE_KEYS: [&str; 3] = ["includes", "plugins", "allowedSources"];
/// Those of an entry of `plugins`. `dependencies` is for RHDH's operator, and says nothing to an installer.
pub(crate) const ENTRY_KEYS: [&str; 8] =
    ["package", "integrity", "enabled", "disabled", "pullPolicy", "forceDownload", "dependencies", "pluginConfig"];
/// The keys below which a chart's values file has what the chart makes the file of.
const BLOCK: [&str; 2] = ["global", "dynamic"];

/// What a file says.
#[derive(Debug)]
#[non_exhaustive]
pub struct File {
    /// `includes`.
    pub includes: Vec<Written<String>>,
    /// `allowedSources`; nothing where the key is absent.
    pub policy: Option<Written<SourcePolicy>>,
    /// `plugins`.
    pub plugins: Vec<RawEntry>,
    /// What was read otherwise than it is written, or not at all.
    pub warnings: Vec<Warning>,
}

/// One of `plugins`. What is `None` was not written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RawEntry {
    /// Where the entry starts.
    pub place: Place,
    /// `package`, which may be of a form that only several files together give a meaning.
    pub package: Written<String>,
    /// `integrity`.
    pub integrity: Option<Written<String>>,
    /// `enabled`.
    pub enabled: Option<Written<bool>>,
    /// `disabled`.
    pub disabled: Option<Written<bool>>,
    /// `pullPolicy`.
    pub pull_policy: Option<Written<PullPolicy>>,
    /// `forceDownload`.
    pub force_download: Option<Written<bool>>,
    /// `pluginConfig`.
    pub plugin_config: Option<Fragment>,
}

/// When a plugin that is installed is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Not while the entry stays the same.
    IfNotPresent,
    /// In every run.
    Always,
}

/// Reads a file; nothing for an empty one. `name` is what people know it by. A values file is told by its `global.dynamic`;
/// keys outside of that block mean nothing.
///
/// # Errors
/// Everything that is wrong with the file, except for what `package` and `integrity` say.
pub fn read(bytes: &[u8], name: &str) -> Result<Option<File>, Problems> {
    match read_in_part(bytes, name) {
        (file, None) => Ok(file),
        (_, Some(problems)) => Err(problems),
    }
}

/// Reads what there is of a file, and what is wrong with the rest.
pub(super) fn read_in_part(bytes: &[u8], name: &str) -> (Option<File>, Option<Problems>) {
    let name: Arc<str> = name.into();
    let in_file = |problems: Problems| Some(problems.in_file(&name));
    let content = match decode(bytes) {
        Ok(content) => content.to_owned(),
        Err(problems) => return (None, in_file(problems)),
    };
    let loaded = match load(&content, Reading::Expanded) {
        Ok(loaded) => loaded,
        Err(faults) => return (None, in_file(Problems::of(faults, &content))),
    };
    let text = Arc::new(Text { name: Arc::clone(&name), content });

    let mut reader = Reader { faults: loaded.faults, warnings: loaded.warnings };
    let file = loaded.root.map(block).filter(|root| !root.is_null()).map(|root| reader.rhdh_file(root, &text));
    let Reader { mut faults, mut warnings } = reader;
    Fault::once(&mut faults);
    Fault::once(&mut warnings);
    let problems = if faults.is_empty() { None } else { in_file(Problems::of(faults, &text.content)) };
    let warnings = Warning::of(warnings, &text.content, &name);
    (file.map(|file| File { warnings, ..file }), problems)
}

/// The block of a values file, where that is one.
fn block(root: Node) -> Node {
    let block = BLOCK.iter().try_fold(&root, |node, key| node.value_of(key)).cloned();
    block.unwrap_or(root)
}

impl Reader {
    fn rhdh_file(&mut self, root: Node, text: &Arc<Text>) -> File {
        let mut fields = self.lenient_fields("the file", root, &FILE_KEYS);
        let includes = fields.take("includes").map(|node| self.list("`includes`", node)).unwrap_or_default();
        let plugins = fields.take("plugins").map(|node| self.list("`plugins`", node)).unwrap_or_default();
        File {
            includes: includes
                .into_iter()
                .filter_map(|node| self.written_text("an entry of `includes`", node, text))
                .collect(),
            policy: self
                .policy(&mut fields, Prefix::parse_rhdh)
                .map(|(value, span)| Written { value, place: Place::of(text, span.start()) }),
            plugins: plugins.into_iter().filter_map(|node| self.raw_entry(node, text)).collect(),
            warnings: Vec::new(),
        }
    }

    fn raw_entry(&mut self, node: Node, text: &Arc<Text>) -> Option<RawEntry> {
        let span = node.span.start();
        let is_mapping = node.kind() == "a mapping";
        let mut fields = self.lenient_fields("an entry of `plugins`", node, &ENTRY_KEYS);
        let package = match fields.take("package") {
            Some(node) => self.written_text("`package`", node, text),
            None if is_mapping => {
                let fault = Fault::new(span, "expected `package` in the entry, found none");
                self.fault(fault.hint("add `package`, or remove the entry"));
                None
            }
            None => None,
        };
        let integrity =
            self.present(&mut fields, "integrity").and_then(|node| self.written_text("`integrity`", node, text));
        let enabled = self.written_boolean(&mut fields, "enabled", text);
        let disabled = self.written_boolean(&mut fields, "disabled", text);
        let pull_policy = self.present(&mut fields, "pullPolicy").and_then(|node| self.pull_policy(&node, text));
        let force_download = self.written_boolean(&mut fields, "forceDownload", text);
        let plugin_config =
            self.present(&mut fields, "pluginConfig").and_then(|node| Fragment::read_lenient(self, node, &text.name));
        Some(RawEntry {
            place: Place::of(text, span),
            package: package?,
            integrity,
            enabled,
            disabled,
            pull_policy,
            force_download,
            plugin_config,
        })
    }

    /// The value of a key. A key without one counts as absent, which its author may not have meant.
    fn present(&mut self, fields: &mut Fields, key: &str) -> Option<Node> {
        let node = fields.take_even_null(key)?;
        if node.is_null() {
            let message = format!("`{key}` has no value and counts as absent");
            self.warning(Fault::new(node.span, message).hint("give it a value, or remove the key"));
            return None;
        }
        Some(node)
    }

    fn written_text(&mut self, what: &str, node: Node, text: &Arc<Text>) -> Option<Written<String>> {
        let place = Place::of(text, node.span);
        self.text(what, node).map(|value| Written { value, place })
    }

    fn written_boolean(&mut self, fields: &mut Fields, key: &str, text: &Arc<Text>) -> Option<Written<bool>> {
        let node = self.present(fields, key)?;
        let value = self.lenient_boolean(key, &node)?;
        Some(Written { value, place: Place::of(text, node.span) })
    }

    /// A word that is not known must not come to mean one of the two.
    fn pull_policy(&mut self, node: &Node, text: &Arc<Text>) -> Option<Written<PullPolicy>> {
        let Some(word) = node.as_text() else {
            self.wrong_type("`pullPolicy`", "a string", node);
            return None;
        };
        let value = match word {
            "IfNotPresent" => PullPolicy::IfNotPresent,
            "Always" => PullPolicy::Always,
            _ => {
                let message = format!("expected `IfNotPresent` or `Always` for `pullPolicy`, found `{}`", redact(word));
                let hint = match nearest(word, &["IfNotPresent", "Always"]) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => "write one of the two, or remove the key".to_owned(),
                };
                self.fault(Fault::new(node.span, message).hint(hint));
                return None;
            }
        };
        Some(Written { value, place: Place::of(text, node.span) })
    }
}

//! The butler dialect: `dynamic-plugins.yaml`, and the `dynamicPlugins` block of a Helm values file.

use std::collections::HashMap;

use integrity::Integrity;
use source::{Prefix, PrefixError, Source, SourcePolicy, redact};

use crate::fields::{Fields, Reader};
use crate::load::{Loaded, Reading, load};
use crate::node::{Node, Position, Span, Value};
use crate::plan::{Dialect, Entry, EntryError, Form, Listed, OnReject, Place, Plan};
use crate::problem::Fault;
use crate::{Fragment, Problems};

/// Bytes of a file.
pub const MAX_CONFIG_BYTES: usize = 4 * 1024 * 1024;

/// The key that makes a file a values file.
pub(crate) const BLOCK: &str = "dynamicPlugins";

/// The keys of a file.
pub(crate) const FILE_KEYS: [&str; 4] = ["continueOnError", "allowedSources", "plugins", BLOCK];
/// Those of a values file's block.
pub(crate) const BLOCK_KEYS: [&str; 5] = ["enabled", "rootDirectory", "allowedSources", "installer", "plugins"];
/// Those of `installer` in it.
pub(crate) const INSTALLER_KEYS: [&str; 4] = ["image", "tag", "pullPolicy", "continueOnError"];
/// Those of an entry of `plugins`.
pub(crate) const ENTRY_KEYS: [&str; 4] = ["package", "integrity", "disabled", "pluginConfig"];

/// What an entry of `allowedSources` means, which is the dialect's to say.
pub(crate) type ParsePrefix = fn(&str) -> Result<Prefix, PrefixError>;

/// Reads a file. A values file is told by its top-level key `dynamicPlugins`; whatever stands outside that block is
/// ignored, aliases and duplicates included.
///
/// # Errors
/// Everything that is wrong with the file. What is wrong with a single entry's source or integrity is not: the entry
/// is rejected by [`Wanted::admit`](crate::Wanted::admit).
pub fn parse(bytes: &[u8]) -> Result<Plan, Problems> {
    let Listing { policy, on_reject, entries, form } = list(decode(bytes)?)?;
    let entries = match form {
        Form::HelmValues { enabled: false, .. } => Vec::new(),
        Form::HelmValues { .. } | Form::DynamicPlugins => entries.into_iter().map(Entry::from).collect(),
    };
    Ok(Plan { policy, on_reject, entries, form, dialect: Dialect::Butler })
}

/// What a file says, whether or not it is switched on.
pub(crate) struct Listing {
    pub(crate) policy: SourcePolicy,
    on_reject: OnReject,
    pub(crate) entries: Vec<Listed>,
    form: Form,
}

/// Reads a text that was decoded.
pub(crate) fn list(text: &str) -> Result<Listing, Problems> {
    let problems = |faults| Problems::of(faults, text);
    let loaded = load(text, Reading::Plain).map_err(problems)?;
    let mut reader = Reader::default();
    let listing = reader.file(loaded);
    if reader.faults.is_empty() { Ok(listing) } else { Err(problems(reader.faults)) }
}

/// The text of a file, without its byte order mark.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, Problems> {
    if bytes.len() > MAX_CONFIG_BYTES {
        let message = format!("expected at most {MAX_CONFIG_BYTES} bytes, found {}", bytes.len());
        return Err(Problems::of(vec![Fault::new(Span::behind(""), message)], ""));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
            let fault =
                Fault::new(Span::behind(valid.unwrap_or_default()), "not valid UTF-8").hint("save the file as UTF-8");
            return Err(Problems::of(vec![fault], ""));
        }
    };
    match text.find(|c| !is_printable(c)) {
        None => Ok(text),
        Some(at) => {
            let fault = Fault::new(Span::behind(&text[..at]), "a control character stands in the file")
                .hint("remove it, or write it as an escape in double quotes");
            Err(Problems::of(vec![fault], text))
        }
    }
}

/// What YAML lets stand in a file (YAML 1.2.2, section 5.1).
fn is_printable(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        c => !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'),
    }
}

impl Reader {
    fn file(&mut self, loaded: Loaded) -> Listing {
        let Loaded { mut root, faults, .. } = loaded;
        let mut blocks: Vec<_> = match &mut root {
            Some(Node { value: Value::Mapping(entries), .. }) => {
                entries.extract_if(.., |(key, _)| key.as_text() == Some(BLOCK)).collect()
            }
            _ => Vec::new(),
        };
        let Some((key, block)) = blocks.pop() else {
            self.faults.extend(faults);
            return self.dynamic_plugins(root);
        };
        self.faults.extend(faults.into_iter().filter(|fault| block.span.covers(&fault.span)));
        if let Some((first, _)) = blocks.first() {
            let hint = format!("it is set already in line {}; keep one", first.span.position.line);
            self.fault(Fault::new(key.span, format!("duplicate key `{BLOCK}`")).hint(hint));
        }
        self.values_block(block)
    }

    fn dynamic_plugins(&mut self, root: Option<Node>) -> Listing {
        let mut fields = match root.filter(|root| !root.is_null()) {
            Some(root) => self.fields("the file", root, &FILE_KEYS),
            None => Fields::default(),
        };
        Listing {
            policy: self.policy(&mut fields, Prefix::parse).map_or_else(SourcePolicy::permissive, |(policy, _)| policy),
            on_reject: self.on_reject(&mut fields),
            entries: self.plugins(&mut fields),
            form: Form::DynamicPlugins,
        }
    }

    fn values_block(&mut self, block: Node) -> Listing {
        let mut fields = self.fields("`dynamicPlugins`", block, &BLOCK_KEYS);
        let enabled = fields.take("enabled").and_then(|node| self.boolean("`enabled`", &node)).unwrap_or(true);
        let root = fields.take("rootDirectory").and_then(|node| self.text("`rootDirectory`", node));
        let mut installer = match fields.take("installer") {
            Some(node) => self.fields("`installer`", node, &INSTALLER_KEYS),
            None => Fields::default(),
        };
        for key in ["image", "tag", "pullPolicy"] {
            if let Some(node) = installer.take(key) {
                self.text(&format!("`{key}`"), node);
            }
        }
        let policy =
            self.policy(&mut fields, Prefix::parse).map_or_else(SourcePolicy::permissive, |(policy, _)| policy);
        let on_reject = self.on_reject(&mut installer);
        let entries = self.plugins(&mut fields);
        Listing { policy, on_reject, entries, form: Form::HelmValues { enabled, root } }
    }

    fn on_reject(&mut self, fields: &mut Fields) -> OnReject {
        match fields.take("continueOnError").and_then(|node| self.boolean("`continueOnError`", &node)) {
            Some(true) => OnReject::Continue,
            Some(false) | None => OnReject::Abort,
        }
    }

    /// A key without a value does not count as absent: it may be a list whose lines were lost, and must not mean "all".
    pub(crate) fn policy(&mut self, fields: &mut Fields, parse: ParsePrefix) -> Option<(SourcePolicy, Span)> {
        let node = fields.take_even_null("allowedSources")?;
        if node.is_null() {
            let fault = Fault::new(node.span, "expected a list for `allowedSources`, found nothing");
            self.fault(fault.hint("list what is allowed; to allow every source on purpose, write []"));
            return None;
        }
        let span = node.span;
        let entries = self.list("`allowedSources`", node);
        Some((SourcePolicy::of(entries.into_iter().filter_map(|entry| self.prefix(entry, parse)).collect()), span))
    }

    fn prefix(&mut self, entry: Node, parse: ParsePrefix) -> Option<Prefix> {
        let span = entry.span;
        let text = self.text("an entry of `allowedSources`", entry)?;
        match parse(&text) {
            Ok(prefix) => Some(prefix),
            Err(error) => {
                let fault = Fault::new(span, error.to_string());
                self.fault(match error.hint() {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                });
                None
            }
        }
    }

    fn plugins(&mut self, fields: &mut Fields) -> Vec<Listed> {
        let Some(node) = fields.take("plugins") else { return Vec::new() };
        let mut seen = HashMap::new();
        self.list("`plugins`", node).into_iter().map(|node| self.entry(node, &mut seen)).collect()
    }

    fn entry(&mut self, node: Node, seen: &mut HashMap<Source, Position>) -> Listed {
        let entry_span = node.span;
        let position = entry_span.position;
        let mut fields = self.fields("an entry of `plugins`", node, &ENTRY_KEYS);
        let mut place = Place::of(entry_span);
        let written = fields.take("package").and_then(|node| {
            place.package = node.span;
            self.text("`package`", node)
        });
        let written = written.unwrap_or_default();
        let integrity = fields.take("integrity").and_then(|node| {
            place.integrity = node.span;
            self.text("`integrity`", node)
        });
        let disabled = fields.take("disabled").and_then(|node| self.boolean("`disabled`", &node)).unwrap_or(false);
        let plugin_config = fields.take("pluginConfig").and_then(|node| Fragment::read(self, node));

        let source = match written.as_str() {
            "" => Err(EntryError::PackageMissing),
            text => Source::parse(text).map_err(EntryError::from),
        };
        let package = source.as_ref().map_or_else(|_| redact(&written), Source::to_string);
        let integrity = match integrity.unwrap_or_default().as_str() {
            "" => Err(EntryError::IntegrityMissing),
            text => Integrity::parse(text).map_err(EntryError::from),
        };
        let wanted = source.as_ref().ok().filter(|_| !disabled);
        let duplicate_of = wanted.and_then(|source| seen.get(source).copied());
        if let (Some(source), None) = (wanted, duplicate_of) {
            seen.insert(source.clone(), position);
        }
        Listed { package, place, disabled, source, integrity, duplicate_of, plugin_config }
    }
}

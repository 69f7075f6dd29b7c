//! The pieces of app-config that plugins bring, as one.

use std::collections::HashMap;

use integrity::Blame;

use crate::node::{Node, Position, Value};
use crate::{Fragment, emit};

/// The merged app-config of all plugins that are installed.
#[derive(Debug, Default)]
pub struct AppConfig {
    plugins: Vec<String>,
    root: Branch,
}

/// A mapping in the order its keys first came.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    entries: Vec<(String, Setting)>,
    index: HashMap<String, usize>,
}

/// A value and who set it first.
#[derive(Debug)]
struct Setting {
    plugin: usize,
    position: Position,
    value: Merged,
}

#[derive(Debug)]
pub(crate) enum Merged {
    Leaf(Node),
    Branch(Branch),
}

/// Two plugins set one key differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `{key}` as `{first}` sets it in line {}, found another value in line {}", first_position.line, position.line)]
#[non_exhaustive]
pub struct Conflict {
    /// The key, with the keys above it, dotted.
    pub key: String,
    /// The plugin that set it first.
    pub first: String,
    /// Where it did.
    pub first_position: Position,
    /// The plugin that would set it differently.
    pub second: String,
    /// Where it would.
    pub position: Position,
}

impl Conflict {
    /// The reason code of the audit log.
    pub const fn reason(&self) -> &'static str {
        "plugin_config_conflict"
    }

    /// Whose move it is: both values stand in the operator's file.
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        format!(
            "set `{}` alike at {} and {}, or in one of the two entries only",
            self.key, self.first_position, self.position
        )
    }
}

impl AppConfig {
    /// Adds a plugin's piece. Mappings grow together; anything else must be equal where it is set twice, lists too.
    ///
    /// # Errors
    /// [`Conflict`] when two plugins differ; nothing has changed then.
    pub fn merge(&mut self, plugin: &str, fragment: Fragment) -> Result<(), Conflict> {
        if let Some(clash) = self.root.clash(fragment.entries()) {
            return Err(Conflict {
                key: clash.path.into_iter().rev().collect::<Vec<_>>().join("."),
                first: self.plugins[clash.plugin].clone(),
                first_position: clash.first_position,
                second: plugin.to_owned(),
                position: clash.position,
            });
        }
        self.root.grow(self.plugins.len(), fragment.into_entries());
        self.plugins.push(plugin.to_owned());
        Ok(())
    }

    /// Whether no plugin set anything.
    pub fn is_empty(&self) -> bool {
        self.root.entries.is_empty()
    }

    /// The file's text: a comment that says who wrote it, then YAML that 1.1 and 1.2 readers read alike.
    pub fn to_yaml(&self) -> String {
        emit::document(&self.root)
    }
}

struct Clash<'a> {
    /// Innermost key first.
    path: Vec<&'a str>,
    plugin: usize,
    first_position: Position,
    position: Position,
}

impl Branch {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Merged)> {
        self.entries.iter().map(|(key, setting)| (key.as_str(), &setting.value))
    }

    fn clash<'a>(&self, entries: &'a [(Node, Node)]) -> Option<Clash<'a>> {
        entries.iter().find_map(|(key, value)| {
            let text = key.as_text()?;
            let setting = &self.entries[*self.index.get(text)?].1;
            match (&setting.value, &value.value) {
                (Merged::Branch(branch), Value::Mapping(entries)) => branch.clash(entries).map(|mut clash| {
                    clash.path.push(text);
                    clash
                }),
                (Merged::Leaf(first), _) if first.equals(value) => None,
                _ => Some(Clash {
                    path: vec![text],
                    plugin: setting.plugin,
                    first_position: setting.position,
                    position: key.span.position,
                }),
            }
        })
    }

    /// Adds what [`clash`](Self::clash) found nothing against.
    fn grow(&mut self, plugin: usize, entries: Vec<(Node, Node)>) {
        for (key, value) in entries {
            let Some(text) = key.as_text() else { continue };
            let slot = match self.index.get(text) {
                Some(&slot) => slot,
                None => self.append(plugin, text, key.span.position, &value),
            };
            if let (Merged::Branch(branch), Value::Mapping(entries)) = (&mut self.entries[slot].1.value, value.value) {
                branch.grow(plugin, entries);
            }
        }
    }

    fn append(&mut self, plugin: usize, key: &str, position: Position, value: &Node) -> usize {
        let value = match &value.value {
            Value::Mapping(_) => Merged::Branch(Self::default()),
            _ => Merged::Leaf(value.clone()),
        };
        let slot = self.entries.len();
        self.entries.push((key.to_owned(), Setting { plugin, position, value }));
        self.index.insert(key.to_owned(), slot);
        slot
    }
}

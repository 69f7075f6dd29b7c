//! The pieces of app-config that plugins bring, as one.

use std::collections::HashMap;
use std::sync::Arc;

use integrity::Blame;

use crate::node::{Location, Node, Position, Span, Value};
use crate::scalar::Scalar;
use crate::{Fragment, emit};

/// The merged app-config of all plugins that are installed.
#[derive(Debug, Default)]
pub struct AppConfig {
    setters: Vec<Setter>,
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
    setter: usize,
    position: Position,
    value: Merged,
}

#[derive(Debug)]
enum Setter {
    Installer,
    Plugin { name: String, file: Option<Arc<str>> },
}

#[derive(Debug)]
pub(crate) enum Merged {
    Leaf(Node),
    Branch(Branch),
}

/// Two plugins set one key differently, or a plugin and the installer itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `{key}` as {}, found another value in {}", self.said_first(), at.line())]
#[non_exhaustive]
pub struct Conflict {
    /// The key, with the keys above it, dotted.
    pub key: String,
    /// The plugin that set it first, and where; nothing when the installer did.
    pub first: Option<(String, Location)>,
    /// The plugin that would set it differently.
    pub second: String,
    /// Where it would.
    pub at: Location,
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
        let Self { key, first, at, .. } = self;
        match first {
            Some((_, first)) => format!("set `{key}` alike at {first} and {at}, or in one of the two entries only"),
            None => format!("leave `{key}` out at {at}; it says where the portal finds what is installed"),
        }
    }

    fn said_first(&self) -> String {
        match &self.first {
            Some((plugin, at)) => format!("`{plugin}` sets it in {}", at.line()),
            None => "the installer sets it".to_owned(),
        }
    }
}

impl AppConfig {
    /// An app-config for Red Hat Developer Hub, which reads from it in which folder of its own to look for plugins. It
    /// is never empty.
    pub fn rhdh() -> Self {
        let node = |value| Node { span: Span::behind(""), value };
        let text = |text: &str| node(Value::Scalar(Scalar::Text(text.to_owned())));
        let inner = node(Value::Mapping(vec![(text("rootDirectory"), text("dynamic-plugins-root"))]));
        let mut root = Branch::default();
        root.grow(0, vec![(text("dynamicPlugins"), inner)]);
        Self { setters: vec![Setter::Installer], root }
    }

    /// Adds a plugin's piece. Mappings grow together; anything else must be equal where it is set twice, lists too.
    ///
    /// # Errors
    /// [`Conflict`] when two plugins differ; nothing has changed then.
    pub fn merge(&mut self, plugin: &str, fragment: Fragment) -> Result<(), Conflict> {
        if let Some(clash) = self.root.clash(fragment.entries()) {
            return Err(Conflict {
                key: clash.path.into_iter().rev().collect::<Vec<_>>().join("."),
                first: match &self.setters[clash.setter] {
                    Setter::Installer => None,
                    Setter::Plugin { name, file } => {
                        Some((name.clone(), Location { file: file.clone(), position: clash.first_position }))
                    }
                },
                second: plugin.to_owned(),
                at: Location { file: fragment.file().cloned(), position: clash.position },
            });
        }
        let file = fragment.file().cloned();
        self.root.grow(self.setters.len(), fragment.into_entries());
        self.setters.push(Setter::Plugin { name: plugin.to_owned(), file });
        Ok(())
    }

    /// Whether nobody set anything.
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
    setter: usize,
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
                    setter: setting.setter,
                    first_position: setting.position,
                    position: key.span.position,
                }),
            }
        })
    }

    /// Adds what [`clash`](Self::clash) found nothing against.
    fn grow(&mut self, setter: usize, entries: Vec<(Node, Node)>) {
        for (key, value) in entries {
            let Some(text) = key.as_text() else { continue };
            let slot = match self.index.get(text) {
                Some(&slot) => slot,
                None => self.append(setter, text, key.span.position, &value),
            };
            if let (Merged::Branch(branch), Value::Mapping(entries)) = (&mut self.entries[slot].1.value, value.value) {
                branch.grow(setter, entries);
            }
        }
    }

    fn append(&mut self, setter: usize, key: &str, position: Position, value: &Node) -> usize {
        let value = match &value.value {
            Value::Mapping(_) => Merged::Branch(Self::default()),
            _ => Merged::Leaf(value.clone()),
        };
        let slot = self.entries.len();
        self.entries.push((key.to_owned(), Setting { setter, position, value }));
        self.index.insert(key.to_owned(), slot);
        slot
    }
}

//! Which folder of an image is the plugin, and the annotation that names the folders there are.

use std::fmt;

use base64ct::{Base64, Encoding};
use serde::Deserializer;
use serde::de::{Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use source::{OciReference, PluginPath};

use crate::{Failure, LayerKind, Layers, unambiguous, words};

/// The annotation's key.
pub(crate) const PLUGINS_ANNOTATION: &str = "io.backstage.dynamic-packages";
/// Most bytes of the annotation, decoded. It repeats what each `package.json` says of itself.
const ANNOTATION_LIMIT: usize = 256 * 1024;
/// Most folders it names.
const FOLDER_LIMIT: usize = 1_000;

/// The folder that the reference selects, or the only one that the annotation names; `None` where all of the artifact is
/// the plugin.
pub(crate) fn choose(
    reference: &OciReference,
    annotation: Option<&str>,
    kind: Option<LayerKind>,
    layers: Layers,
) -> Result<Option<PluginPath>, Failure> {
    let selected = reference.plugin_path().cloned();
    if selected.is_some() && layers == Layers::Several {
        // Whoever names the folder has no need of the annotation, whatever became of it.
        return Ok(selected);
    }
    let is_image = layers == Layers::Several && kind == Some(LayerKind::ImageLayer);
    let named = annotation.map(decode).transpose()?;
    match (selected, named) {
        (Some(selected), _) => Ok(Some(selected)),
        (None, None) if is_image => Err(Failure::NoPlugins { found: "has no annotation" }),
        (None, Some(named)) if named.is_empty() && is_image => {
            Err(Failure::NoPlugins { found: "has an empty list in its annotation" })
        }
        (None, None) => Ok(None),
        (None, Some(mut named)) if named.len() == 1 => Ok(named.pop()),
        (None, Some(named)) => Err(Failure::NoPluginPath { count: named.len(), found: words::list(&named) }),
    }
}

/// base64 of a JSON array of objects whose keys are plugin folders.
fn decode(text: &str) -> Result<Vec<PluginPath>, Failure> {
    let shape = |why: &str| Failure::Shape { what: format!("an annotation `{PLUGINS_ANNOTATION}` {why}") };
    let broken = || shape("that cannot be decoded");
    let json = Base64::decode_vec(text.trim()).map_err(|_| broken())?;
    if json.len() > ANNOTATION_LIMIT {
        return Err(shape(&format!("of more than {ANNOTATION_LIMIT} bytes")));
    }
    unambiguous::check(&json).map_err(|_| broken())?;
    let Folders(folders) = serde_json::from_slice(&json).map_err(|_| broken())?;
    if folders.len() > FOLDER_LIMIT {
        return Err(shape(&format!("with more than {FOLDER_LIMIT} folders")));
    }
    folders.iter().map(|folder| PluginPath::parse(folder).map_err(|_| broken())).collect()
}

/// The keys of all objects in a list; one more than may be is enough of them.
struct Folders(Vec<String>);

impl<'de> Deserialize<'de> for Folders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Folders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Folders, A::Error> {
        let mut folders = Vec::new();
        while items.next_element_seed(Keys(&mut folders))?.is_some() {}
        Ok(Folders(folders))
    }
}

/// Takes an object's keys and nothing else of it.
struct Keys<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            if self.0.len() <= FOLDER_LIMIT {
                self.0.push(key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(json: &str) -> Result<Vec<String>, String> {
        let paths = decode(&Base64::encode_string(json.as_bytes())).map_err(|failure| failure.to_string())?;
        Ok(paths.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_annotation_lists_plugin_folders() {
        assert_eq!(folders(r#"[{"a":{}},{"b/c":{"name":"x"}}]"#), Ok(vec!["a".to_owned(), "b/c".to_owned()]));
        assert_eq!(folders(r#"[{"a":{},"b":[1]},{}]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(folders("[]"), Ok(vec![]));
        for bad in ["{}", r#"[{"../x":{}}]"#, "[1]", "[[]]", r#"[{"a":{},"a":{}}]"#, r#"[{"a":{}}"#, "[{}] 1", ""] {
            assert!(folders(bad).is_err_and(|why| why.ends_with("that cannot be decoded")), "{bad}");
        }
        assert!(decode("!").is_err());
    }

    #[test]
    fn the_annotation_is_read_up_to_its_limits() {
        let list = |objects: &[String]| format!("[{}]", objects.join(","));
        let named = |count: usize| (0..count).map(|n| format!(r#"{{"p{n}":{{}}}}"#)).collect::<Vec<_>>();
        let in_one = |count: usize| {
            let keys: Vec<_> = (0..count).map(|n| format!(r#""p{n}":{{}}"#)).collect();
            format!("[{{{}}}]", keys.join(","))
        };
        let padded = |len: usize| format!("[{}]", " ".repeat(len - 2));
        for (name, json, expected) in [
            ("most objects", list(&named(FOLDER_LIMIT)), Ok(FOLDER_LIMIT)),
            ("one more", list(&named(FOLDER_LIMIT + 1)), Err("with more than 1000 folders")),
            ("most keys", in_one(FOLDER_LIMIT), Ok(FOLDER_LIMIT)),
            ("one key more", in_one(FOLDER_LIMIT + 1), Err("with more than 1000 folders")),
            ("most bytes", padded(ANNOTATION_LIMIT), Ok(0)),
            ("one byte more", padded(ANNOTATION_LIMIT + 1), Err("of more than 262144 bytes")),
        ] {
            match (folders(&json).map(|folders| folders.len()), expected) {
                (Err(why), Err(expected)) => assert!(why.ends_with(expected), "{name}: {why}"),
                (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{name}"),
            }
        }
    }
}

//! The variables of RHDH's installer, and what they ask for.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use config::rhdh::MissingIntegrity;

/// The variables as they are set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    max_entry_size: Option<String>,
    skip_integrity_check: Option<String>,
    workers: Option<String>,
    npm_workers: Option<String>,
    lock_timeout_ms: Option<String>,
    catalog_index_image: Option<String>,
    extra_catalog_index_images: Option<String>,
    catalog_entities_extract_dir: Option<PathBuf>,
    temporary: Option<PathBuf>,
    node_extra_ca_certs: Option<PathBuf>,
}

/// What they ask for; `None` where they leave it to the command line and its defaults.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Most bytes of one file.
    pub(crate) max_file_bytes: Option<u64>,
    /// Plugins worked on at once.
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Longest wait for another installer.
    pub(crate) lock_timeout: Option<Duration>,
    /// What becomes of a plugin that has no integrity and needs one.
    pub(crate) missing_integrity: MissingIntegrity,
    /// Images with catalog entities and defaults.
    pub(crate) catalog: Catalog,
    /// One more file of CA certificates.
    pub(crate) ca_file: Option<PathBuf>,
    /// The folder for temporary files.
    pub(crate) temporary: PathBuf,
    /// What was not taken as it was written, or is dangerous.
    pub(crate) remarks: Vec<Remark>,
}

/// The catalog index images.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Catalog {
    /// The one with the default plugins.
    pub(crate) index: Option<String>,
    /// Those with entities alone.
    pub(crate) extra: Vec<ExtraIndex>,
    /// Where entities go.
    pub(crate) entities: PathBuf,
}

/// An image with catalog entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtraIndex {
    /// The folder of its entities: one plain name.
    pub(crate) name: String,
    /// Its reference, as written.
    pub(crate) image: String,
}

/// A warning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    pub(crate) hint: Option<&'static str>,
}

impl Variables {
    /// Takes what it needs. An empty variable counts as none, but for `MAX_ENTRY_SIZE`, which is told.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let lossy = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
        let text = |name: &str| lossy(name).filter(|value| !value.trim().is_empty());
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            max_entry_size: lossy("MAX_ENTRY_SIZE"),
            skip_integrity_check: text("SKIP_INTEGRITY_CHECK"),
            workers: text("DYNAMIC_PLUGINS_WORKERS"),
            npm_workers: text("DYNAMIC_PLUGINS_NPM_WORKERS"),
            lock_timeout_ms: text("DYNAMIC_PLUGINS_LOCK_TIMEOUT_MS"),
            catalog_index_image: text("CATALOG_INDEX_IMAGE"),
            extra_catalog_index_images: text("EXTRA_CATALOG_INDEX_IMAGES"),
            catalog_entities_extract_dir: path("CATALOG_ENTITIES_EXTRACT_DIR"),
            temporary: path("TMPDIR"),
            node_extra_ca_certs: path("NODE_EXTRA_CA_CERTS"),
        }
    }

    /// What they ask for. The variables were RHDH's before they were ours: what it passes over in silence is a warning
    /// here, and what it goes on with, we do.
    pub(crate) fn wishes(&self) -> Wishes {
        let mut remarks = Vec::new();
        let entities = self.catalog_entities_extract_dir.clone();
        let temporary = self.temporary.clone().unwrap_or_else(|| "/tmp".into());
        Wishes {
            max_file_bytes: self.max_file_bytes(&mut remarks),
            jobs: self.jobs(&mut remarks),
            lock_timeout: self.lock_timeout(&mut remarks),
            missing_integrity: self.missing_integrity(&mut remarks),
            catalog: Catalog {
                index: self.catalog_index_image.as_deref().map(str::trim).map(str::to_owned),
                extra: self.extra(&mut remarks),
                entities: entities.unwrap_or_else(|| temporary.join("extensions")),
            },
            ca_file: self.ca_file(&mut remarks),
            temporary,
            remarks,
        }
    }

    fn max_file_bytes(&self, remarks: &mut Vec<Remark>) -> Option<u64> {
        let text = self.max_entry_size.as_deref()?;
        let bytes = text.trim().parse().ok().filter(|bytes| *bytes > 0);
        if bytes.is_none() {
            remarks.push(unusable("MAX_ENTRY_SIZE", "a number of bytes from 1", text, "the default holds"));
        }
        bytes
    }

    /// The larger of the two that are set, as all kinds share the workers.
    fn jobs(&self, remarks: &mut Vec<Remark>) -> Option<NonZeroUsize> {
        let variables =
            [("DYNAMIC_PLUGINS_WORKERS", &self.workers), ("DYNAMIC_PLUGINS_NPM_WORKERS", &self.npm_workers)];
        let set = variables.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?.trim())));
        let wished: Vec<_> = set
            .map(|(name, text)| {
                if text == "auto" {
                    return None;
                }
                let number = text.parse().ok();
                if number.is_none() {
                    remarks.push(unusable(name, "`auto` or a number from 1", text, "it counts as 1"));
                }
                Some(number.unwrap_or(NonZeroUsize::MIN))
            })
            .collect();
        // `auto` is our default, which is no number here.
        wished.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn lock_timeout(&self, remarks: &mut Vec<Remark>) -> Option<Duration> {
        let text = self.lock_timeout_ms.as_deref()?.trim();
        let wait = text.parse().ok().filter(|milliseconds| *milliseconds > 0).map(Duration::from_millis);
        if wait.is_none() {
            let expected = "a number of milliseconds from 1";
            remarks.push(unusable("DYNAMIC_PLUGINS_LOCK_TIMEOUT_MS", expected, text, "the default holds"));
        }
        wait
    }

    fn missing_integrity(&self, remarks: &mut Vec<Remark>) -> MissingIntegrity {
        let text = self.skip_integrity_check.as_deref().unwrap_or("false");
        if text.eq_ignore_ascii_case("true") {
            remarks.push(Remark {
                reason: "integrity_skipped",
                detail:
                    "`SKIP_INTEGRITY_CHECK` is set: plugins without `integrity` are installed, whatever their bytes are"
                        .to_owned(),
                hint: Some("leave it out, and pin what each publisher gives as `integrity`"),
            });
            return MissingIntegrity::IsSkipped;
        }
        if !text.eq_ignore_ascii_case("false") {
            remarks.push(unusable("SKIP_INTEGRITY_CHECK", "`true` or `false`", text, "the check holds"));
        }
        MissingIntegrity::IsRefused
    }

    fn extra(&self, remarks: &mut Vec<Remark>) -> Vec<ExtraIndex> {
        let mut found: Vec<ExtraIndex> = Vec::new();
        let text = self.extra_catalog_index_images.as_deref().unwrap_or_default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, image) = match item.split_once('=') {
                Some((name, image)) => (name.trim().to_owned(), image.trim()),
                None => (item.replace(['/', ':', '@'], "_"), item),
            };
            let mut tell = |detail| remarks.push(Remark { reason: "extra_index_skipped", detail, hint: EXTRA_HINT });
            if image.is_empty() {
                tell(format!("`EXTRA_CATALOG_INDEX_IMAGES`: expected an image in `{item}`, found none; it is skipped"));
                continue;
            }
            if !is_plain(&name) {
                tell(format!(
                    "`EXTRA_CATALOG_INDEX_IMAGES`: expected the name of one folder for `{image}`, found `{name}`; it is skipped"
                ));
                continue;
            }
            if let Some(earlier) = found.iter_mut().find(|earlier| earlier.name == name) {
                tell(format!(
                    "`EXTRA_CATALOG_INDEX_IMAGES`: the name `{name}` is given twice; `{image}` takes the place of `{}`",
                    earlier.image
                ));
                image.clone_into(&mut earlier.image);
                continue;
            }
            found.push(ExtraIndex { name, image: image.to_owned() });
        }
        found
    }

    /// A file that is not there is passed over, as Node does: images set the variable for all.
    fn ca_file(&self, remarks: &mut Vec<Remark>) -> Option<PathBuf> {
        let file = self.node_extra_ca_certs.as_ref()?;
        if file.exists() {
            return Some(file.clone());
        }
        remarks.push(Remark {
            reason: "ca_file_missing",
            detail: format!("`NODE_EXTRA_CA_CERTS` names `{}`, where there is nothing; it is ignored", file.display()),
            hint: Some("mount the file, or leave the variable out"),
        });
        None
    }
}

const EXTRA_HINT: Option<&str> = Some("write `NAME=REFERENCE`, each name once, with commas between");

/// Whether a text names a folder in another, and nothing else.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\']) && !name.contains(char::is_control)
}

fn unusable(name: &str, expected: &str, found: &str, instead: &str) -> Remark {
    let detail = format!("expected {expected} in `{name}`, found `{found}`; {instead}");
    Remark { reason: "variable_unusable", detail, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(set: &[(&str, &str)]) -> Wishes {
        Variables::read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into())).wishes()
    }

    fn reasons(wishes: &Wishes) -> Vec<&str> {
        wishes.remarks.iter().map(|remark| remark.reason).collect()
    }

    #[test]
    fn nothing_set_asks_for_nothing() {
        let nothing = wishes(&[]);
        assert_eq!(
            nothing,
            Wishes {
                max_file_bytes: None,
                jobs: None,
                lock_timeout: None,
                missing_integrity: MissingIntegrity::IsRefused,
                catalog: Catalog { index: None, extra: Vec::new(), entities: "/tmp/extensions".into() },
                ca_file: None,
                temporary: "/tmp".into(),
                remarks: Vec::new(),
            }
        );
    }

    #[test]
    fn size_that_is_no_number_from_one_leaves_the_default_and_is_told() {
        for (row, text, expected) in [
            ("a number", "20000000", Some(20_000_000)),
            ("blanks around it", " 1 ", Some(1)),
            ("empty", "", None),
            ("not a number", "abc", None),
            ("a number and more", "40MB", None),
            ("zero", "0", None),
            ("negative", "-5", None),
            ("a fraction", "1.5", None),
            ("more than fits", "99999999999999999999", None),
        ] {
            let wishes = wishes(&[("MAX_ENTRY_SIZE", text)]);
            assert_eq!(wishes.max_file_bytes, expected, "{row}");
            assert_eq!(reasons(&wishes).is_empty(), expected.is_some(), "{row}");
        }
    }

    #[test]
    fn more_workers_of_the_two_work_for_all_kinds() {
        for (row, workers, npm, expected, told) in [
            ("neither", "", "", None, 0),
            ("a number", "3", "", Some(3), 0),
            ("the other", "", "2", Some(2), 0),
            ("the larger", "3", "5", Some(5), 0),
            ("no upper end", "64", "1", Some(64), 0),
            ("auto", "auto", "", None, 0),
            ("auto beside a number", "auto", "1", None, 0),
            ("zero", "0", "", Some(1), 1),
            ("negative", "-1", "", Some(1), 1),
            ("not a number", "many", "", Some(1), 1),
            ("both wrong", "many", "0", Some(1), 2),
        ] {
            let wishes = wishes(&[("DYNAMIC_PLUGINS_WORKERS", workers), ("DYNAMIC_PLUGINS_NPM_WORKERS", npm)]);
            assert_eq!(wishes.jobs.map(NonZeroUsize::get), expected, "{row}");
            assert_eq!(reasons(&wishes).len(), told, "{row}");
        }
    }

    #[test]
    fn wait_is_in_milliseconds() {
        for (text, expected) in [("1500", Some(1500)), ("0", None), ("-1", None), ("soon", None), ("10m", None)] {
            let wishes = wishes(&[("DYNAMIC_PLUGINS_LOCK_TIMEOUT_MS", text)]);
            assert_eq!(wishes.lock_timeout, expected.map(Duration::from_millis), "{text}");
            assert_eq!(reasons(&wishes).is_empty(), expected.is_some(), "{text}");
        }
    }

    #[test]
    fn only_the_word_true_skips_integrity_and_it_is_told() {
        use MissingIntegrity::{IsRefused, IsSkipped};
        for (text, expected, told) in [
            ("true", IsSkipped, &["integrity_skipped"][..]),
            ("TRUE", IsSkipped, &["integrity_skipped"]),
            ("True", IsSkipped, &["integrity_skipped"]),
            ("false", IsRefused, &[]),
            ("False", IsRefused, &[]),
            ("1", IsRefused, &["variable_unusable"]),
            ("yes", IsRefused, &["variable_unusable"]),
            ("truex", IsRefused, &["variable_unusable"]),
            ("", IsRefused, &[]),
        ] {
            let wishes = wishes(&[("SKIP_INTEGRITY_CHECK", text)]);
            assert_eq!(wishes.missing_integrity, expected, "{text}");
            assert_eq!(reasons(&wishes), told, "{text}");
        }
        assert_eq!(
            wishes(&[("SKIP_INTEGRITY_CHECK", "1")]).remarks[0].detail,
            "expected `true` or `false` in `SKIP_INTEGRITY_CHECK`, found `1`; the check holds"
        );
    }

    #[test]
    fn extra_indexes_have_a_name_each() {
        let named = |name: &str, image: &str| ExtraIndex { name: name.to_owned(), image: image.to_owned() };
        for (row, text, expected, told) in [
            ("one", "quay.io/a/b:1", vec![named("quay.io_a_b_1", "quay.io/a/b:1")], 0),
            ("a digest", "r/a@sha256:00", vec![named("r_a_sha256_00", "r/a@sha256:00")], 0),
            ("a port", "r:5000/a:1", vec![named("r_5000_a_1", "r:5000/a:1")], 0),
            ("a name", "community=quay.io/a/b:1", vec![named("community", "quay.io/a/b:1")], 0),
            ("several", "x=a:1, b:2 ", vec![named("x", "a:1"), named("b_2", "b:2")], 0),
            ("blank items", " ,,x=a:1, ,", vec![named("x", "a:1")], 0),
            ("blanks around both", " x = a:1 ", vec![named("x", "a:1")], 0),
            ("the first equals sign", "x=a=b", vec![named("x", "a=b")], 0),
            ("no image", "x=", vec![], 1),
            ("no name", "=a:1", vec![], 1),
            ("this folder", ".=a:1", vec![], 1),
            ("the folder above", "..=a:1", vec![], 1),
            ("a path", "x/y=a:1", vec![], 1),
            ("a path of another system", "x\\y=a:1", vec![], 1),
            ("a line break", "x\ny=a:1", vec![], 1),
            ("an encoded separator", "x%2Fy=a:1", vec![named("x%2Fy", "a:1")], 0),
            ("dots in a name", "a..b=a:1", vec![named("a..b", "a:1")], 0),
            ("a name twice", "x=a:1,y=b:1,x=c:1", vec![named("x", "c:1"), named("y", "b:1")], 1),
            ("wrong ones among right ones", "..=a:1,y=b:1,z=", vec![named("y", "b:1")], 2),
        ] {
            let wishes = wishes(&[("EXTRA_CATALOG_INDEX_IMAGES", text)]);
            assert_eq!(wishes.catalog.extra, expected, "{row}");
            assert_eq!(reasons(&wishes), vec!["extra_index_skipped"; told], "{row}");
        }
    }

    #[test]
    fn entities_go_to_the_folder_for_temporary_files_unless_another_is_named() {
        for (set, expected) in [
            (&[("TMPDIR", "/var/tmp")][..], "/var/tmp/extensions"),
            (&[("TMPDIR", "/var/tmp"), ("CATALOG_ENTITIES_EXTRACT_DIR", "/extensions")], "/extensions"),
            (&[("CATALOG_ENTITIES_EXTRACT_DIR", "")], "/tmp/extensions"),
        ] {
            assert_eq!(wishes(set).catalog.entities, std::path::Path::new(expected));
        }
    }

    #[test]
    fn certificates_that_are_not_there_are_passed_over_and_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let there = wishes(&[("NODE_EXTRA_CA_CERTS", file.path().to_str().unwrap())]);
        assert_eq!((there.ca_file.as_deref(), reasons(&there).len()), (Some(file.path()), 0));
        let missing = wishes(&[("NODE_EXTRA_CA_CERTS", "/nowhere/ca.pem")]);
        assert_eq!((missing.ca_file.as_deref(), reasons(&missing)), (None, vec!["ca_file_missing"]));
    }
}

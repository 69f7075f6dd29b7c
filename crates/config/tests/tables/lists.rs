//! Files of the rhdh dialect, and what is said of them.

/// What the file is about, the file, what is said of it and where.
pub(crate) type Row = (&'static str, String, &'static str);

/// A file with one entry that has this line.
pub(crate) fn inside(line: &str) -> String {
    format!("plugins:\n- package: ./a\n  {line}\n")
}

/// What is wrong.
pub(crate) fn mistakes() -> Vec<Row> {
    vec![
        ("list", "- a\n".to_owned(), "1:1 expected a mapping for the file, found a list"),
        ("text", "a\n".to_owned(), "1:1 expected a mapping for the file, found a string"),
        ("plugins", "plugins: {}\n".to_owned(), "1:10 expected a list for `plugins`, found a mapping"),
        ("includes", "includes: a.yaml\n".to_owned(), "1:11 expected a list for `includes`, found a string"),
        ("include", "includes: [~]\n".to_owned(), "1:12 expected a string for an entry of `includes`, found nothing"),
        ("entry", "plugins: [a]\n".to_owned(), "1:11 expected a mapping for an entry of `plugins`, found a string"),
        ("no package", "plugins: [{}]\n".to_owned(), "1:11 expected `package` in the entry, found none"),
        ("null package", "plugins: [{package: }]\n".to_owned(), "1:11 expected `package` in the entry, found none"),
        ("number", "plugins: [{package: 1}]\n".to_owned(), "1:21 expected a string for `package`, found a number"),
        ("integrity", inside("integrity: 1"), "3:14 expected a string for `integrity`, found a number"),
        (
            "pull policy",
            inside("pullPolicy: always"),
            "3:15 expected `IfNotPresent` or `Always` for `pullPolicy`, found `always`",
        ),
        ("pull policy list", inside("pullPolicy: []"), "3:15 expected a string for `pullPolicy`, found a list"),
        ("config", inside("pluginConfig: a"), "3:17 expected a mapping for `pluginConfig`, found a string"),
        ("config list", inside("pluginConfig: []"), "3:17 expected a mapping for `pluginConfig`, found a list"),
        ("quoted merge", inside("pluginConfig: {'<<': 1}"), "3:18 the key `<<` is not allowed in `pluginConfig`"),
        ("sources", "allowedSources:\n".to_owned(), "1:15 expected a list for `allowedSources`, found nothing"),
        ("misspelt sources", "allowedSource: []\n".to_owned(), "1:1 unknown key `allowedSource`"),
        ("misspelt integrity", inside("integrety: x"), "3:3 unknown key `integrety`"),
        ("misspelt switch", inside("disabed: true"), "3:3 unknown key `disabed`"),
        ("switch as a verb", inside("disable: true"), "3:3 unknown key `disable`"),
        ("the other as a verb", inside("enable: false"), "3:3 unknown key `enable`"),
        ("doubled", inside("package: ./b"), "3:3 duplicate key `package`"),
        ("tag", inside("integrity: !mine x"), "3:14 a YAML tag does not fit here"),
        ("second", "plugins: []\n---\n{}\n".to_owned(), "2:1 expected one YAML document, found a second"),
        ("merge of a text", inside("<<: a"), "3:3 expected a mapping or a list of mappings for `<<`, found a string"),
        ("merge of nothing", inside("<<:"), "3:3 expected a mapping or a list of mappings for `<<`, found nothing"),
        (
            "merge of texts",
            inside("<<: [{}, a]"),
            "3:3 expected a mapping or a list of mappings for `<<`, found a string",
        ),
        ("two merges", inside("<<: {}\n  <<: {}"), "4:3 duplicate key `<<`"),
        ("own anchor", "x-a: &a [*a]\n".to_owned(), "1:10 the alias stands inside the value that it repeats"),
    ]
}

/// What is read otherwise than it is written.
pub(crate) fn oddities() -> Vec<Row> {
    vec![
        ("top level", "plugin: []\n".to_owned(), "1:1 unknown key `plugin`"),
        ("other dialect", "continueOnError: true\n".to_owned(), "1:1 unknown key `continueOnError`"),
        ("entry", inside("pullPolcy: Always"), "3:3 unknown key `pullPolcy`"),
        ("quoted merge key", inside("'<<': {}"), "3:3 unknown key `<<`"),
        ("pull policy", inside("pullPolicy: ~"), "3:15 `pullPolicy` has no value and counts as absent"),
        ("integrity", inside("integrity: null"), "3:14 `integrity` has no value and counts as absent"),
        ("config", inside("pluginConfig:"), "3:15 `pluginConfig` has no value and counts as absent"),
        ("merge key", inside("<<: {enabled: true}"), "3:3 the YAML 1.1 merge key `<<` is honoured"),
        (
            "prototype",
            inside("pluginConfig: {__proto__: {a: 1}}"),
            "3:18 the key `__proto__` is dropped from `pluginConfig`",
        ),
        (
            "constructor in a list",
            inside("pluginConfig: {a: [{constructor: 1}]}"),
            "3:23 the key `constructor` is dropped from `pluginConfig`",
        ),
        (
            "inner prototype",
            inside("pluginConfig: {a: {prototype: 1}}"),
            "3:22 the key `prototype` is dropped from `pluginConfig`",
        ),
    ]
}

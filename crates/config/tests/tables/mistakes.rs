//! Files of the butler dialect that are wrong.

/// What is wrong, the file, what is said of it.
pub(crate) const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "tab",
        "plugins:\n\t- package: x\n",
        "line 2, column 1: not valid YAML: tabs disallowed within this context (block indentation)",
    ),
    (
        "unclosed",
        "plugins: [\n",
        "line 2, column 1: not valid YAML: while parsing a node, did not find expected node content",
    ),
    (
        "second document",
        "plugins: []\n---\nplugins: []\n",
        "line 2, column 1: expected one YAML document, found a second",
    ),
    ("doubled key", "plugins: []\n\"plugins\": []\n", "line 2, column 1: duplicate key `plugins`"),
    ("alias", "plugins: []\nx-a: &a 1\nx-b: *a\n", "line 3, column 6: YAML aliases are not supported"),
    ("tag", "plugins: !mine []\n", "line 1, column 10: a YAML tag does not fit here"),
    ("wrong core tag", "plugins: !!map []\n", "line 1, column 10: a YAML tag does not fit here"),
    ("tagged text", "continueOnError: !!bool maybe\n", "line 1, column 18: a YAML tag does not fit here"),
    ("unknown key", "pluginz: []\n", "line 1, column 1: unknown key `pluginz`"),
    ("merge key", "<<: {plugins: []}\n", "line 1, column 1: unknown key `<<`"),
    ("null key", "~: []\n", "line 1, column 1: expected a string as key, found nothing"),
    ("list key", "? [a]\n: b\n", "line 1, column 3: expected a string as key, found a list"),
    ("root is a list", "- package: x\n", "line 1, column 1: expected a mapping for the file, found a list"),
    ("plugins is a mapping", "plugins: {a: b}\n", "line 1, column 10: expected a list for `plugins`, found a mapping"),
    (
        "plugins holds null",
        "plugins: [null]\n",
        "line 1, column 11: expected a mapping for an entry of `plugins`, found nothing",
    ),
    (
        "plugins holds text",
        "plugins: [x]\n",
        "line 1, column 11: expected a mapping for an entry of `plugins`, found a string",
    ),
    (
        "package is a number",
        "plugins: [{package: 42}]\n",
        "line 1, column 21: expected a string for `package`, found a number",
    ),
    (
        "integrity is a list",
        "plugins: [{integrity: [x]}]\n",
        "line 1, column 23: expected a string for `integrity`, found a list",
    ),
    (
        "disabled is a word",
        "plugins: [{disabled: no}]\n",
        "line 1, column 22: expected a boolean for `disabled`, found a string",
    ),
    (
        "pluginConfig is a list",
        "plugins: [{pluginConfig: []}]\n",
        "line 1, column 26: expected a mapping for `pluginConfig`, found a list",
    ),
    ("unknown key of a plugin", "plugins: [{packge: x}]\n", "line 1, column 12: unknown key `packge`"),
    (
        "prototype",
        "plugins: [{pluginConfig: {a: [{__proto__: 1}]}}]\n",
        "line 1, column 32: the key `__proto__` is not allowed in `pluginConfig`",
    ),
    (
        "merge in pluginConfig",
        "plugins: [{pluginConfig: {<<: 1}}]\n",
        "line 1, column 27: the key `<<` is not allowed in `pluginConfig`",
    ),
    (
        "odd key",
        "plugins: [{pluginConfig: {0x10: 1}}]\n",
        "line 1, column 27: expected a string as key, found a number",
    ),
    (
        "huge number",
        "plugins: [{pluginConfig: {a: 0xfffffffffffffffffffffffffffffffff}}]\n",
        "line 1, column 30: the number is too large",
    ),
    (
        "continueOnError is text",
        "continueOnError: 'true'\n",
        "line 1, column 18: expected a boolean for `continueOnError`, found a string",
    ),
    (
        "sources without value",
        "allowedSources:\nplugins: []\n",
        "line 1, column 15: expected a list for `allowedSources`, found nothing",
    ),
    (
        "sources is text",
        "allowedSources: oci://a.example.com/x\n",
        "line 1, column 17: expected a list for `allowedSources`, found a string",
    ),
    (
        "source is null",
        "allowedSources: [null]\n",
        "line 1, column 18: expected a string for an entry of `allowedSources`, found nothing",
    ),
    ("control character", "plugins: []\n# \u{7}\n", "line 2, column 3: a control character stands in the file"),
    ("NUL", "plugins: []\n\0", "line 2, column 1: a control character stands in the file"),
    (
        "block is empty",
        "dynamicPlugins:\n",
        "line 1, column 15: expected a mapping for `dynamicPlugins`, found nothing",
    ),
    ("two blocks", "dynamicPlugins: {}\ndynamicPlugins: {}\n", "line 2, column 1: duplicate key `dynamicPlugins`"),
    ("block is an alias", "a: &a {}\ndynamicPlugins: *a\n", "line 2, column 17: YAML aliases are not supported"),
    (
        "key of the other layout",
        "dynamicPlugins: {continueOnError: true}\n",
        "line 1, column 18: unknown key `continueOnError`",
    ),
];

//! Entries of the butler dialect, and what becomes of them.

pub(crate) const GOOD: &str =
    "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";

/// The file that the entries are judged in.
pub(crate) fn in_file(entry: &str) -> String {
    format!("allowedSources: ['oci://reg.example.com/my-org']\nplugins:\n- {entry}\n")
}

/// An entry, and its reason code, `admitted` or `disabled`.
pub(crate) fn entries() -> Vec<(String, &'static str)> {
    let source = "oci://reg.example.com/my-org/plug:1.0.0";
    let elsewhere = "oci://reg.example.com/my-org-evil/plug:1.0.0";
    vec![
        ("{}".to_owned(), "package_missing"),
        ("{package: ''}".to_owned(), "package_missing"),
        (format!("{{package: ~, integrity: {GOOD}}}"), "package_missing"),
        ("{package: 'oci://reg.example.com/UPPER:1'}".to_owned(), "package_invalid"),
        ("{package: 'http://reg.example.com/x.tgz'}".to_owned(), "scheme_not_supported"),
        (format!("{{package: '{elsewhere}'}}"), "source_not_allowed"),
        (format!("{{package: '{elsewhere}', integrity: sha1-x}}"), "source_not_allowed"),
        (format!("{{package: '{source}'}}"), "integrity_missing"),
        (format!("{{package: '{source}', integrity: }}"), "integrity_missing"),
        (format!("{{package: '{source}', integrity: ''}}"), "integrity_missing"),
        (format!("{{package: '{source}', integrity: any}}"), "integrity_invalid"),
        (format!("{{package: '{source}', integrity: sha256-AAAA}}"), "integrity_unsupported"),
        (format!("{{package: '{source}', integrity: \"{GOOD}\\n\"}}"), "integrity_invalid"),
        (format!("{{package: '{source}', integrity: '{GOOD} {GOOD}'}}"), "integrity_invalid"),
        (format!("{{package: '{source}', integrity: '{GOOD}'}}"), "admitted"),
        (format!("{{package: '{source}', integrity: '{GOOD}', disabled: false, x-why: me}}"), "admitted"),
        ("{package: nonsense, disabled: true}".to_owned(), "disabled"),
        ("{disabled: true}".to_owned(), "disabled"),
    ]
}

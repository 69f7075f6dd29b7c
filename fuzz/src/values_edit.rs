//! New pins for a values file: the other entries and all other text stay as they are.

use config::{Edit, EditError, Pins};
use integrity::Integrity;

use crate::config::{WORDS as FILE_WORDS, seeds as files};

/// Words of the file.
pub const WORDS: &[&str] = FILE_WORDS;

/// Pins each entry in turn, and compares line by line.
pub fn target(bytes: &[u8]) {
    let Ok(pins) = Pins::read(bytes) else { return };
    let new = Integrity::parse(&format!("sha512-{}==", "B".repeat(85) + "A")).expect("it is a pin");
    for entry in 0..pins.entries().len().min(4) {
        let edit = Edit { entry, integrity: new, package: None };
        let text = match pins.edited(&[edit]) {
            Ok(text) => text,
            // An entry that is written oddly is refused, at the latest when the edited text is read again.
            Err(EditError::Shared { .. } | EditError::Form { .. } | EditError::Reread) => continue,
            Err(error) => panic!("entry {entry}: {error}"),
        };
        let after = Pins::read(text.as_bytes()).expect("an edited file is a file");
        assert_eq!(after.entries().len(), pins.entries().len());
        for (index, (old, found)) in pins.entries().iter().zip(after.entries()).enumerate() {
            assert_eq!((old.package(), old.is_disabled()), (found.package(), found.is_disabled()), "entry {index}");
            let expected = if index == entry { Ok(&new) } else { old.integrity() };
            assert_eq!(found.integrity(), expected, "entry {index}");
        }
        assert_one_place(pins.text(), &text);
        let again = Edit { entry, integrity: new, package: None };
        assert_eq!(after.edited(&[again]).as_deref(), Ok(text.as_str()), "a second edit changes nothing");
    }
}

/// Files with entries.
pub fn seeds() -> Vec<Vec<u8>> {
    let own = [
        "plugins:\n- package: oci://ghcr.io/my-org/hello:1.2.3 # by the portal team\n",
        "plugins:\n  - integrity: \"sha512-x\" # old\n    package: 'oci://ghcr.io/a/b:1'\n  -\n    package: oci://x/y:1",
        "plugins: [{package: oci://ghcr.io/a/b:1, integrity: x}, {package: y}]\n",
        "plugins:\n- disabled: true\n  package: >-\n    oci://ghcr.io/a/b:1\n  integrity: |\n    x\n\n# end\n",
        "plugins:\r\n- \"package\": oci://x.y/z:1\r\n  \"integrity\" : ~\r\n",
    ];
    own.iter().map(|text| text.as_bytes().to_vec()).chain(files()).collect()
}

/// Outside of one stretch the texts are the same, and what is new in it is a pin with its key.
fn assert_one_place(before: &str, after: &str) {
    let same = |(a, b): &(u8, u8)| a == b;
    let start = before.bytes().zip(after.bytes()).take_while(same).count();
    let (before, after) = (&before.as_bytes()[start..], &after.as_bytes()[start..]);
    let end = before.iter().rev().copied().zip(after.iter().rev().copied()).take_while(same).count();
    let new = &after[..after.len() - end];
    let blanks = new.iter().filter(|byte| byte.is_ascii_whitespace()).count();
    assert!(new.len() - blanks <= "integrity:,\"\"".len() + 95, "{:?}", String::from_utf8_lossy(new));
}

//! What the documents name is there: every file of the README, of the security page and of the tables of attacks
//! and faults. A claim whose proof was renamed has none.

use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 5] = [
    "README.md",
    "transport/SECURITY.md",
    "transport/tests/ATTACKS.md",
    "transport/tests/FAULTS.md",
    "benches/BASELINE.md",
];
/// Ends of what is taken for the name of a file of ours.
const ENDS: [&str; 8] = [".rs", ".md", ".sql", ".py", ".toml", "/", ".ci/test", ".ci/sbom"];

#[test]
fn every_file_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut names, mut missing) = (0, Vec::new());
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document)).unwrap_or_else(|_| panic!("no {document}"));
        let mut before: Option<PathBuf> = None;
        for name in named(&text) {
            let own = root.join(document).parent().unwrap().to_owned();
            // "`src/a.rs`, `b.rs`" means the file beside the one before.
            let beside = before.as_deref().and_then(Path::parent).map(Path::to_owned);
            let places = [Some(root.to_owned()), Some(own), beside, Some(root.join("transport/tests"))];
            names += 1;
            match places.into_iter().flatten().map(|place| place.join(name)).find(|path| path.exists()) {
                Some(path) => before = Some(path),
                None => missing.push(format!("{document}: {name}")),
            }
        }
    }
    assert!(names > 150, "only {names} names were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What stands between backticks and looks like a path within the project.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| {
        ENDS.iter().any(|end| name.ends_with(end))
            && !name.contains([' ', '{', '*', ':', '%'])
            && !name.starts_with('/')
            && !["authepy.toml", "DIR/PROJECT/default.toml", "DIR/default/"].contains(name)
    })
}

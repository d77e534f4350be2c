//! What the documents name is there: every file, every page that a link leads to, and for each claim the file that
//! decides it and the test that proves it. A claim whose proof was renamed has none.

use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 11] = [
    "README.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "transport/CHANGELOG.md",
    "transport/docs/architecture.md",
    "transport/docs/claims.md",
    "transport/docs/load-testing.md",
    "transport/docs/operating.md",
    "transport/tests/ATTACKS.md",
    "transport/tests/FAULTS.md",
    "benches/BASELINE.md",
];
/// Ends of what is taken for the name of a file of ours.
const ENDS: [&str; 8] = [".rs", ".md", ".sql", ".py", ".mjs", ".toml", ".txt", "/"];
/// Files of an operator, and folders that a build makes.
const OTHERS: [&str; 5] =
    ["authepy.toml", "DIR/PROJECT/default.toml", "DIR/default/", "default.txt", "target/clients/"];

#[test]
fn every_file_that_a_document_names_is_there() {
    let root = root();
    let (mut names, mut missing) = (0, Vec::new());
    for document in DOCUMENTS {
        let text = read(&root.join(document));
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

#[test]
fn every_link_of_a_document_leads_to_a_page_and_a_heading() {
    let root = root();
    let (mut links, mut missing) = (0, Vec::new());
    for document in DOCUMENTS {
        let own = root.join(document);
        let text = read(&own);
        for link in linked(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { own.clone() } else { own.parent().unwrap().join(file) };
            let leads = path.exists() && (heading.is_empty() || has_heading(&read(&path), heading));
            links += 1;
            if !leads {
                missing.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(links > 20, "only {links} links were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_claim_names_what_decides_it_and_what_proves_it() {
    let text = read(&root().join("transport/docs/claims.md"));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 50, "only {} claims were found", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "claim, decided in, proved by: {row}");
        let names_files = cells[1..].iter().all(|cell| named(cell).next().is_some());
        assert!(names_files, "a claim without a file or without a proof: {row}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|_| panic!("no {}", path.display()))
}

/// What stands between backticks and looks like a path within the project.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| {
        (name.starts_with(".ci/") || ENDS.iter().any(|end| name.ends_with(end)))
            && !name.contains([' ', '{', '*', ':', '%'])
            && !name.starts_with('/')
            && !OTHERS.contains(name)
    })
}

/// Where the links of a page lead, except those to other hosts.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(link, _)| link).filter(|link| !link.contains("://"))
}

/// Whether a page has a heading of this anchor, spelled as GitHub spells it.
fn has_heading(text: &str, anchor: &str) -> bool {
    let spelled = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| spelled(line.trim_start_matches('#').trim())).any(|heading| heading == anchor)
}

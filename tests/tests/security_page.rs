//! The tests that `docs/security.md` names exist in the files that it names.

use std::fs;
use std::path::Path;

/// Returns the last column of each row: files, each with the names of tests in it.
fn named(page: &str) -> Vec<(String, Vec<String>)> {
    let mut named = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && line.ends_with('|')) {
        let columns: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, _, tests] = columns.as_slice() else { continue };
        let mut file = None;
        for part in tests.split(';').map(str::trim) {
            if let Some((path, _)) = part.split_once(".rs") {
                file = Some(format!("{path}.rs"));
            }
            let names = part.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && !name.contains(' '));
            named.extend(file.clone().map(|file| (file, names.map(str::to_owned).collect())));
        }
    }
    named
}

#[test]
fn the_tests_named_by_the_security_page_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let named = named(&page);
    assert!(named.len() > 80, "only {} files are named", named.len());
    let mut missing = Vec::new();
    for (file, names) in named {
        let Ok(text) = fs::read_to_string(root.join(&file)) else {
            missing.push(file);
            continue;
        };
        missing.extend(
            names
                .into_iter()
                .filter(|name| !text.contains(&format!("fn {name}(")))
                .map(|name| format!("{file}: {name}")),
        );
    }
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

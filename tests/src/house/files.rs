//! How files begin, how long they get, what things are called, and that the map shows the land.

use crate::tree::{MEMBERS, Source, hold, root, sources};
use std::collections::BTreeSet;

const LINES_MAX: usize = 700;

/// Crates large enough that the map names each of their modules; of the others it names the crate.
const MAPPED_BY_MODULE: [&str; 3] = ["protocol", "edge-agent", "central-hub"];

/// Names that say nothing: such a place fills up and nothing comes out.
const EMPTY_NAMES: [&str; 9] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "handler", "service"];

/// As the name of a file these say nothing either; as the last word of a type they may be a protocol's own (`UserInfo`).
const EMPTY_FILE_NAMES: [&str; 5] = ["shared", "data", "info", "base", "stuff"];

/// Marks of unfinished work and of tests that do not test.
const UNFINISHED: [&str; 6] = ["TODO", "FIXME", "todo!(", "unimplemented!(", "#[ignore", "XXX"];

#[test]
fn every_file_opens_with_its_idea() {
    let without = |source: &&Source| !source.text.starts_with("//! ");
    let breaches: Vec<_> = sources().iter().filter(without).map(|source| source.path.clone()).collect();
    hold("every module opens with //! and one sentence", &breaches);
}

#[test]
fn no_file_grows_past_the_wall() {
    let sources = sources();
    let lengths = sources.iter().map(|source| (source, source.text.lines().count()));
    let breaches: Vec<_> = lengths
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(source, lines)| format!("{}: {lines} lines", source.path))
        .collect();
    hold("past 500 lines look for the second idea, 700 is the wall", &breaches);
}

#[test]
fn nothing_has_an_empty_name() {
    let mut breaches = Vec::new();
    for source in &sources() {
        if EMPTY_NAMES.contains(&source.stem()) || EMPTY_FILE_NAMES.contains(&source.stem()) {
            breaches.push(source.path.clone());
        }
        for (line, code) in source.code() {
            let Some(name) = defined_name(code) else { continue };
            if words(name).last().is_some_and(|word| EMPTY_NAMES.contains(&word.as_str())) {
                breaches.push(format!("{}:{line}: {name}", source.path));
            }
        }
    }
    hold("a name says what a thing is", &breaches);
}

#[test]
fn nothing_unfinished_lands() {
    let mut breaches = Vec::new();
    for source in
        sources().iter().filter(|source| source.stem() != "files" || !source.is_below("tests/src/house/"))
    {
        for (line, text) in (1..).zip(source.text.lines()) {
            if UNFINISHED.iter().any(|mark| text.contains(mark)) {
                breaches.push(format!("{}:{line}: {}", source.path, text.trim()));
            }
        }
    }
    hold("finish it, or say it in the closing note", &breaches);
}

#[test]
fn the_map_shows_the_land() {
    let map = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md"))
        .expect("the architecture is written down");
    let mut breaches = Vec::new();
    for member in MEMBERS {
        if !map.contains(&format!("`{member}/")) {
            breaches.push(format!("{member}/ is not on the map"));
        }
    }
    for member in MAPPED_BY_MODULE {
        for module in top_modules(member) {
            let path = format!("`{member}/src/{module}");
            if ![".rs`", "/`", "/mod.rs`"].iter().any(|end| map.contains(&format!("{path}{end}"))) {
                breaches.push(format!("{member}/src/{module} is not on the map"));
            }
        }
    }
    for path in paths_named_in(&map) {
        if !root().join(path).exists() {
            breaches.push(format!("the map names {path}, which is not there"));
        }
    }
    hold("docs/ARCHITECTURE.md", &breaches);
}

/// The modules right below a crate's `src`, each once whether it is a file, a folder or both.
fn top_modules(member: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(member).join("src")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let modules = names.map(|name| name.strip_suffix(".rs").map(str::to_owned).unwrap_or(name));
    modules.filter(|name| !matches!(name.as_str(), "lib" | "main" | "bin")).collect()
}

/// Paths in backquotes that begin with a crate's folder.
fn paths_named_in(map: &str) -> impl Iterator<Item = &str> {
    let quoted = map.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        let is_path = text.contains('/')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        is_path
            && (MEMBERS.iter().chain(&["docs", "fuzz"])).any(|member| text.starts_with(&format!("{member}/")))
    })
}

/// What a line defines, if it defines anything that has a name of its own.
fn defined_name(code: &str) -> Option<&str> {
    let mut words = code.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "const");
    let is_definition = matches!(words.next()?, "struct" | "enum" | "trait" | "mod" | "fn" | "type");
    let name = words.next().filter(|_| is_definition)?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// `LinkManager` and `link_manager` are both link, manager.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().expect("never empty").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

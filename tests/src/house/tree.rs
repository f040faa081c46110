//! The tree as the rules see it: each source file, and what of it is not test code.

use std::path::{Path, PathBuf};

/// The workspace's crates, by folder.
pub(crate) const MEMBERS: [&str; 7] =
    ["protocol", "config", "edge-agent", "central-hub", "simulators", "systemd", "tests"];

pub(crate) struct Source {
    /// From the workspace's root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Only compiled for tests.
    pub(crate) is_test: bool,
}

impl Source {
    /// Lines of code with their numbers: no comments, and nothing from the file's own tests on.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        let until_tests = lines.take_while(|(_, line)| !self.is_test && line.trim_end() != "#[cfg(test)]");
        until_tests.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".rs").unwrap_or(name)
    }

    pub(crate) fn is_below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate is a folder of the workspace").to_owned()
}

/// Every Rust file of every crate, tests included.
pub(crate) fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    for member in MEMBERS.iter().chain(&["fuzz"]) {
        collect(&root.join(member), &mut paths);
    }
    paths.sort();
    let mut sources: Vec<Source> = paths.iter().map(|path| read(&root, path)).collect();
    let only_tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        source.is_test |= only_tests.contains(&source.path);
    }
    assert!(sources.len() > 50, "only {} files found: the rules would hold nothing", sources.len());
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read(root: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(path).expect("a source file is readable text");
    let path =
        path.strip_prefix(root).expect("collected below the root").to_string_lossy().replace('\\', "/");
    let is_test = path.contains("/tests/") || path.contains("/benches/") || path.starts_with("tests/");
    Source { path, text, is_test }
}

/// Paths of the modules that a file declares under `#[cfg(test)]`.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = match source.stem() {
        "mod" | "lib" | "main" => source.path.rsplit_once('/').map_or("", |(folder, _)| folder),
        _ => source.path.strip_suffix(".rs").unwrap_or(&source.path),
    };
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let names = declared.filter_map(|pair| pair[1].rsplit_once("mod ")?.1.strip_suffix(';'));
    names.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]).collect()
}

/// Fails with every breach on its own line.
pub(crate) fn hold(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

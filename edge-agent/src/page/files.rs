//! The page's files, carried in the binary.

use rust_embed::{EmbeddedFile, RustEmbed};

/// Missing until the page is built: the agent without it serves its frames alone.
#[derive(RustEmbed)]
#[folder = "../central-hub/console/dist-bedside"]
#[allow_missing = true]
struct Files;

/// The file of a path, and what kind it is.
pub(super) fn file(path: &str) -> Option<(EmbeddedFile, &'static str)> {
    let name = path.trim_start_matches('/');
    let name = if name.is_empty() { "bedside.html" } else { name };
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    Some((Files::get(name)?, kind))
}

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

#[cfg(test)]
mod tests {
    use cotside_protocol::model::{Pattern, Priority};

    const TONES: &str = include_str!("../../../central-hub/console/src/tones.ts");

    /// The table of the pages, evaluated as far as it is arithmetic.
    fn number(name: &str) -> u16 {
        let line = TONES.lines().find_map(|line| line.strip_prefix(&format!("const {name} = "))).unwrap();
        line.trim().parse().unwrap()
    }

    #[test]
    fn the_pages_play_what_the_buzzer_plays() {
        let of = |priority| Pattern::of(priority).unwrap();
        let (high, medium, low) = (of(Priority::High), of(Priority::Medium), of(Priority::Low));
        assert_eq!(
            [number("X"), number("Y"), number("HIGH_PULSE")],
            [high.gaps[0], medium.gaps[0], high.pulse]
        );
        assert!(TONES.contains("const HALF = [X, X, 2 * X + HIGH_PULSE, X]"));
        let words = |millis: u16| format!("{}_{:03}", millis / 1_000, millis % 1_000);
        for line in [
            format!("gapsMs: [...HALF, {}, ...HALF], betweenMs: {}", high.gaps[4], words(high.between)),
            format!(
                "pulseMs: {}, riseMs: 40, gapsMs: [Y, Y], betweenMs: {}",
                medium.pulse,
                words(medium.between)
            ),
            format!("pulseMs: {}, riseMs: 40, gapsMs: [], betweenMs: {}", low.pulse, words(low.between)),
        ] {
            assert!(TONES.contains(&line), "{line}");
        }
    }
}

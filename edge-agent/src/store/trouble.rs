//! What is wrong with the log, in words for people: the first sentence is the alarm, the others are for whoever asks for more.

use cotside_protocol::model::{Mono, Now};
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

/// Words about what is over stay this long.
const WORDS_STAY: Duration = Duration::from_secs(3600);

pub(super) struct Trouble {
    pub(super) words: String,
    /// None: it lasts until the store finds that it is over.
    ends_at: Option<Mono>,
}

impl Trouble {
    pub(super) fn memory_only(directory: &Path, why: impl Display) -> Self {
        Self::lasting(format!(
            "NOT RECORDED: memory only until the disk takes data again. Nothing can be written to {}: {why}. \
             What the hub has not taken by then is lost at a restart.",
            directory.display()
        ))
    }

    pub(super) fn disk_full(directory: &Path) -> Self {
        Self::lasting(format!(
            "DISK FULL: the oldest waveforms make room for new data. Free some space on the filesystem of {}.",
            directory.display()
        ))
    }

    /// `why` may have its particulars in brackets at the end.
    pub(super) fn set_aside(now: Now, why: &str, aside: &Path) -> Self {
        let short = why.split(" (").next().unwrap_or(why);
        let words = format!(
            "OLD LOG set aside: {short}. New data is recorded. Why: {why}. What the hub had not taken of it is in {}.",
            aside.display()
        );
        Self::passing(now, words)
    }

    pub(super) fn disputed(now: Now) -> Self {
        let words = "HUB CLAIMS data of this gateway that were never written here. \
                     Nothing is taken as delivered on that word.";
        Self::passing(now, words.to_owned())
    }

    pub(super) fn lasts(&self) -> bool {
        self.ends_at.is_none()
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        self.ends_at.is_some_and(|at| at <= now.mono)
    }

    fn lasting(words: String) -> Self {
        Self { words, ends_at: None }
    }

    fn passing(now: Now, words: String) -> Self {
        Self { words, ends_at: Some(now.mono + WORDS_STAY) }
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;
    use cotside_protocol::model::{DeviceText, Mono, Now, Wall};
    use std::path::Path;

    #[test]
    fn every_first_sentence_fits_into_an_alarm() {
        let (now, place) = (Now { mono: Mono(0), wall: Wall(0) }, Path::new("/var/lib/cotside"));
        let troubles = [
            Trouble::memory_only(place, "no such disk"),
            Trouble::disk_full(place),
            Trouble::set_aside(now, "it is damaged (file is not a database)", place),
            Trouble::set_aside(now, "a newer version of the software wrote it (format 99)", place),
            Trouble::disputed(now),
        ];
        for Trouble { words, .. } in troubles {
            let first = words.split_inclusive(". ").next().unwrap().trim_end();
            assert!(first.len() < words.len() && first.len() <= DeviceText::LENGTH_MAX, "{first}");
        }
    }
}

//! What signals at the bed itself and takes a hand there: a program, a buzzer and its button, a page.

use super::keys;
use crate::problem::Problems;
use crate::section::{Section, subtable};
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::de::DeTable;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bedside {
    /// A program's path and its arguments; empty: none.
    pub hook: Vec<String>,
    pub gpio: Option<Gpio>,
    pub page: Option<Page>,
}

/// Lines of one chip; at least one of the two is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpio {
    pub chip: PathBuf,
    pub sounder: Option<u32>,
    pub button: Option<u32>,
    pub is_pressed_low: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    pub listen: SocketAddr,
    /// None: it only shows.
    pub pin: Option<String>,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Page").field("listen", &self.listen).finish_non_exhaustive()
    }
}

const PIN_LENGTH: std::ops::RangeInclusive<usize> = 4..=12;

pub(super) fn bedside(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Bedside {
    Bedside { hook: hook(problems, root), gpio: gpio(problems, root), page: page(problems, root) }
}

fn hook(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Vec<String> {
    let Some((span, table)) = subtable(problems, root, "annunciate") else { return Vec::new() };
    let section = Section::read(problems, "[annunciate]", span, table, keys::ANNUNCIATE);
    let Some(hook) = section.texts("hook") else { return Vec::new() };
    if !hook.first().is_some_and(|program| program.starts_with('/')) {
        problems.at(section.at("hook"), "hook: expected the whole path of a program first, [\"/...\", ...]");
    }
    hook.to_vec()
}

fn gpio(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Option<Gpio> {
    let (span, table) = subtable(problems, root, "gpio")?;
    let section = Section::read(problems, "[gpio]", span, table, keys::GPIO);
    let line = |name: &str| section.integer(name).and_then(|line| u32::try_from(line).ok());
    let (sounder, button) = (line("sounder"), line("button"));
    if sounder.is_some() && sounder == button {
        problems.at(section.at("button"), "button: this line is the sounder's");
    }
    sounder.or(button)?;
    Some(Gpio {
        chip: section.text("chip")?.into(),
        sounder,
        button,
        is_pressed_low: section.text("pressed")? == "low",
    })
}

fn page(problems: &mut Problems<'_>, root: &DeTable<'_>) -> Option<Page> {
    let (span, table) = subtable(problems, root, "page")?;
    let section = Section::read(problems, "[page]", span, table, keys::PAGE);
    let pin = section.text("pin").map(str::to_owned);
    if pin.as_ref().is_some_and(|pin| {
        !PIN_LENGTH.contains(&pin.len()) || !pin.bytes().all(|digit| digit.is_ascii_digit())
    }) {
        problems.at(section.at("pin"), "pin: expected 4 to 12 digits in quotes");
    }
    let text = section.text("listen")?;
    let Ok(listen) = text.parse() else {
        let words = format!("listen: expected an address and a port, \"127.0.0.1:8481\", found \"{text}\"");
        problems.at(section.at("listen"), words);
        return None;
    };
    Some(Page { listen, pin })
}

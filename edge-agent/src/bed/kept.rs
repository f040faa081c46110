//! What outlives the process apart from the store: open episodes and what people said of them (hazard H9), the hub's orders in two
//! copies (H4), which commands were applied, and why a link brought nothing.
//!
//! A kept text is a line with its checksum, then the text; a file cut short by a power failure is known as such.

use super::gap::OpenGap;
use super::orders::Orders;
use crate::row::LinkIndex;
use cotside_protocol::model::Wall;
use cotside_protocol::wire::block::Gap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Which text is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Episodes,
    /// Which bed, whose stay, which limits.
    Orders,
    Commands,
    Gaps,
}

/// What was kept by the agent's last life.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The engine's own lines: what was open, and what people had said of it.
    pub episodes: String,
    pub orders: Orders,
    /// There were orders, and no copy of them can be read.
    pub orders_lost: bool,
    /// Commands that were applied.
    pub commands: String,
    /// Links that brought nothing, why and since when.
    pub(super) gaps: Vec<(LinkIndex, OpenGap)>,
    alive: Option<Wall>,
}

impl Keep {
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Episodes => &["episodes"],
            Self::Orders => &["orders", "orders.copy"],
            Self::Commands => &["commands"],
            Self::Gaps => &["gaps"],
        }
    }
}

impl Kept {
    /// `alive`: the last moment of that life that the log knows of.
    pub fn read(directory: &Path, alive: Option<Wall>) -> Self {
        let (episodes, _) = read(directory, Keep::Episodes);
        let (gaps, _) = read(directory, Keep::Gaps);
        let (commands, _) = read(directory, Keep::Commands);
        let (orders, has_orders) = read(directory, Keep::Orders);
        let orders: Option<Orders> = orders.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            episodes: episodes.unwrap_or_default(),
            orders_lost: has_orders && orders.is_none(),
            orders: orders.unwrap_or_default(),
            commands: commands.unwrap_or_default(),
            gaps: gaps.unwrap_or_default().lines().filter_map(OpenGap::from_kept).collect(),
            alive,
        }
    }

    /// What of their gaps the last life had not written: until its last moment, for the store says what followed.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = Gap> {
        let alive = self.alive.unwrap_or_default();
        let gaps = self.gaps.iter().map(move |(link, gap)| gap.close(*link, alive));
        gaps.filter(|gap| gap.from < gap.to)
    }
}

/// The first good copy, and whether there was any.
fn read(directory: &Path, keep: Keep) -> (Option<String>, bool) {
    let copies: Vec<_> =
        keep.files().iter().filter_map(|name| std::fs::read_to_string(directory.join(name)).ok()).collect();
    (copies.iter().find_map(|copy| unsealed(copy)), !copies.is_empty())
}

fn unsealed(copy: &str) -> Option<String> {
    let (sum, text) = copy.split_once('\n')?;
    (sum == seal(text)).then(|| text.to_owned())
}

fn seal(text: &str) -> String {
    format!("{:08x}", crc32c::crc32c(text.as_bytes()))
}

/// Writes every copy, one after the other: at each moment one of them is whole.
pub fn write(directory: &Path, keep: Keep, text: &str) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for name in keep.files() {
        let new: PathBuf = directory.join(format!("{name}.new"));
        let mut file = std::fs::File::create(&new)?;
        file.write_all(format!("{}\n{text}", seal(text)).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, directory.join(name))?;
    }
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Keep, Kept, write};
    use crate::bed::orders::Orders;
    use cotside_protocol::wire::downstream::{Limits, Stay};

    #[test]
    fn h4_one_damaged_copy_of_the_limits_is_no_loss_and_two_are_said() {
        let directory = std::env::temp_dir().join(format!("cotside-kept-{}", std::process::id()));
        let orders = Orders {
            bed: Some("07".into()),
            stay: Some(Stay { id: Some("a".into()) }),
            floor: 7,
            limits: Some(Limits { version: 7, author: "hub".into(), ..Limits::default() }),
            ..Orders::default()
        };
        write(&directory, Keep::Orders, &serde_json::to_string(&orders).unwrap()).unwrap();
        std::fs::write(directory.join("orders"), "deadbeef\n{").unwrap();
        let kept = Kept::read(&directory, None);
        assert_eq!((kept.orders, kept.orders_lost), (orders, false));
        std::fs::write(directory.join("orders.copy"), "").unwrap();
        let kept = Kept::read(&directory, None);
        assert_eq!((kept.orders, kept.orders_lost), (Orders::default(), true));
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(!Kept::read(&directory, None).orders_lost);
    }
}

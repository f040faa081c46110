//! Figures: a table for people and `target/figures.tsv` for scripts. Name, value, unit, beside (the floor or peer), its value, ratio.

use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;

#[derive(Default)]
pub struct Figures {
    lines: Vec<Figure>,
}

struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    beside: String,
    beside_value: Option<f64>,
}

impl Figures {
    /// A figure beside its floor or peer, measured in the same run.
    pub fn beside(&mut self, name: &str, value: f64, unit: &'static str, beside: &str, beside_value: f64) {
        self.add(name, value, unit, beside, Some(beside_value));
    }

    /// A count or a figure that stands for itself.
    pub fn alone(&mut self, name: &str, value: f64, unit: &'static str, remark: &str) {
        self.add(name, value, unit, remark, None);
    }

    fn add(&mut self, name: &str, value: f64, unit: &'static str, beside: &str, beside_value: Option<f64>) {
        let figure = Figure { name: name.to_owned(), value, unit, beside: beside.to_owned(), beside_value };
        self.lines.push(figure);
    }

    pub fn append(&mut self, mut other: Self) {
        self.lines.append(&mut other.lines);
    }

    pub fn table(&self) -> String {
        let mut out = format!(
            "{:<34} {:>12} {:<8} {:<38} {:>12} {:>8}\n",
            "figure", "value", "unit", "beside", "its value", "ratio"
        );
        for Figure { name, value, unit, beside, beside_value } in &self.lines {
            let _ = write!(out, "{name:<34} {:>12} {unit:<8} {beside:<38}", number(*value));
            if let Some(peer) = beside_value {
                let _ = write!(out, " {:>12} {:>8.3}", number(*peer), value / peer);
            }
            out.push('\n');
        }
        out
    }

    /// Replaces the figures of the same names in the file, keeps the others.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut kept: Vec<String> =
            std::fs::read_to_string(path).unwrap_or_default().lines().map(Into::into).collect();
        let is_ours =
            |line: &str| self.lines.iter().any(|figure| line.split('\t').next() == Some(&figure.name));
        kept.retain(|line| !is_ours(line));
        for Figure { name, value, unit, beside, beside_value } in &self.lines {
            let peer = beside_value.map(|peer| format!("{peer}\t{:.4}", value / peer)).unwrap_or("\t".into());
            kept.push(format!("{name}\t{value}\t{unit}\t{beside}\t{peer}"));
        }
        std::fs::write(path, kept.join("\n") + "\n")?;
        Ok(())
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

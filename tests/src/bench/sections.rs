//! The sections of a bench, one after another: one that fails says so and takes no other with it.

use crate::figures::Figures;
use anyhow::{Error, Result, anyhow, bail, ensure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub struct Sections {
    known: &'static [&'static str],
    /// None: all of them.
    chosen: Vec<String>,
    file: PathBuf,
    failed: Vec<&'static str>,
    table: Figures,
}

impl Sections {
    /// `file` keeps what it has of figures that this run does not measure.
    pub fn new(known: &'static [&'static str], chosen: Vec<String>, file: PathBuf) -> Result<Self> {
        if let Some(word) = chosen.iter().find(|word| !known.contains(&word.as_str())) {
            bail!("there is no section {word:?}: choose of {}", known.join(", "));
        }
        Ok(Self { known, chosen, file, failed: Vec::new(), table: Figures::default() })
    }

    /// Runs a section if it is chosen. What it measured before it failed is kept.
    pub fn run(
        &mut self,
        name: &'static str,
        about: &str,
        section: impl FnOnce(&mut Figures) -> Result<()>,
    ) -> Result<()> {
        ensure!(self.known.contains(&name), "section {name} is in no list");
        if !self.chosen.is_empty() && !self.chosen.iter().any(|word| word == name) {
            return Ok(());
        }
        say(&format!("{name}: {about}"));
        let mut figures = Figures::default();
        let ended = catch_unwind(AssertUnwindSafe(|| section(&mut figures)));
        let ended = ended.unwrap_or_else(|panic| Err(anyhow!("it panicked: {}", words(panic.as_ref()))));
        if let Err(error) = ended {
            say(&failure(name, &error));
            self.failed.push(name);
        }
        // At once: what follows may take an hour, or end the process.
        figures.write(&self.file)?;
        self.table.append(figures);
        Ok(())
    }

    /// The table of all that was measured; an error if anything failed.
    pub fn end(self) -> Result<()> {
        say(&self.table.table());
        ensure!(self.failed.is_empty(), "FAILED: {}", self.failed.join(", "));
        Ok(())
    }
}

fn failure(name: &str, error: &Error) -> String {
    format!("{name}: FAILED: {error:#}")
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

#[expect(clippy::print_stdout, reason = "a bench is read while it runs")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::{Figures, Sections};
    use anyhow::bail;

    const KNOWN: [&str; 4] = ["first", "second", "third", "fourth"];

    #[test]
    fn a_section_that_fails_or_panics_takes_no_other_with_it_and_the_end_names_it() {
        let file = std::env::temp_dir().join(format!("cotside-sections-{}.tsv", std::process::id()));
        std::fs::write(&file, "older\t1\ts\t\t\t\nlast\t1\ts\t\t\t\n").unwrap();
        let mut sections = Sections::new(&KNOWN, Vec::new(), file.clone()).unwrap();
        sections
            .run("first", "measures and then fails", |figures| {
                figures.alone("half", 2.0, "s", "");
                bail!("no disk")
            })
            .unwrap();
        sections.run("second", "panics", |_| panic!("out of range")).unwrap();
        sections
            .run("third", "is well", |figures| {
                figures.alone("last", 3.0, "s", "");
                Ok(())
            })
            .unwrap();
        assert_eq!(sections.end().unwrap_err().to_string(), "FAILED: first, second");
        let written = std::fs::read_to_string(&file).unwrap();
        let names: Vec<&str> = written.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(names, ["older", "half", "last"]);
        assert!(written.contains("last\t3\t"));
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn only_what_is_chosen_runs_and_what_nobody_knows_is_refused() {
        let file = std::env::temp_dir().join(format!("cotside-chosen-{}.tsv", std::process::id()));
        let mut sections = Sections::new(&KNOWN, vec!["second".into()], file.clone()).unwrap();
        let mut ran = Vec::new();
        for name in KNOWN {
            let mut run = |_: &mut Figures| {
                ran.push(name);
                Ok(())
            };
            sections.run(name, "", &mut run).unwrap();
        }
        sections.end().unwrap();
        assert_eq!(ran, ["second"]);
        std::fs::remove_file(&file).unwrap();
        let refused = Sections::new(&KNOWN, vec!["secnod".into()], file).err().unwrap().to_string();
        assert!(refused.contains("choose of first, second"), "{refused}");
    }
}

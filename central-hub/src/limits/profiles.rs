//! The profiles of this hub: those that it ships with, and the site's own in place of them and beside them.

use cotside_config::problem::Problem;
use cotside_config::profile::{self, Profile, SHIPPED, USUAL};
use cotside_protocol::model::Envelope;

/// A profile, and whose it is.
#[derive(Clone, Debug)]
pub struct Known {
    pub profile: Profile,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Shipped,
    Site,
}

impl Origin {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Site => "site",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Profiles(Vec<Known>);

impl Profiles {
    /// `files`: name and text of the site's own. A file with a problem is left out, and what was there before it stays.
    pub fn of(
        files: &[(String, String)],
        envelope: &Envelope,
        before: Option<&Self>,
    ) -> (Self, Vec<Problem>) {
        let mut known: Vec<Known> = Vec::new();
        let mut problems = Vec::new();
        for (name, text) in SHIPPED {
            // Against the bounds that it was made for: a site may have wider ones, and narrower ones refuse a set, not a file.
            let read = profile::check(name, text, &Envelope::neonatal(), &all(&known));
            match read {
                Ok(profile) => known.push(Known { profile, origin: Origin::Shipped }),
                Err(found) => problems.extend(found),
            }
        }
        for (file, text) in files {
            match profile::check(file, text, envelope, &all(&known)) {
                Ok(profile) => {
                    known.retain(|other| other.profile.name != profile.name);
                    known.push(Known { profile, origin: Origin::Site });
                }
                Err(found) => problems.extend(found),
            }
        }
        if let Some(before) = before.filter(|_| !problems.is_empty()) {
            let is_gone = |old: &&Known| {
                old.origin == Origin::Site
                    && known
                        .iter()
                        .all(|new| new.profile.name != old.profile.name || new.origin == Origin::Shipped)
            };
            let kept: Vec<Known> = before.0.iter().filter(is_gone).cloned().collect();
            known.retain(|new| kept.iter().all(|old| old.profile.name != new.profile.name));
            known.extend(kept);
        }
        (Self(known), problems)
    }

    pub fn find(&self, name: &str) -> Option<&Known> {
        self.0.iter().find(|known| known.profile.name == name)
    }

    /// The one of that name, or the usual one where it is gone.
    pub fn of_name(&self, name: Option<&str>) -> &Known {
        let named = name.and_then(|name| self.find(name));
        named
            .or_else(|| self.find(USUAL))
            .or(self.0.first())
            .expect("the shipped profiles are checked by a test, so there is one")
    }

    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.0.iter()
    }
}

fn all(known: &[Known]) -> Vec<Profile> {
    known.iter().map(|known| known.profile.clone()).collect()
}

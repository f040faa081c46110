//! The keys of a profile.

use crate::rule::{self, joined};
use crate::section::{Key, Kind, Need};
use std::time::Duration;

pub(super) const PROFILE: &[Key] = &[
    Key {
        name: "profile",
        doc: "Its name. A site's file of the same name stands in place of the shipped one.",
        need: Need::Required { example: "\"neonatal\"" },
        kind: Kind::Name,
    },
    Key {
        name: "title",
        doc: "What people read.",
        need: Need::Required { example: "\"Neonatal intensive care\"" },
        kind: Kind::Text,
    },
    Key {
        name: "based_on",
        doc: "Everything that is not here is as there.",
        need: Need::Optional { example: "\"neonatal\"" },
        kind: Kind::Name,
    },
    Key {
        name: "without",
        doc: "Parameters of the base that this profile does not watch.",
        need: Need::Optional { example: "[\"RR\"]" },
        kind: Kind::Texts,
    },
    Key {
        name: "without_source",
        doc: "Who says so.",
        need: Need::Optional { example: "\"local standard 12\"" },
        kind: Kind::Text,
    },
    table("averaging"),
    table("limit"),
    table("rate"),
    table("apnoea"),
    table("combined"),
];

pub(super) const AVERAGING: &[Key] = &[
    PARAMETERS,
    Key {
        name: "time",
        doc: "What the devices of this site have averaged over, and delayed, before the value comes here.",
        need: Need::Required { example: "\"10s\"" },
        kind: SPAN,
    },
    Key {
        name: "budget",
        doc: "Averaging and a limit's delay together may be no longer than this.",
        need: Need::Required { example: "\"25s\"" },
        kind: SPAN,
    },
    SOURCE,
];

pub(super) const LIMIT: &[Key] = &joined::<7, 10, 17>(WHICH, rule::LIMIT);
pub(super) const RATE: &[Key] = &joined::<7, 4, 11>(WHICH, rule::RATE);
pub(super) const APNOEA: &[Key] = &joined::<1, 3, 4>([SOURCE], rule::APNOEA);
pub(super) const COMBINED: &[Key] = &joined::<1, 6, 7>([SOURCE], rule::COMBINED);

const SPAN: Kind = Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(600) };

const PARAMETERS: Key = Key {
    name: "parameters",
    doc: "By label, 11073 reference identifier or code.",
    need: Need::Required { example: "[\"SpO2\"]" },
    kind: Kind::Texts,
};

const SOURCE: Key = Key {
    name: "source",
    doc: "Who says so.",
    need: Need::Required { example: "\"PMC6906083 table 6\"" },
    kind: Kind::Text,
};

/// Which parameters, and when.
const WHICH: [Key; 7] = [
    PARAMETERS,
    SOURCE,
    age("gestation_from", "Only from this gestational age on, weeks+days."),
    age("gestation_below", "Only below this gestational age."),
    age("pma_from", "Only from this postmenstrual age on, weeks+days."),
    age("pma_below", "Only below this postmenstrual age."),
    Key {
        name: "oxygen",
        doc: "Only with these therapies: room-air, supplemental, unknown.",
        need: Need::Optional { example: "[\"supplemental\", \"unknown\"]" },
        kind: Kind::Texts,
    },
];

const fn age(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc, need: Need::Optional { example: "\"37+0\"" }, kind: Kind::Text }
}

const fn table(name: &'static str) -> Key {
    Key { name, doc: "", need: Need::Optional { example: "" }, kind: Kind::Table }
}

//! What a driver declares of itself: names, settings, parameters, its page.

use crate::bench::{captures, folder};
use cotside_protocol::device::Settings;
use cotside_protocol::devices::{DRIVERS, PEERS};
use cotside_protocol::model::parameter;
use std::collections::BTreeSet;

/// Units of measure that one another can be converted to; a parameter's table row and a driver's row must share a group.
const COMMENSURABLE: &[&[&str]] = &[
    &["mm[Hg]", "kPa", "cm[H2O]", "mbar"],
    &["Cel", "[degF]"],
    &["mV", "uV"],
    &["L/min", "mL/min", "L/s"],
    &["s", "ms", "min", "h"],
    &["/min", "{beats}/min", "{breaths}/min", "/s", "Hz"],
    &["g", "kg", "mg"],
    &["mL", "L"],
    &["g/dL", "g/L", "mmol/L", "mg/dL", "meq/L"],
    &["1", "%", "{ratio}", "%{vol}"],
];

#[test]
fn every_driver_has_its_simulated_device_and_the_other_way_round() {
    let drivers: BTreeSet<_> = DRIVERS.iter().map(|driver| driver.name).collect();
    let peers: BTreeSet<_> = PEERS.iter().map(|peer| peer.name).collect();
    assert_eq!(drivers, peers);
    assert_eq!(drivers.len(), DRIVERS.len(), "a name twice");
}

#[test]
fn every_driver_has_a_fuzz_target() {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for driver in DRIVERS {
        let target = format!("fuzz_targets/{}.rs", driver.name);
        assert!(fuzz.join(&target).is_file() && manifest.contains(&target), "{}", driver.name);
    }
}

#[test]
fn every_driver_declares_what_it_needs() {
    for driver in DRIVERS {
        assert!(folder(driver).is_dir(), "{}: the folder carries the driver's name", driver.name);
        assert!(
            !driver.transports.is_empty() && !driver.models.is_empty() && !driver.summary.is_empty(),
            "{}",
            driver.name
        );
        assert!(driver.silent_after_ms > 0, "{}", driver.name);
        assert!(!captures(driver).is_empty(), "{}: no capture", driver.name);
        for setting in driver.settings {
            let default: Vec<_> =
                setting.default.iter().map(|text| (setting.name.to_owned(), (*text).to_owned())).collect();
            assert!(
                Settings::check(&[*setting], &default).is_ok(),
                "{}: default of {}",
                driver.name,
                setting.name
            );
        }
    }
}

#[test]
fn no_parameter_table_has_a_doubled_key_or_a_ucum_its_parameter_forbids() {
    for driver in DRIVERS {
        let rows = (driver.parameters)();
        assert!(!rows.is_empty(), "{}", driver.name);
        let mut seen = BTreeSet::new();
        for row in rows {
            assert!(seen.insert(row.device), "{}: {} twice", driver.name, row.device);
            let Some(parameter) = parameter(row.code) else { continue };
            let allowed = row.ucum == parameter.ucum
                || COMMENSURABLE
                    .iter()
                    .any(|group| group.contains(&row.ucum) && group.contains(&parameter.ucum));
            assert!(
                allowed,
                "{}: {} in {}, its parameter is in {}",
                driver.name, row.device, row.ucum, parameter.ucum
            );
        }
    }
}

#[test]
fn every_driver_has_a_page_with_its_headings() {
    for driver in DRIVERS {
        let page = std::fs::read_to_string(folder(driver).join("README.md")).unwrap_or_default();
        for heading in ["Models", "Cable", "Manual", "Firmware", "Quirks", "Not supported"] {
            let found = page.lines().any(|line| line.starts_with("## ") && line.contains(heading));
            assert!(found, "{}/README.md: no heading \"{heading}\"", driver.name);
        }
        for setting in driver.settings {
            assert!(
                page.contains(&format!("`{}`", setting.name)),
                "{}/README.md: setting {}",
                driver.name,
                setting.name
            );
        }
    }
}

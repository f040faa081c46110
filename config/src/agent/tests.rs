//! What `check` says to a person, word for word.

use super::{Place, check, describe};
use crate::section;
use cotside_protocol::model::{Code, LimitSide, Priority, Provenance};
use std::time::Duration;

const GOOD: &str = r#"id = "gw-01"

[hub]
address = "mqtts://hub.hospital.example:8883"

[[link]]
name = "oximeter"
driver = "masimo"
port = "/dev/ttyUSB0"
serial = 145838

[[limit]]
parameter = "SpO2"
low = 85.5
high = 98
delay = "8s"
priority = "high"

[[prefer]]
parameter = "SpO2"
links = ["oximeter"]
"#;

/// The file with `from` replaced by `to` has exactly these problems.
fn problems(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    let found = match check("agent.toml", &text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn a_good_file_says_what_it_means() {
    let agent = check("agent.toml", GOOD).unwrap();
    assert_eq!(
        (agent.id.as_str(), agent.provenance, agent.loss_window),
        ("gw-01", Provenance::Live, Duration::from_secs(1))
    );
    let link = &agent.links[0];
    assert_eq!(
        (link.name.as_str(), link.driver.name, link.serial.as_deref()),
        ("oximeter", "masimo", Some("145838"))
    );
    assert_eq!(link.place.to_string(), "/dev/ttyUSB0 9600 8N1");
    let limits: Vec<_> = agent
        .limits
        .limits
        .iter()
        .map(|limit| (limit.side, limit.threshold.to_string(), limit.priority))
        .collect();
    assert_eq!(
        limits,
        [
            (LimitSide::Low, "85.5".to_owned(), Priority::High),
            (LimitSide::High, "98".to_owned(), Priority::High)
        ]
    );
    assert_eq!(
        (agent.limits.limits[0].code, agent.limits.limits[0].delay),
        (Code(150_456), Duration::from_secs(8))
    );
    assert_eq!(agent.preferences[0].links, [0]);
    let hub = agent.hub.unwrap();
    assert_eq!(hub.address, Some(("hub.hospital.example".to_owned(), 8883)));
    assert_eq!(hub.credentials.to_str(), Some("/var/lib/cotside"));
}

#[test]
fn a_typo_is_told_the_nearest_known_name() {
    problems(
        "name = \"ox",
        "nmae = \"ox",
        &[
            "agent.toml:6:1: [[link]] needs name, for example name = \"oximeter\"",
            "agent.toml:7:1: unknown key \"nmae\" in [[link]]: did you mean \"name\"?",
            "agent.toml:21:9: links: \"oximeter\": there is no such link",
        ],
    );
    problems(
        "id = ",
        "idd = \"x\"\nid = ",
        &["agent.toml:1:1: unknown key \"idd\" in the file: did you mean \"id\"?"],
    );
    problems(
        "\"masimo\"",
        "\"massimo\"",
        &[
            "agent.toml:8:10: driver: unknown driver \"massimo\": did you mean \"masimo\"?",
            "agent.toml:21:9: links: \"oximeter\": there is no such link",
        ],
    );
    problems(
        "\"SpO2\"",
        "\"Sp02\"",
        &["agent.toml:13:13: parameter: unknown parameter \"Sp02\": did you mean \"SpO2\"?"],
    );
    problems(
        "[\"oximeter\"]",
        "[\"oximetre\"]",
        &["agent.toml:21:9: links: \"oximetre\": did you mean \"oximeter\"?"],
    );
}

#[test]
fn a_wrong_type_is_told_what_is_expected() {
    problems(
        "\"8s\"",
        "8",
        &[
            "agent.toml:16:9: delay: expected a duration from \"0s\" to \"2m\", such as \"1500ms\", \"10s\" or \"2m\", found 8",
        ],
    );
    problems("low = 85.5", "low = \"85\"", &["agent.toml:14:7: low: expected a number, found \"85\""]);
    problems(
        "\"gw-01\"",
        "\"GW 01\"",
        &["agent.toml:1:6: id: expected a name of a-z, 0-9 and -, at most 32 long, found \"GW 01\""],
    );
    problems(
        "mqtts://",
        "http://",
        &[
            "agent.toml:4:11: address: expected \"mqtts://host:port\", such as \"mqtts://hub.hospital.example:8883\", found \"http://hub.hospital.example:8883\"",
        ],
    );
    problems("[hub]\naddress", "hub = 3\n#", &["agent.toml:3:7: hub: expected a table, [hub], found 3"]);
}

#[test]
fn a_place_must_suit_the_driver_and_be_one() {
    problems(
        "port = \"/dev/ttyUSB0\"",
        "listen = \"0.0.0.0:1\"",
        &[
            "agent.toml:9:10: listen: driver masimo does not speak over a TCP connection from the device: use port",
            "agent.toml:21:9: links: \"oximeter\": there is no such link",
        ],
    );
    problems(
        "port = \"/dev/ttyUSB0\"\n",
        "",
        &[
            "agent.toml:6:1: [[link]] needs one of port, connect, listen, udp: say where the cable ends",
            "agent.toml:20:9: links: \"oximeter\": there is no such link",
        ],
    );
}

#[test]
fn a_setting_is_checked_against_its_driver() {
    problems(
        "serial = 145838",
        "settings = { averagin = 2, site = \"hand\" }",
        &[
            "agent.toml:10:14: unknown key \"averagin\" in the settings of driver masimo: did you mean \"averaging\"?",
            "agent.toml:10:35: site: expected one of unspecified, preductal, postductal, found \"hand\"",
            "agent.toml:21:9: links: \"oximeter\": there is no such link",
        ],
    );
}

#[test]
fn a_name_or_cable_used_twice_is_said_at_its_second_use() {
    let twice = "[[link]]\nname = \"oximeter\"\ndriver = \"masimo\"\nport = \"/dev/ttyUSB0\"\n\n[[limit]]";
    problems(
        "[[limit]]",
        twice,
        &[
            "agent.toml:12:1: /dev/ttyUSB0 9600 8N1 is used by link \"oximeter\" already",
            "agent.toml:13:8: name: there is a link \"oximeter\" already; each needs its own name",
        ],
    );
    problems(
        "[[prefer]]",
        "[[limit]]\nparameter = 150456\nlow = 90\npriority = \"high\"\n\n[[prefer]]",
        &["agent.toml:21:7: SpO2 has a low limit of this priority already"],
    );
}

#[test]
fn a_limit_must_have_a_side_and_its_sides_must_not_cross() {
    problems(
        "low = 85.5\nhigh = 98\n",
        "",
        &["agent.toml:12:1: [[limit]] needs low or high, for example low = 85"],
    );
    problems("low = 85.5", "low = 99", &["agent.toml:14:7: low = 99 must be below high = 98"]);
}

#[test]
fn text_that_is_no_toml_is_placed() {
    let found = check("agent.toml", "id = \"gw-01\"\n[[link]\n").unwrap_err();
    assert_eq!((found[0].line, found[0].file.as_str()), (2, "agent.toml"));
}

#[test]
fn a_label_means_every_parameter_that_is_printed_under_it() {
    let agent = check("x", &GOOD.replacen("\"SpO2\"\nlow = 85.5\nhigh = 98", "\"RR\"\nlow = 20", 1)).unwrap();
    assert!(agent.limits.limits.len() > 1);
}

#[test]
fn the_printed_example_is_accepted_and_so_is_every_line_switched_on() {
    let example = describe();
    let agent = check("example", &example).unwrap_or_else(|problems| panic!("{problems:#?}\n{example}"));
    assert!(matches!(agent.links[0].place, Place::Serial { .. }));
    let before_drivers = example.split("# ---- drivers ----").next().unwrap();
    let is_place = |line: &str| ["# connect", "# listen", "# udp"].iter().any(|key| line.starts_with(key));
    let is_option = |line: &str| line.starts_with("# ") && line.contains(" = ") && !is_place(line);
    let all_on: String = before_drivers
        .lines()
        .map(|line| format!("{}\n", if is_option(line) { &line[2..] } else { line }))
        .collect();
    check("example", &all_on).unwrap_or_else(|problems| panic!("{problems:#?}\n{all_on}"));
}

#[test]
fn every_setting_of_every_driver_is_in_the_printed_example() {
    let example = describe();
    for driver in cotside_protocol::devices::DRIVERS {
        assert!(example.contains(&format!("driver = \"{}\"", driver.name)), "{}", driver.name);
        for setting in driver.settings {
            assert!(example.contains(&format!("{} = ", setting.name)), "{} {}", driver.name, setting.name);
        }
    }
}

#[test]
fn every_default_is_of_its_kind() {
    use super::keys;
    use crate::rule::BOUND;
    for keys in [
        keys::AGENT,
        keys::HUB,
        keys::LINK,
        keys::LIMIT,
        keys::RATE,
        keys::APNOEA,
        keys::COMBINED,
        BOUND,
        keys::PREFER,
        keys::ANNUNCIATE,
        keys::GPIO,
        keys::PAGE,
    ] {
        assert_eq!(section::defaults_that_do_not_fit(keys), Vec::<&str>::new());
    }
}

const WHOLE: &str = r#"
[[limit]]
parameter = "HR"
low = 80
delay = "0s"
hysteresis = 2
priority = "high"
extreme = true

[[rate]]
parameter = "HR"
by = 40

[apnoea]

[combined]
desaturation = 85

[[bound]]
parameter = "SpO2"
low = 70
extreme_within = "20s"
"#;

#[test]
fn an_agent_that_never_hears_a_hub_has_a_whole_set() {
    let agent = check("agent.toml", &format!("{GOOD}{WHOLE}")).unwrap_or_else(|found| panic!("{found:#?}"));
    let set = &agent.limits;
    let heart = set.limits.last().unwrap();
    assert!(heart.extreme && heart.hysteresis.to_string() == "2" && heart.delay.is_zero());
    assert_eq!((set.rates[0].side, set.rates[0].by.to_string().as_str()), (LimitSide::Low, "40"));
    let apnoea = set.apnoea.unwrap();
    assert_eq!((apnoea.after, apnoea.accompanied), (Duration::from_secs(20), Duration::from_secs(10)));
    assert_eq!(set.combined.unwrap().desaturation.0.to_string(), "85");
    let of_saturation = |bound: &&cotside_protocol::model::Bound| bound.code == Code(150_456);
    let bounds: Vec<_> = agent.envelope.bounds.iter().filter(of_saturation).collect();
    assert_eq!((bounds.len(), bounds[0].widest.to_string().as_str()), (1, "70"));
}

#[test]
fn what_does_not_fit_together_in_a_rule_is_told_at_its_word() {
    let with = |to: &str, expected: &[&str]| problems("delay = \"8s\"", to, expected);
    with("full = 5", &["agent.toml:12:1: full and full_delay stand together, or neither does"]);
    with(
        "full = 0\nfull_delay = \"11s\"",
        &[
            "agent.toml:16:8: full: expected more than 0",
            "agent.toml:17:14: full_delay must not be longer than delay",
        ],
    );
    with("hysteresis = -1", &["agent.toml:16:14: hysteresis: expected 0 or more"]);
    with("latching = 1", &["agent.toml:16:12: latching: expected true or false, found 1"]);
    problems(
        "priority = \"high\"",
        "extreme = true",
        &["agent.toml:17:11: extreme = true needs priority = \"high\""],
    );
    problems("high = 98", "high = 101", &["agent.toml:15:8: high = 101 is no value of SpO2, in %"]);
    problems(
        "[[prefer]]",
        "[apnoea]\nafter = \"20s\"\naccompanied = \"25s\"\n\n[[prefer]]",
        &["agent.toml:21:15: accompanied must not be longer than after"],
    );
}

#[test]
fn what_signals_at_the_bed_is_off_until_it_is_asked_for() {
    let quiet = check("x", &format!("{GOOD}[annunciate]\n[gpio]\n[page]\npin = \"2468\"\n")).unwrap();
    assert_eq!(quiet.bedside, super::Bedside::default());
    let text = "[annunciate]\nhook = [\"/bin/beep\"]\n[gpio]\nbutton = 27\n[page]\nlisten = \"[::1]:80\"\npin = \"2468\"\n";
    let bedside = check("x", &format!("{GOOD}{text}")).unwrap().bedside;
    assert_eq!(
        (bedside.hook.as_slice(), bedside.gpio.as_ref().unwrap().button),
        (&["/bin/beep".to_owned()][..], Some(27))
    );
    assert!(!format!("{bedside:?}").contains("2468"), "a secret is not printed");
    let with = |text: &str| check("x", &format!("{GOOD}{text}")).unwrap_err()[0].to_string();
    assert!(with("[annunciate]\nhook = [\"beep\"]\n").contains("expected the whole path"));
    assert!(with("[gpio]\nsounder = 1\nbutton = 1\n").contains("this line is the sounder's"));
    assert!(with("[page]\nlisten = \"localhost\"\n").contains("expected an address and a port"));
    assert!(with("[page]\npin = \"12a4\"\n").contains("4 to 12 digits"));
}

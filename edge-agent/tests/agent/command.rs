//! The binary as a person uses it.

use super::Place;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_edge-agent");
const LINE: &str = "02/24/18 04:48:53 SN=0000145838 SPO2=097% BPM=080 PI=04.96% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n";

fn edge_agent(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(super) fn config(place: &Path, port: &str) -> String {
    let dir = place.display();
    format!(
        "id = \"gw-01\"\nstate_dir = \"{dir}/state\"\nsocket = \"{dir}/agent.sock\"\nprovenance = \"simulated\"\n\n\
         [[link]]\nname = \"oximeter\"\ndriver = \"masimo\"\nport = \"{port}\"\n\n\
         [[limit]]\nparameter = \"SpO2\"\nlow = 99\ndelay = \"0s\"\npriority = \"high\"\n"
    )
}

/// A running agent that is stopped politely, and killed if that fails.
pub(super) struct Agent(Child);

impl Agent {
    pub(super) fn start(config: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["run", "--config", config.to_str().unwrap()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines();
        assert!(lines.by_ref().any(|line| line.unwrap().ends_with("running")), "it did not start");
        // What it says later is read and dropped, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    pub(super) fn stop(mut self) -> i32 {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn status(config: &str) -> Value {
    let output = edge_agent(&["status", "--json", "--config", config]);
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_running_agent_shows_links_values_alarms_and_outbox_and_can_be_tapped() {
    let place = Place::new();
    let (mut device, ours) = serialport::TTYPort::pair().unwrap();
    let port = serialport::SerialPort::name(&ours).unwrap();
    let file = place.file("agent.toml", &config(place.path(), &port));
    let file = file.to_str().unwrap();
    let agent = Agent::start(Path::new(file));
    let capture = place.path().join("oximeter.cap");
    let capture = capture.to_str().unwrap();
    let tap = Command::new(BINARY)
        .args(["tap", "oximeter", capture, "--seconds", "2", "--config", file])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The tap's header in the file says that it listens.
    while std::fs::read_to_string(capture).map_or(0, |text| text.len()) == 0 {
        std::thread::yield_now();
    }
    device.write_all(LINE.as_bytes()).unwrap();
    let snapshot = loop {
        let snapshot = status(file);
        if snapshot["values"].as_array().unwrap().len() == 3 {
            break snapshot;
        }
    };
    assert_eq!(snapshot["links"][0]["serial"], "0000145838");
    assert_eq!(snapshot["links"][0]["state"], "live");
    assert_eq!(snapshot["alarms"][0]["text"], "SpO2 97 < 99");
    assert!(snapshot["outbox"]["waiting_rows"].is_u64());
    let table = said(&edge_agent(&["status", "--config", file]));
    for words in ["SpO2", "97 %", "SpO2 97 < 99", "this agent stands alone", "high     active"] {
        assert!(table.contains(words), "{words} is missing:\n{table}");
    }
    let tapped = tap.wait_with_output().unwrap();
    assert!(tapped.status.success(), "{}", said(&tapped));
    let decoded = said(&edge_agent(&["decode", "masimo", capture]));
    assert!(decoded.contains("\"label\":\"SpO2\"") && decoded.contains("\"balanced\":true"), "{decoded}");
    let again = edge_agent(&["tap", "oximeter", capture, "--config", file]);
    assert_eq!(again.status.code(), Some(74), "a capture is never written over");
    let unknown = edge_agent(&["tap", "oxymeter", &format!("{capture}2"), "--config", file]);
    assert!(said(&unknown).contains("there is no link oxymeter; known are oximeter"), "{}", said(&unknown));
    let second = edge_agent(&["run", "--config", file]);
    assert_eq!(second.status.code(), Some(69), "{}", said(&second));
    assert!(said(&second).contains("another agent is running"));
    let metrics = said(&edge_agent(&["status", "--metrics", "--config", file]));
    for line in [
        "cotside_store_trouble 0",
        "cotside_entries{fate=\"lost\"} 0",
        "cotside_outbox_ignored_acks_total 0",
        "# TYPE cotside_link_live gauge",
    ] {
        assert!(metrics.lines().any(|given| given == line), "{line} in {metrics}");
    }
    assert_eq!(agent.stop(), 0);
    let gone = edge_agent(&["status", "--config", file]);
    assert_eq!(gone.status.code(), Some(69));
    assert!(said(&gone).contains("is it running?"), "{}", said(&gone));
}

#[test]
fn a_killed_agent_starts_again_on_its_own_state() {
    let place = Place::new();
    let file = place.file("agent.toml", &config(place.path(), "/dev/ttyNOT-THERE"));
    let mut agent = Agent::start(&file);
    agent.0.kill().unwrap();
    agent.0.wait().unwrap();
    let agent = Agent::start(&file);
    let snapshot = loop {
        let snapshot = status(file.to_str().unwrap());
        if snapshot["links"][0]["state"] == "down" {
            break snapshot;
        }
    };
    assert!(snapshot["links"][0]["detail"].as_str().unwrap().starts_with("cable unplugged?"), "{snapshot}");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn check_prints_every_problem_with_its_place_and_exits_78() {
    let place = Place::new();
    let text = config(place.path(), "x").replace("masimo", "massimo").replace("low = 99", "lwo = 99");
    let file = place.file("agent.toml", &text);
    let output = edge_agent(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    let said = said(&output);
    for words in [
        "has 3 problems",
        "agent.toml:8:10: driver",
        "did you mean \"masimo\"?",
        "agent.toml:13:1: unknown key \"lwo\"",
        "needs low or high",
    ] {
        assert!(said.contains(words), "{words} is missing:\n{said}");
    }
    let missing = edge_agent(&["check", "--config", "/nowhere/agent.toml"]);
    assert!(self::said(&missing).contains("edge-agent describe"));
}

#[test]
fn what_describe_prints_passes_check() {
    let place = Place::new();
    let described = edge_agent(&["describe"]);
    assert_eq!(described.status.code(), Some(0));
    let file = place.file("agent.toml", &String::from_utf8(described.stdout).unwrap());
    let output = edge_agent(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_mistake_on_the_command_line_exits_64_and_help_is_none() {
    assert_eq!(edge_agent(&["rnu"]).status.code(), Some(64));
    assert_eq!(edge_agent(&["--help"]).status.code(), Some(0));
    let output = edge_agent(&["decode", "masino", "/dev/null"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).contains("did you mean masimo?"), "{}", said(&output));
}

fn decode(driver: &str, file: &str) -> (Vec<Value>, Value) {
    let output = edge_agent(&["decode", driver, file]);
    assert!(output.status.success(), "{}", said(&output));
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut events: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let summary = events.pop().unwrap();
    assert_eq!(
        (summary["event"].as_str(), summary["bytes"]["balanced"].as_bool()),
        (Some("summary"), Some(true))
    );
    (events, summary)
}

#[test]
fn decode_accounts_for_every_byte_of_a_file_of_any_size() {
    let place = Place::new();
    let file = place.path().join("long.txt");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).unwrap());
    for _ in 0..2_000 {
        out.write_all(LINE.as_bytes()).unwrap();
    }
    drop(out);
    let (events, summary) = decode("masimo", file.to_str().unwrap());
    assert_eq!(summary["bytes"]["received"], 2_000 * LINE.len());
    assert_eq!(summary["events"]["numeric"], 6_000);
    assert!(events.iter().any(|event| event["label"] == "SpO2" && event["value"] == "97"));
}

#[test]
fn decode_takes_times_and_settings_from_a_capture() {
    let place = Place::new();
    let text = format!(
        "device: Rad-8\ndriver: masimo\nsource: manual\nsetting: site=preductal\n\n+1500 < \"{}\"\n+2500 < \"{}\"\n",
        LINE.trim_end().to_owned() + "\\r\\n",
        LINE.trim_end().to_owned() + "\\r\\n"
    );
    let file = place.file("x.cap", &text);
    let (events, _) = decode("masimo", file.to_str().unwrap());
    let spo2: Vec<_> = events.iter().filter(|event| event["label"] == "SpO2").collect();
    assert_eq!(
        (spo2[0]["site"].as_str(), spo2[0]["at_ms"].as_u64(), spo2[1]["at_ms"].as_u64()),
        (Some("preductal"), Some(1500), Some(2500))
    );
    let broken = place.file("y.cap", "device: x\n\n+1 < 00\nrubbish\n");
    let output = edge_agent(&["decode", "masimo", broken.to_str().unwrap()]);
    assert!(said(&output).contains("line 4: expected a record"), "{}", said(&output));
}

/// Recorded bytes lie outside the repository; where they are present, they decode.
#[test]
fn decode_reads_the_recorded_corpora() {
    let folder = std::env::var("COTSIDE_CAPTURES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures").to_owned());
    let corpora = [
        ("masimo", "masimo/rad8-ascii1-2016.txt", 15),
        ("intellivue", "intellivue/jvscapture_mp_serial/MPRawoutput1.raw", 4_000),
    ];
    for (driver, file, numerics) in corpora {
        let file = format!("{folder}/{file}");
        if Path::new(&file).exists() {
            let (_, summary) = decode(driver, &file);
            assert!(summary["events"]["numeric"].as_u64().unwrap_or(0) >= numerics, "{file}: {summary}");
        }
    }
}

/// A tap begins in the middle of a conversation.
#[test]
fn decode_reads_a_capture_that_begins_in_the_middle() {
    let place = Place::new();
    let whole = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/src/devices/intellivue/captures/waves.cap");
    let text = std::fs::read_to_string(whole).unwrap();
    let (header, records) = text.split_once("\n+").unwrap();
    // Without the association and the first of the replies.
    let from_device: Vec<&str> = records.split("\n+").filter(|line| line.contains(" <")).skip(4).collect();
    let file = place.file("tapped.cap", &format!("{header}\n+{}\n", from_device.join("\n+")));
    let (_, summary) = decode("intellivue", file.to_str().unwrap());
    assert!(summary["events"]["waveform"].as_u64().unwrap_or(0) > 0, "{summary}");
}

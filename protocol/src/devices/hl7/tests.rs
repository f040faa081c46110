//! The conversation: what is acknowledged, when, and what is not taken.

use super::{DRIVER, PEER};
use crate::device::{
    Hangup, Input, Output, Path, Peer, PeerOptions, PeerOutput, Physiology, Session, Settings,
};
use crate::hl7::mllp::{self, Framer, Piece};
use crate::model::{
    Alert, AlertPhase, Code, Decimal, Event, Ignored, Kind, Malformed, Mono, Now, Numeric, Pace, Priority,
    Quality, Site, StoreToken, Wall,
};
use proptest::prelude::*;
use std::time::Duration;

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms * 1000), wall: Wall(1_717_236_000_000_000 + ms as i64 * 1000) }
}

/// A session and all that it has put out.
struct Link {
    session: Box<dyn Session>,
    events: Vec<Event>,
    answers: Vec<String>,
    hangup: Option<Hangup>,
    /// The disk answers at once.
    stores: bool,
    now: Now,
}

impl Link {
    fn with(given: &[(&str, &str)]) -> Self {
        let given: Vec<_> =
            given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let settings = Settings::check(DRIVER.settings, &given).unwrap();
        let session = (DRIVER.open)(&settings, at(0)).unwrap();
        Self { session, events: Vec::new(), answers: Vec::new(), hangup: None, stores: true, now: at(0) }
    }

    /// The connection is cut, and the sender calls again.
    fn reconnect(&mut self, ms: u64) {
        self.session = DRIVER.open_after(&Settings::default(), at(ms), Some(&*self.session)).unwrap();
        self.answers.clear();
    }

    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        self.session.handle(now, input);
        self.drain();
        let tally = self.session.tally();
        assert!(tally.is_balanced(), "{tally:?}");
    }

    fn drain(&mut self) {
        loop {
            let mut stored = None;
            loop {
                match self.session.poll() {
                    Output::Event(Event::Checkpoint(token)) if self.stores => stored = Some(token),
                    Output::Event(event) => self.events.push(event),
                    Output::Transmit { bytes, .. } => {
                        let mut framer = Framer::default();
                        framer.feed(&bytes, |piece| {
                            let Piece::Message { body, .. } = piece else { panic!("no frame: {piece:?}") };
                            self.answers.push(String::from_utf8_lossy(body).into_owned());
                        });
                    }
                    Output::Hangup(why) => self.hangup = Some(why),
                    Output::Wait { .. } => break,
                }
            }
            let Some(token) = stored else { return };
            self.session.handle(self.now, Input::Stored(token));
        }
    }

    fn receive(&mut self, ms: u64, bytes: &[u8]) {
        self.handle(at(ms), Input::Received { from: Path::Line, bytes });
    }

    fn take(&mut self, ms: u64, message: &str) {
        self.receive(ms, &mllp::frame(message.as_bytes()));
    }

    /// MSA-1 and MSA-2 of every answer so far. An answer is in the separators of its message, whatever they are.
    fn acknowledged(&self) -> Vec<String> {
        let msa = |answer: &String| {
            let field = answer.chars().nth(3).unwrap();
            let rest = answer.split(&format!("\rMSA{field}")).nth(1).unwrap();
            rest.split('\r').next().unwrap().to_owned()
        };
        self.answers.iter().map(msa).collect()
    }

    fn numerics(&self) -> Vec<&Numeric> {
        self.events
            .iter()
            .filter_map(|event| if let Event::Numeric(one) = event { Some(one) } else { None })
            .collect()
    }

    fn alerts(&self) -> Vec<&Alert> {
        self.events
            .iter()
            .filter_map(|event| if let Event::Alert(one) = event { Some(one) } else { None })
            .collect()
    }

    fn identified(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Identified(_))).count()
    }
}

/// A message made `second` seconds after noon, from this bed, in original mode.
fn message(id: &str, second: u32, rows: &[&str]) -> String {
    message_for("NICU^R2^B07", "|||", id, second, rows)
}

fn message_for(bed: &str, modes: &str, id: &str, second: u32, rows: &[&str]) -> String {
    format!(
        "MSH|^~\\&|GW^1^EUI-64|V|||202406011200{second:02}+0200||ORU^R01^ORU_R01|{id}|P|2.6|{modes}\rPID|||7^^^H^MR\rPV1||I|{bed}\r\
         OBR|1|||182777000|||202406011200{second:02}+0200\r{}\r",
        rows.join("\r")
    )
}

const HR: &str = "OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|152|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R";

fn row(name: &str, place: &str, value: &str, rest: &str) -> String {
    format!("OBX|1|NM|{name}|{place}|{value}|{rest}")
}

fn one(rows: &[&str]) -> Link {
    let mut link = Link::with(&[]);
    link.take(0, &message("1", 0, rows));
    link
}

#[test]
fn nothing_is_acknowledged_before_it_is_on_disk() {
    let mut link = Link::with(&[]);
    link.stores = false;
    for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
        link.take(n as u64 * 1000, &message(id, n as u32, &[HR]));
    }
    let checkpoints: Vec<_> =
        link.events.iter().filter(|event| matches!(event, Event::Checkpoint(_))).collect();
    assert_eq!(checkpoints.len(), 3);
    assert_eq!(link.acknowledged(), [""; 0]);
    link.handle(at(3000), Input::Stored(StoreToken(2)));
    assert_eq!(link.acknowledged(), ["AA|a", "AA|b"]);
    link.handle(at(3001), Input::Stored(StoreToken(1)));
    assert_eq!(link.acknowledged().len(), 2, "an older token takes nothing back and gives nothing new");
    link.handle(at(3002), Input::Stored(StoreToken(3)));
    assert_eq!(link.acknowledged(), ["AA|a", "AA|b", "AA|c"]);
}

#[test]
fn a_rejection_does_not_overtake_what_waits_for_the_disk() {
    let mut link = Link::with(&[("location", "NICU^R2^B07")]);
    link.stores = false;
    link.take(0, &message("ours", 0, &[HR]));
    link.take(10, &message_for("NICU^R2^B08", "|||", "other", 0, &[HR]));
    assert_eq!(link.acknowledged(), [""; 0]);
    link.handle(at(20), Input::Stored(StoreToken(1)));
    assert_eq!(link.acknowledged(), ["AA|ours", "AR|other"]);
}

#[test]
fn answers_beyond_what_can_wait_are_not_given() {
    let mut link = Link::with(&[]);
    link.stores = false;
    for n in 0..1100 {
        link.take(n, &message(&n.to_string(), 0, &[]));
    }
    link.handle(at(2000), Input::Stored(StoreToken(1100)));
    assert_eq!(link.acknowledged().len(), 1024);
}

#[test]
fn the_answers_are_those_the_sender_asks_for() {
    for (modes, expected) in
        [("||AL|NE", vec!["CA|1"]), ("||NE|AL", vec!["AA|1"]), ("||AL|AL", vec!["CA|1", "AA|1"])]
    {
        let mut link = Link::with(&[]);
        link.take(0, &message_for("b", modes, "1", 0, &[HR]));
        assert_eq!(link.acknowledged(), expected, "{modes}");
    }
    let mut link = Link::with(&[("acknowledge", "never")]);
    link.take(0, &message("1", 0, &[HR]));
    assert_eq!(link.acknowledged(), [""; 0]);
    assert_eq!(link.numerics().len(), 1);
}

#[test]
fn other_beds_and_nobodys_messages_are_rejected() {
    let mut link = Link::with(&[("location", "nicu^ ^B07")]);
    link.take(0, &message_for("NICU^R2^B07&1&2", "|||", "a", 0, &[HR]));
    link.take(1, &message_for("NICU^R2^B08", "|||", "b", 0, &[HR]));
    link.take(2, &message_for("", "|||", "c", 0, &[HR]));
    assert_eq!(link.acknowledged(), ["AA|a", "AR|b", "AR|c"]);
    assert_eq!(link.numerics().len(), 1);
    assert!(link.session.tally().ignored(Ignored::NotOurs) > 0);
    assert!(link.answers[1].contains("ERR||PV1^1^3|204^"), "{}", link.answers[1]);
}

#[test]
fn a_repetition_is_acknowledged_again_and_not_taken_again() {
    let mut link = Link::with(&[]);
    let text = message("constant", 0, &[HR]);
    link.take(0, &text);
    link.take(5000, &text);
    // The same control id with other content is another message: GE sends one id for ever.
    link.take(6000, &message("constant", 6, &[HR]));
    assert_eq!(link.acknowledged(), ["AA|constant"; 3]);
    assert_eq!(link.numerics().len(), 2);
    assert_eq!(link.session.tally().ignored(Ignored::Duplicate), text.len() as u64 + 3);
}

#[test]
fn a_message_resent_after_a_reconnection_is_taken_once() {
    let mut link = Link::with(&[]);
    let text = message("1", 0, &[HR]);
    link.take(0, &text);
    for ms in [1000, 2000] {
        link.reconnect(ms);
        link.take(ms, &text);
        assert_eq!(link.acknowledged(), ["AA|1"], "it is on disk: answered at once");
        assert_eq!(link.numerics().len(), 1);
        assert_eq!(link.session.tally().ignored(Ignored::Duplicate), text.len() as u64 + 3);
    }
    link.take(3000, &message("1", 3, &[HR]));
    assert_eq!(link.numerics().len(), 2, "the same control id with other content is another message");
}

#[test]
fn what_was_not_stored_before_the_connection_ended_is_taken_again() {
    let mut link = Link::with(&[]);
    link.stores = false;
    let (one, other) = (message("1", 0, &[HR]), message("2", 1, &[HR]));
    link.take(0, &one);
    link.take(1000, &other);
    link.handle(at(2000), Input::Close);
    link.handle(at(3000), Input::Stored(StoreToken(1)));
    assert_eq!(link.acknowledged(), [""; 0], "nobody is there any more");
    link.reconnect(4000);
    link.take(4000, &one);
    link.take(4001, &other);
    assert_eq!(link.acknowledged(), ["AA|1"]);
    assert_eq!(link.numerics().len(), 3);
}

#[test]
fn a_keepsake_is_bounded_and_any_bytes_are_one() {
    let mut link = Link::with(&[]);
    for n in 0..300 {
        link.take(n, &message(&n.to_string(), 0, &[]));
    }
    assert_eq!(link.session.keepsake().unwrap().len(), 256 * 16);
    link.handle(at(300), Input::Keepsake(&[7; 10_001]));
    assert_eq!(link.session.keepsake().unwrap().len(), 256 * 16);
}

#[test]
fn equal_messages_without_any_time_are_states_and_not_repetitions() {
    let mut link = Link::with(&[]);
    let text = "MSH|^~\\&|||||||ORU^R01|204|P|2.3.1|\rOBX||NM|^SpO2||98|%|||||F\r";
    link.take(0, text);
    link.take(1000, text);
    assert_eq!(link.numerics().len(), 2);
}

#[test]
fn other_message_types_are_rejected_and_acknowledgements_left_alone() {
    let mut link = Link::with(&[]);
    link.take(0, "MSH|^~\\&|a|b|||t||ADT^A01|1|P|2.5\r");
    link.take(1, "MSH|^~\\&|a|b|||t||ORU^R99|2|P|2.5\r");
    link.take(2, "MSH|^~\\&|a|b|||t|||3|P|2.5\r");
    link.take(3, "MSH|^~\\&|a|b|||t||ACK|4|P|2.5\rMSA|AA|9\r");
    link.take(4, "MSH|^^\\&|a|b|||t||ORU^R01|5|P|2.5\r");
    link.take(5, "EVN|A01\r");
    assert_eq!(link.acknowledged(), ["AR|1", "AR|2", "AR|3", "AR|5", "AR|UNKNOWN"]);
    for (answer, code) in link.answers.iter().zip(["|200^", "|201^", "|101^", "|100^", "|100^"]) {
        assert!(answer.contains(code), "{answer}");
    }
}

#[test]
fn a_message_in_damaged_separators_is_rejected_in_those_separators() {
    let mut link = Link::with(&[]);
    link.stores = false;
    // One damaged byte makes `&` the field separator: the header is sound, and has hardly a field.
    link.take(0, &message("1", 0, &[HR]).replacen("MSH|", "MSH&", 1));
    assert_eq!(link.acknowledged(), ["AR&UNKNOWN"]);
    assert_eq!(link.events.len(), 1, "it is said and nothing is taken: {:?}", link.events);
}

#[test]
fn a_message_that_never_ends_is_given_up_after_thirty_seconds() {
    let mut link = Link::with(&[]);
    link.receive(1000, b"\x0bMSH|^~\\&|GW");
    link.receive(20_000, b"|more");
    link.handle(at(30_999), Input::Timeout);
    assert_eq!(link.hangup, None);
    link.handle(at(31_000), Input::Timeout);
    assert_eq!(link.hangup, Some(Hangup::Garbage));
    assert_eq!(link.events, [Event::Malformed { reason: Malformed::Truncated, bytes: 17 }]);
}

#[test]
fn a_message_of_ten_megabytes_is_refused_and_the_next_one_taken() {
    let mut link = Link::with(&[]);
    let mut long = message_for("b", "|||", "long", 0, &[]);
    long.push_str("OBX|1|ED|x||");
    long.extend(std::iter::repeat_n('A', 10_000_000));
    let wire = mllp::frame(long.as_bytes());
    for chunk in wire.chunks(65_536) {
        link.receive(0, chunk);
    }
    link.take(1, &message("next", 1, &[HR]));
    assert_eq!(link.acknowledged(), ["AR|long", "AA|next"]);
    assert!(link.events.contains(&Event::Malformed { reason: Malformed::TooLong, bytes: wire.len() as u32 }));
    assert_eq!(link.numerics().len(), 1);
}

#[test]
fn rubbish_is_reported_and_too_much_of_it_ends_the_connection() {
    let mut link = Link::with(&[]);
    link.receive(0, b"GET / HTTP/1.1\r\n");
    link.handle(at(30_000), Input::Timeout);
    assert_eq!((link.events.len(), link.hangup), (2, None));
    link.receive(31_000, &[b'x'; 70_000]);
    assert_eq!(link.hangup, Some(Hangup::Garbage));
}

#[test]
fn silence_ends_the_connection_when_the_settings_say_so() {
    let mut link = Link::with(&[("hang-up-after", "20s")]);
    link.take(5000, &message("1", 0, &[HR]));
    link.handle(at(24_999), Input::Timeout);
    assert_eq!(link.hangup, None);
    link.handle(at(25_000), Input::Timeout);
    assert_eq!(link.hangup, Some(Hangup::Silent));
}

#[test]
fn a_gateways_partial_messages_do_not_change_who_it_is() {
    let mut link = Link::with(&[]);
    let device =
        "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||77^MX^0011^EUI-64";
    link.take(0, &message("1", 0, &[device, HR]));
    link.take(1, &message("2", 1, &[HR]));
    link.take(2, "MSH|^~\\&|GW^1^EUI-64|V|||20240601120002+0200||ORU^R01|3|P|2.6\r");
    assert_eq!(link.identified(), 1);
    let Event::Identified(identity) = &link.events[0] else { panic!("{:?}", link.events[0]) };
    assert_eq!((identity.serial.as_str(), identity.model.as_str()), ("0011", "MX"));
    assert_eq!(identity.bed_label.as_str(), "NICU^R2^B07");
    assert_eq!(identity.patient.as_ref().unwrap().reveal().as_str(), "7");
    assert!(!format!("{:?}", link.events).contains("\"7\""), "the patient is in nobody's log");
    link.take(3, &message_for("NICU^R2^B08", "|||", "4", 3, &[HR]));
    assert_eq!(link.identified(), 2, "another bed is another device");
}

#[test]
fn a_value_keeps_its_digits_and_its_marks() {
    let temperature = row("150344^MDC_TEMP^MDC", "1.1.1.1", "36.50", "Cel");
    let marked = row("150456^MDC_PULS_OXIM_SAT_O2^MDC", "1.1.1.2", "71", "%|85-95|LL~QUES|||R");
    let invalid = row("147842^MDC_ECG_HEART_RATE^MDC", "1.1.1.3", "140", "/min|||||X");
    let bare = row("151562^MDC_RESP_RATE^MDC", "1.1.1.4", "41", "");
    let set =
        row("151976^MDC_VENT_PRESS_AWAY_END_EXP_POS^MDC", "1.1.1.5", "5", "cm[H2O]|||||R||||||^ASET^MDC");
    let link = one(&[&temperature, &marked, &invalid, &bare, &set]);
    let all = link.numerics();
    assert_eq!(all[0].value, Some(Decimal::new(3650, -2)));
    assert_eq!(all[1].quality, Quality::QUESTIONABLE | Quality::IN_ALARM);
    assert_eq!((all[2].value.is_some(), all[2].quality), (true, Quality::INVALID));
    assert_eq!((all[3].ucum, all[3].quality), ("{breaths}/min", Quality::UCUM_ASSUMED));
    assert_eq!((all[4].kind, all[0].kind), (Kind::Setting, Kind::Measurement));
}

#[test]
fn a_structured_number_is_taken_where_it_is_one() {
    let sn = |value: &str| format!("OBX|1|SN|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1|{value}|%|||||R");
    let link = one(&[&sn("^97"), &sn("=^96.5"), &sn(">^90"), &sn("^1^:^2")]);
    let values: Vec<_> = link.numerics().iter().map(|one| one.value.map(|value| value.to_string())).collect();
    assert_eq!(values, [Some("97".to_owned()), Some("96.5".to_owned()), None, None]);
    assert_eq!(link.numerics()[2].quality, Quality::INVALID);
}

#[test]
fn training_data_is_marked_as_demo() {
    let mut link = Link::with(&[]);
    link.take(0, &message("1", 0, &[HR]).replace("|P|2.6", "|T|2.6"));
    assert!(link.numerics()[0].quality.has(Quality::DEMO));
}

#[test]
fn sentinels_are_numbers_unless_the_link_says_otherwise() {
    let rows = row("147842^MDC_ECG_HEART_RATE^MDC", "1.1.1.1", "-100", "/min");
    assert_eq!(one(&[&rows]).numerics()[0].value, Some(Decimal::new(-100, 0)));
    let mut link = Link::with(&[("sentinels", "-100, 32767")]);
    link.take(0, &message("1", 0, &[&rows]));
    assert_eq!((link.numerics()[0].value, link.numerics()[0].quality), (None, Quality::UNAVAILABLE));
}

#[test]
fn probes_are_told_apart_by_site_and_equal_channels_by_place() {
    let spo2 = |place: &str, site: &str| {
        format!("OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|{place}|95|%|||||R||||||||||{site}")
    };
    let shifted =
        |place: &str, site: &str| spo2(place, "").replace("|R||||||||||", &format!("|R|||||||||{site}"));
    let mut link = Link::with(&[]);
    link.take(0, &message("1", 0, &[&shifted("1.2.1.1", "right hand"), &shifted("1.3.1.1", "left foot")]));
    link.take(1000, &message("2", 1, &[&spo2("1.10.1.1", ""), &spo2("1.9.1.1", "")]));
    link.take(2000, &message("3", 2, &[&spo2("1.10.1.1", "")]));
    let sites: Vec<_> = link.numerics().iter().map(|one| one.site).collect();
    let (first, second) = (Site::Numbered(1), Site::Numbered(2));
    assert_eq!(sites, [Site::Preductal, Site::Postductal, second, first, second]);
}

#[test]
fn a_channels_time_holds_for_its_metrics_and_tells_how_late_they_are() {
    let channel = "OBX|1||70687^MDC_DEV_PRESS_BLD_NONINV_CHAN^MDC|1.16.1.0|||||||X|||20240601115500";
    let cuff = row("150023^MDC_PRESS_BLD_NONINV_MEAN^MDC", "1.16.1.3", "34", "mm[Hg]|||||R");
    let link = one(&[channel, &cuff, HR]);
    let all = link.numerics();
    assert_eq!((all[0].pace, all[0].lag), (Pace::Episodic, Duration::from_secs(300)));
    assert_eq!(all[0].device_at, Some(Wall(1_717_235_700_000_000)), "without an offset it has that of MSH-7");
    assert_eq!(all[1].lag, Duration::ZERO);
}

#[test]
fn a_feed_slower_than_ten_seconds_is_a_trend() {
    let mut link = Link::with(&[]);
    for (n, second) in [0u32, 15, 30, 45].into_iter().enumerate() {
        link.take(u64::from(second) * 1000, &message(&n.to_string(), second, &[HR]));
    }
    assert!(link.numerics().iter().all(|one| one.pace == Pace::Trend));
    let mut link = Link::with(&[]);
    for second in 0..4 {
        link.take(u64::from(second) * 1000, &message(&second.to_string(), second, &[HR]));
    }
    assert!(link.numerics()[1..].iter().all(|one| one.pace == Pace::Continuous));
}

#[test]
fn a_waveform_has_its_rate_resolution_and_gaps() {
    let link = one(&[
        "OBX|1|NA|131329^MDC_ECG_ELEC_POTL_I^MDC|1.7.6.131329|80^88^^32767^-5||||||F",
        "OBX|2|NM|0^MDC_ATTR_SAMP_RATE^MDC|1.7.6.131329.1|500|264640^MDC_DIM_HZ^MDC|||||F",
        "OBX|3|NM|2327^MDC_ATTR_NU_MSMT_RES^MDC|1.7.6.131329.2|0.5|266418^MDC_DIM_MILLI_VOLT^MDC|||||F",
        "OBX|4|NM|262196^MDC_EVT_INOP^MDC|1.7.6.131329.3|32767||||||F",
    ]);
    let waves: Vec<_> = link
        .events
        .iter()
        .filter_map(|event| if let Event::Waveform(one) = event { Some(one) } else { None })
        .collect();
    let none = crate::model::NO_SAMPLE;
    assert_eq!(waves[0].samples, [80, 88, none, none, -5]);
    assert_eq!((waves[0].period_us, waves[0].gain, waves[0].ucum), (2000, 0.5, "mV"));
    assert_eq!(waves[0].quality, Quality::GOOD);
    assert_eq!(link.numerics().len(), 0, "its attributes are no measurements");
    let marked = one(&[
        "OBX|1|NA|150452^MDC_PULS_OXIM_PLETH^MDC|1.1.1.1|1^2|1||QUES|||R",
        "OBX|2|NM|67981^MDC_ATTR_SAMP_RATE^MDC|1.1.1.1.1|50",
    ]);
    let Some(Event::Waveform(wave)) = marked.events.get(2) else { panic!("{:?}", marked.events) };
    assert_eq!(wave.quality, Quality::QUESTIONABLE);
}

#[test]
fn an_alert_message_is_an_alert_and_not_a_measurement() {
    let facets = [
        "OBX|1|ST|196670^MDC_EVT_LO^MDC|1.1.1.1.1|Low SpO2|||L~PL~ST|||F",
        "OBX|2|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1.2|79|262688^MDC_DIM_PERCENT^MDC|85-95||||F",
        "OBX|3|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.1.1.3|start||||||F",
        "OBX|4|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.1.1.1.6|PH||||||F",
        "OBX|5|ST|68485^MDC_ATTR_ALERT_TYPE^MDC|1.1.1.1.7|SP||||||F",
    ];
    let mut link = Link::with(&[]);
    link.take(0, &message("1", 0, &facets).replace("ORU^R01", "ORU^R40"));
    link.take(0, &message("2", 1, &facets).replace("ORU^R01", "ORU^R40").replace("|start|", "|end|"));
    let alert = link.alerts()[0];
    assert_eq!((alert.code, alert.source, alert.priority), (196_670, Some(Code(150_456)), Priority::High));
    assert_eq!((alert.text.as_str(), alert.technical), ("Low SpO2", false));
    assert_eq!(
        link.alerts().iter().map(|one| one.phase).collect::<Vec<_>>(),
        [AlertPhase::Present, AlertPhase::Ended]
    );
    assert_eq!(link.numerics().len(), 0);
}

#[test]
fn hostile_text_is_harmless_when_it_comes_out() {
    let mut link = Link::with(&[]);
    let evil = "MSH|^~\\&|\u{1b}[31m\u{202e}GW\\X0D0A\\MSH|a|||20240601120000||ORU^R01|1|P|2.6\r";
    link.take(0, evil);
    let Event::Identified(identity) = &link.events[0] else { panic!("{:?}", link.events) };
    assert_eq!(identity.model.as_str(), "[31mGWMSH");
    assert!(link.answers[0].starts_with("MSH|^~\\&|"), "{}", link.answers[0]);
    assert_eq!(link.answers[0].matches('\r').count(), 2, "nothing of theirs becomes a segment of ours");
}

#[test]
fn settings_that_make_no_sense_are_refused_in_words() {
    for (name, text) in [("charset", "klingon"), ("utc-offset", "CET"), ("sentinels", "-100 n/a")] {
        let given = [(name.to_owned(), text.to_owned())];
        let settings = Settings::check(DRIVER.settings, &given).unwrap();
        let Err(problem) = (DRIVER.open)(&settings, at(0)) else { panic!("{name} = {text} was taken") };
        assert_eq!(problem.name, name);
    }
}

struct Still;

impl Physiology for Still {
    fn numeric(&self, code: Code, _at: Mono) -> Option<f64> {
        (code == Code(147_842)).then_some(152.0)
    }

    fn sample(&self, _code: Code, _at: Mono) -> Option<f64> {
        None
    }
}

#[test]
fn the_simulated_device_repeats_the_same_message_until_it_is_answered() {
    let options =
        PeerOptions { seed: 0, serial: "S|1".to_owned(), bed_label: "B07".to_owned(), datagram: false };
    let mut peer = (PEER.open)(&options);
    let sent = |peer: &mut dyn Peer, ms: u64| match peer.poll(at(ms), &Still) {
        PeerOutput::Transmit { bytes, .. } => Some(bytes),
        PeerOutput::Wait { .. } => None,
    };
    let first = sent(&mut *peer, 0).unwrap();
    assert_eq!(sent(&mut *peer, 4999), None, "nothing else leaves before the answer");
    assert_eq!(sent(&mut *peer, 5000), Some(first.clone()));
    let mut link = Link::with(&[("location", "^^b07")]);
    link.receive(5001, &first);
    assert_eq!(link.acknowledged(), [r"CA|S\F\1-1"]);
    peer.handle(at(5002), Path::Line, &mllp::frame(b"MSH|^~\\&|a\rMSA|CA|another\r"));
    assert_eq!(sent(&mut *peer, 5002), None);
    peer.handle(at(5003), Path::Line, &mllp::frame(link.answers[0].as_bytes()));
    let second = sent(&mut *peer, 5003).unwrap();
    assert_ne!(second, first);
    link.receive(5004, &second);
    assert_eq!(link.numerics().len(), 2);
}

proptest! {
    /// Whatever arrives, in whatever pieces: no panic, every byte accounted for, and no answer before its data is stored.
    #[test]
    fn whatever_arrives_is_accounted_for(
        damage in proptest::collection::vec((0usize..2000, any::<u8>()), 0..12), cut in 1usize..400, never_stores in any::<bool>(),
    ) {
        let mut link = Link::with(&[]);
        link.stores = !never_stores;
        let rows = [HR, "OBX|1|NA|131329^X^MDC|1.1.1.2|1^2^3", "OBX|2|NM|0^MDC_ATTR_SAMP_RATE^MDC|1.1.1.2.1|500||||||F"];
        let mut wire: Vec<u8> = (0..4).flat_map(|n| mllp::frame(message(&n.to_string(), n, &rows).as_bytes())).collect();
        for (place, byte) in damage {
            if let Some(slot) = wire.get_mut(place) {
                *slot = byte;
            }
        }
        for (n, chunk) in wire.chunks(cut).enumerate() {
            link.receive(n as u64, chunk);
        }
        prop_assert_eq!(link.session.tally().received, wire.len() as u64);
        if never_stores {
            prop_assert!(!link.acknowledged().iter().any(|answer| answer.starts_with("AA") || answer.starts_with("CA")));
        }
    }
}

//! What a link is doing, in words that a biomedical engineer can act on. Pure: facts and time in, status out.

use super::identity::Guard;
use cotside_protocol::device::{Hangup, Transport};
use cotside_protocol::model::{Event, Identity, Ignored, Mono, Tally};
use cotside_protocol::wire::upstream::{LinkState, LinkStatus};
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct State {
    index: u8,
    name: String,
    driver: &'static str,
    /// Where the cable ends, as the configuration says it.
    place: String,
    is_serial: bool,
    /// The driver takes only messages for this bed's location.
    has_location: bool,
    silent_after: Duration,
    state: LinkState,
    detail: String,
    /// The driver's last words about the conversation; they explain a refusal better than we can.
    notice: Option<&'static str>,
    refused: Option<String>,
    identity: Identity,
    opened_at: Mono,
    heard_at: Option<Mono>,
    /// When something arrived that is another bed's.
    others_at: Option<Mono>,
    /// The session's account when it was last looked at, and those of the sessions before it.
    tally: Tally,
    ended: Tally,
}

impl State {
    pub(super) fn new(index: u8, link: &cotside_config::agent::Link, now: Mono) -> Self {
        Self {
            index,
            name: link.name.clone(),
            driver: link.driver.name,
            place: link.place.to_string(),
            is_serial: matches!(link.place, cotside_config::agent::Place::Serial { .. })
                && link
                    .driver
                    .transports
                    .iter()
                    .any(|transport| matches!(transport, Transport::Serial { .. })),
            has_location: link.driver.settings.iter().any(|setting| setting.name == "location"),
            silent_after: Duration::from_millis(link.driver.silent_after_ms.into()),
            state: LinkState::Opening,
            detail: format!("opening {}", link.place),
            notice: None,
            refused: None,
            identity: Identity::default(),
            opened_at: now,
            heard_at: None,
            others_at: None,
            tally: Tally::default(),
            ended: Tally::default(),
        }
    }

    pub(super) fn current(&self) -> LinkState {
        self.state
    }

    /// The port is tried. After a trouble that is no news: its words stay until it is open.
    pub(super) fn opening(&mut self) {
        if !matches!(self.state, LinkState::Down | LinkState::Silent | LinkState::WrongDevice) {
            self.change(LinkState::Opening, format!("opening {}", self.place));
        }
    }

    pub(super) fn opened(&mut self, now: Mono) {
        self.opened_at = now;
        self.notice = None;
        self.change(LinkState::Connecting, format!("{} is open, waiting for the device", self.place));
    }

    pub(super) fn not_opened(&mut self, error: &io::Error) {
        self.change(LinkState::Down, self.port_words(error));
    }

    /// The port failed in the middle of a conversation.
    pub(super) fn broke(&mut self, error: &io::Error) {
        self.close_account();
        self.change(LinkState::Down, self.port_words(error));
    }

    /// The driver itself failed: a defect, which must not take the other links down.
    pub(super) fn crashed(&mut self) {
        self.close_account();
        self.change(
            LinkState::Down,
            "the driver failed, which is a defect: started again, please report".to_owned(),
        );
    }

    pub(super) fn hung_up(&mut self, why: Hangup, now: Mono) {
        let notice = self.notice.map(str::to_owned);
        let (state, words) = match why {
            Hangup::Silent => (LinkState::Silent, self.silence_words(now)),
            Hangup::Refused => {
                let words = "the device refuses: another client may be associated with it";
                (LinkState::Down, notice.unwrap_or_else(|| words.to_owned()))
            }
            Hangup::Released => {
                (LinkState::Down, notice.unwrap_or_else(|| "the device ended the conversation".to_owned()))
            }
            Hangup::Garbage => (LinkState::Down, self.noise_words()),
            Hangup::Closed => (LinkState::Down, "closed".to_owned()),
        };
        self.close_account();
        self.change(state, words);
    }

    /// True if this stranger is news.
    pub(super) fn refuse(&mut self, stranger: std::net::IpAddr) -> bool {
        let words = format!("refused {stranger}: it is not the sender of this link");
        let is_news = self.refused.as_ref() != Some(&words);
        self.refused = Some(words);
        is_news
    }

    pub(super) fn was_heard_since_opened(&self) -> bool {
        self.heard_at.is_some_and(|heard| heard >= self.opened_at)
    }

    /// Something of the device was understood.
    pub(super) fn event(&mut self, event: &Event, guard: &Guard, now: Mono) {
        match event {
            Event::Notice(words) => {
                self.notice = Some(words);
                return;
            }
            Event::Malformed { .. } => return,
            Event::Identified(identity) => self.identity = identity.clone(),
            Event::Numeric(_)
            | Event::Waveform(_)
            | Event::Alert(_)
            | Event::DeviceTime(_)
            | Event::Checkpoint(_) => {}
        }
        self.heard_at = Some(now);
        match guard.wrong() {
            Some(words) => self.change(LinkState::WrongDevice, words.to_owned()),
            None if !guard.passes() => "waiting for the device to say who it is".clone_into(&mut self.detail),
            None if matches!(event, Event::Identified(_) | Event::DeviceTime(_))
                && self.state == LinkState::Connecting => {}
            None => self.change(LinkState::Live, "data arriving".to_owned()),
        }
    }

    /// Once in a while and after each read: keeps the account, and notices silence.
    pub(super) fn look(&mut self, tally: Tally, now: Mono) {
        if tally.frames > self.tally.frames {
            self.heard_at = Some(now);
        }
        if tally.ignored(Ignored::NotOurs) > self.tally.ignored(Ignored::NotOurs) {
            self.others_at = Some(now);
        }
        self.tally = tally;
        if self.state == LinkState::Silent && self.others_at == Some(now) {
            self.change(LinkState::Silent, self.silence_words(now));
        }
        if matches!(self.state, LinkState::Opening | LinkState::Down | LinkState::Silent) {
            return;
        }
        if now.since(self.listened_since()) >= self.silent_after {
            self.change(LinkState::Silent, self.silence_words(now));
        }
    }

    pub(super) fn status(&self, now: Mono) -> LinkStatus {
        let mut tally = self.ended;
        tally += self.tally;
        let mut detail = self.detail.clone();
        for more in [self.refused.as_deref(), self.notice].into_iter().flatten() {
            if detail != more {
                detail = format!("{detail}; {more}");
            }
        }
        LinkStatus {
            link: self.index,
            name: self.name.clone(),
            driver: self.driver.to_owned(),
            state: self.state,
            detail,
            manufacturer: self.identity.manufacturer.to_string(),
            model: self.identity.model.to_string(),
            serial: self.identity.serial.to_string(),
            firmware: self.identity.firmware.to_string(),
            heard_ms: self.heard_at.map(|at| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX)),
            frames: tally.frames,
            malformed_bytes: tally.malformed_total(),
            clock: None,
        }
    }

    fn change(&mut self, state: LinkState, detail: String) {
        self.state = state;
        self.detail = detail;
    }

    fn close_account(&mut self) {
        self.ended += std::mem::take(&mut self.tally);
    }

    /// Since then nothing of this bed's device was understood.
    fn listened_since(&self) -> Mono {
        self.heard_at.map_or(self.opened_at, |heard| heard.max(self.opened_at))
    }

    /// Words begin with what to do: an alarm's text may be cut after 64 characters.
    fn silence_words(&self, now: Mono) -> String {
        let limit = cotside_config::section::words(self.silent_after);
        if self.others_at.is_some_and(|others| others >= self.listened_since()) {
            return self.others_words();
        }
        if self.was_heard_since_opened() {
            return format!("device off, or cable unplugged? Nothing heard for {limit}");
        }
        if self.tally.received > 0 {
            return self.noise_words();
        }
        let waited = now.since(self.opened_at).as_secs();
        format!("device off, output off, wrong cable? Not a byte in {waited} s on {}", self.place)
    }

    fn others_words(&self) -> String {
        if self.has_location {
            format!("check `location`: messages for other locations, none for this bed, on {}", self.place)
        } else {
            format!("another device's data arrives, none of this bed's, on {}", self.place)
        }
    }

    fn noise_words(&self) -> String {
        if self.is_serial {
            format!("wrong baud rate or driver? Only noise on {}", self.place)
        } else {
            format!("another protocol? Only noise on {}", self.place)
        }
    }

    fn port_words(&self, error: &io::Error) -> String {
        let place = &self.place;
        match error.kind() {
            io::ErrorKind::NotFound => format!("cable unplugged? {place} does not exist"),
            io::ErrorKind::PermissionDenied => {
                format!("agent not in group dialout? No permission for {place}")
            }
            io::ErrorKind::ResourceBusy => format!("used by another program: {place}"),
            io::ErrorKind::AddrInUse => format!("port used by another program: {place}"),
            io::ErrorKind::AddrNotAvailable => format!("this machine has no such address: {place}"),
            io::ErrorKind::ConnectionRefused => format!("data export off? {place} refuses the connection"),
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("network cable, address? {place} does not answer")
            }
            io::ErrorKind::BrokenPipe if self.is_serial => format!("cable unplugged? {place} is gone"),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                format!("the device closed the connection: {place}")
            }
            _ => format!("{place}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use cotside_config::agent::{Link, Place};
    use cotside_protocol::device::Settings;
    use cotside_protocol::devices::hl7::DRIVER;
    use cotside_protocol::model::{Ignored, Mono, Tally};
    use cotside_protocol::wire::upstream::LinkState;

    #[test]
    fn messages_of_other_beds_are_not_called_noise() {
        let link = Link {
            name: "gateway".into(),
            driver: &DRIVER,
            place: Place::TcpListen("127.0.0.1:2575".parse().unwrap()),
            allow: Vec::new(),
            serial: None,
            settings: Settings::default(),
        };
        let mut state = State::new(0, &link, Mono(0));
        state.opened(Mono(0));
        let mut tally = Tally::default();
        tally.received += 400;
        state.look(tally, Mono(90_000_000));
        let words = state.status(Mono(90_000_000)).detail;
        assert!(words.starts_with("another protocol?"), "{words}");
        tally.ignore(Ignored::NotOurs, 400);
        state.look(tally, Mono(91_000_000));
        let status = state.status(Mono(91_000_000));
        assert_eq!(status.state, LinkState::Silent);
        assert!(
            status.detail.starts_with("check `location`: messages for other locations"),
            "{}",
            status.detail
        );
    }
}

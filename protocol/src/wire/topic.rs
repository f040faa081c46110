//! The topic grammar, in one place: `cotside/v1/agent/{id}/up/...` and `.../down/...`. Nothing is retained.

use std::fmt;

/// An agent's name: `[a-z0-9-]{1,32}`, given by the hub, equal to its certificate's common name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(Box<str>);

impl AgentId {
    pub fn new(text: &str) -> Option<Self> {
        let is_name = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        is_name.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A stream of rows with its own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    Alarm,
    Numeric,
    Waveform,
}

impl Lane {
    pub const ALL: [Self; 3] = [Self::Alarm, Self::Numeric, Self::Waveform];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Numeric => "numeric",
            Self::Waveform => "waveform",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Upstream {
    Hello,
    /// Which earlier epochs of the log the backlog comes from next.
    Recall,
    /// Blocks of one lane, as they happen.
    Live(Lane),
    /// Blocks of one lane from before: same payload, sent behind the live position.
    Backlog(Lane),
    /// Full alarm state, at once and unsequenced.
    Announce,
    Status,
    /// What became of a command.
    Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Downstream {
    Welcome,
    Ack,
    /// The hub's heartbeat: agents send data only while it is heard.
    Alive,
    Limits,
    /// A person's word: acknowledge, pause, reset, standby.
    Command,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    Up(AgentId, Upstream),
    Down(AgentId, Downstream),
}

const ROOT: &str = "cotside/v1/agent/";

impl Upstream {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Recall => "recall",
            Self::Live(Lane::Alarm) => "live/alarm",
            Self::Live(Lane::Numeric) => "live/numeric",
            Self::Live(Lane::Waveform) => "live/waveform",
            Self::Backlog(Lane::Alarm) => "backlog/alarm",
            Self::Backlog(Lane::Numeric) => "backlog/numeric",
            Self::Backlog(Lane::Waveform) => "backlog/waveform",
            Self::Announce => "announce",
            Self::Status => "status",
            Self::Reply => "reply",
        }
    }

    const ALL: [Self; 11] = [
        Self::Hello,
        Self::Recall,
        Self::Live(Lane::Alarm),
        Self::Live(Lane::Numeric),
        Self::Live(Lane::Waveform),
        Self::Backlog(Lane::Alarm),
        Self::Backlog(Lane::Numeric),
        Self::Backlog(Lane::Waveform),
        Self::Announce,
        Self::Status,
        Self::Reply,
    ];
}

impl Downstream {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Ack => "ack",
            Self::Alive => "alive",
            Self::Limits => "limits",
            Self::Command => "command",
        }
    }

    const ALL: [Self; 5] = [Self::Welcome, Self::Ack, Self::Alive, Self::Limits, Self::Command];
}

impl Topic {
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(ROOT)?.split_once('/')?;
        let id = AgentId::new(id)?;
        if let Some(path) = rest.strip_prefix("up/") {
            let kind = Upstream::ALL.into_iter().find(|kind| kind.path() == path)?;
            return Some(Self::Up(id, kind));
        }
        let path = rest.strip_prefix("down/")?;
        let kind = Downstream::ALL.into_iter().find(|kind| kind.path() == path)?;
        Some(Self::Down(id, kind))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(id, kind) => write!(out, "{ROOT}{id}/up/{}", kind.path()),
            Self::Down(id, kind) => write!(out, "{ROOT}{id}/down/{}", kind.path()),
        }
    }
}

/// What an agent subscribes to: everything below its own `down/`.
pub fn down_filter(id: &AgentId) -> String {
    format!("{ROOT}{id}/down/#")
}

/// What the hub subscribes to on an external broker.
pub fn up_filter() -> &'static str {
    "cotside/v1/agent/+/up/#"
}

#[cfg(test)]
mod tests {
    use super::{AgentId, Downstream, Topic, Upstream};

    #[test]
    fn every_topic_survives_print_and_parse() {
        let id = AgentId::new("gw-07").unwrap();
        let up = Upstream::ALL.into_iter().map(|kind| Topic::Up(id.clone(), kind));
        let down = Downstream::ALL.into_iter().map(|kind| Topic::Down(id.clone(), kind));
        for topic in up.chain(down) {
            assert_eq!(Topic::parse(&topic.to_string()), Some(topic));
        }
    }

    #[test]
    fn a_name_outside_the_grammar_is_no_topic() {
        for text in [
            "cotside/v1/agent/A/up/hello",
            "cotside/v1/agent//up/hello",
            "cotside/v1/agent/+/up/hello",
            "cotside/v1/agent/a/up/hello/x",
            "x",
        ] {
            assert_eq!(Topic::parse(text), None, "{text}");
        }
    }
}

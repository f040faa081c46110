//! Everything this driver may send: a closed list of questions and association control. Nothing here changes a measurement, a limit
//! or the patient; the wave list chooses what this association is sent.

use super::association::UserInfo;
use super::lists::Labels;
use super::message::{Message, Poll, WAVE_LIST, class, group};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// Ends an association that an earlier life of ours may have left behind.
    Abort,
    Associate,
    Release,
    /// The answer to MDS create; without it the monitor serves nothing.
    ConfirmSystem {
        invoke: u16,
        time: u32,
    },
    /// Who are you, what time is it.
    System,
    SelectWaves,
    /// Labels and kinds of all numerics.
    NumericContexts,
    Numerics,
    Waves,
    Alerts,
    Patient,
    KeepAlive,
}

/// What the queries ask for, chosen by the settings.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    pub(super) mtu: u32,
    /// Extended poll options.
    pub(super) options: u32,
    /// Wave labels for the priority list; None: leave the monitor's choice.
    pub(super) labels: Option<Vec<u32>>,
}

/// How long one extended poll keeps the monitor sending: 60 s of ticks; it is renewed well before.
const KEEP_SENDING: u32 = 480_000;

impl Query {
    /// Invoke id and poll number, by which an answer is known.
    pub(super) const fn number(self) -> u16 {
        match self {
            Self::Abort | Self::Associate | Self::Release => 0,
            Self::ConfirmSystem { invoke, .. } => invoke,
            Self::System => 1,
            Self::SelectWaves => 2,
            Self::NumericContexts => 3,
            Self::Numerics => 4,
            Self::Waves => 5,
            Self::Alerts => 6,
            Self::Patient => 7,
            Self::KeepAlive => 8,
        }
    }

    /// Appends the message, unframed.
    pub(super) fn emit(self, wishes: &Wishes, out: &mut Vec<u8>) {
        let invoke = self.number();
        let single = |class, group| Poll { number: invoke, class, group, keep_sending: None };
        let stream = |class, group| Poll { number: invoke, class, group, keep_sending: Some(KEEP_SENDING) };
        let labels: Vec<u8> = wishes.labels.iter().flatten().flat_map(|label| label.to_be_bytes()).collect();
        let message = match self {
            Self::Abort => Message::Abort,
            Self::Associate => Message::Associate(UserInfo::client(wishes.mtu, wishes.options)),
            Self::Release => Message::Release,
            Self::ConfirmSystem { invoke, time } => Message::MdsCreateResult { invoke, time },
            Self::SelectWaves => Message::Select { invoke, list: WAVE_LIST, labels: Labels::new(&labels) },
            Self::System => Message::Poll { invoke, poll: single(class::MDS, group::ALL) },
            Self::NumericContexts => Message::Poll { invoke, poll: single(class::NUMERIC, group::ALL) },
            Self::Numerics => Message::Poll { invoke, poll: stream(class::NUMERIC, group::OBSERVED) },
            // All groups: the monitor then weaves one wave's context into the stream each second.
            Self::Waves => Message::Poll { invoke, poll: stream(class::WAVE, group::ALL) },
            Self::Alerts => Message::Poll { invoke, poll: stream(class::ALERTS, group::ALERTS) },
            Self::Patient => Message::Poll { invoke, poll: single(class::PATIENT, group::PATIENT) },
            Self::KeepAlive => Message::Poll { invoke, poll: single(class::ALERTS, group::STATIC) },
        };
        message.emit(out);
    }
}

//! Which patient each device of the bed names: two that name different ones do not both belong here (hazard H2).
//!
//! Who is right cannot be known here. The device that was connected first keeps its bed, the later one is withheld, both alarm.

use crate::row::LinkIndex;
use cotside_protocol::model::{DeviceText, Private};
use cotside_protocol::wire::upstream::{LinkState, LinkStatus};

/// What the alarm says; never whom the devices name.
const WORDS: &str = "devices at this bed name different patients";

/// How a link stands with the others of its bed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Agreed,
    /// A device that came later names another patient.
    Disputed,
    /// A device that came earlier names another patient: nothing of this one is attributed.
    Withheld,
}

impl Standing {
    /// What the bed makes of what the link says of itself.
    pub(super) fn judge(self, mut status: LinkStatus) -> LinkStatus {
        if self != Self::Agreed {
            WORDS.clone_into(&mut status.detail);
        }
        if self == Self::Withheld {
            status.state = LinkState::WrongDevice;
        }
        status
    }
}

#[derive(Clone, Debug)]
pub(super) struct Patients {
    devices: Vec<Device>,
    conversations: u64,
}

#[derive(Clone, Debug, Default)]
struct Device {
    /// Number of its conversation among all of the bed.
    conversation: u64,
    /// Taken for this bed's; a device that is silent, gone or a stranger disputes nothing.
    is_here: bool,
    patient: Option<Private<DeviceText>>,
}

impl Patients {
    pub(super) fn new(links: usize) -> Self {
        Self { devices: vec![Device::default(); links], conversations: 0 }
    }

    /// A conversation begins: the device has to say anew whom it watches.
    pub(super) fn opened(&mut self, link: LinkIndex) {
        self.conversations += 1;
        if let Some(device) = self.devices.get_mut(usize::from(link)) {
            *device = Device { conversation: self.conversations, ..Device::default() };
        }
    }

    pub(super) fn state(&mut self, link: LinkIndex, state: LinkState) {
        if let Some(device) = self.devices.get_mut(usize::from(link)) {
            device.is_here = matches!(state, LinkState::Connecting | LinkState::Live);
        }
    }

    pub(super) fn named(&mut self, link: LinkIndex, patient: Option<&Private<DeviceText>>) {
        if let Some(device) = self.devices.get_mut(usize::from(link)) {
            device.patient = patient.filter(|patient| !patient.reveal().as_str().trim().is_empty()).cloned();
        }
    }

    /// The device that came first says whose bed it is.
    pub(super) fn standing(&self, link: usize) -> Standing {
        let naming = || {
            self.devices.iter().enumerate().filter(|(_, device)| device.is_here).filter_map(|(at, device)| {
                Some((device.conversation, at, device.patient.as_ref()?.reveal().as_str().trim()))
            })
        };
        let mine = naming().find(|(_, at, _)| *at == link);
        let (Some((.., mine)), Some((.., first))) = (mine, naming().min()) else { return Standing::Agreed };
        if mine != first {
            Standing::Withheld
        } else if naming().any(|(.., other)| other != mine) {
            Standing::Disputed
        } else {
            Standing::Agreed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Patients, Standing};
    use Standing::{Agreed, Disputed, Withheld};
    use cotside_protocol::model::Private;
    use cotside_protocol::wire::upstream::LinkState;

    fn bed(order: &[u8]) -> Patients {
        let mut patients = Patients::new(order.len());
        for link in order {
            patients.opened(*link);
            patients.state(*link, LinkState::Live);
        }
        patients
    }

    fn name(patients: &mut Patients, link: u8, patient: &str) {
        patients.named(link, Some(&Private::new(patient.into())));
    }

    fn standings(patients: &Patients) -> Vec<Standing> {
        (0..patients.devices.len()).map(|link| patients.standing(link)).collect()
    }

    #[test]
    fn h2_of_two_devices_that_name_different_patients_the_later_one_is_withheld() {
        let mut patients = bed(&[1, 0]);
        name(&mut patients, 0, "77");
        assert_eq!(standings(&patients), [Agreed, Agreed], "who names nobody disputes nothing");
        name(&mut patients, 1, "88");
        assert_eq!(standings(&patients), [Withheld, Disputed]);
        name(&mut patients, 1, "77 ");
        assert_eq!(standings(&patients), [Agreed, Agreed]);
        name(&mut patients, 1, "99");
        assert_eq!(standings(&patients), [Withheld, Disputed], "a change within the connection counts");
        name(&mut patients, 1, " ");
        assert_eq!(standings(&patients), [Agreed, Agreed]);
    }

    #[test]
    fn h2_a_device_that_is_gone_disputes_nothing_and_one_that_returns_comes_later() {
        let mut patients = bed(&[0, 1]);
        name(&mut patients, 0, "77");
        name(&mut patients, 1, "88");
        for gone in [LinkState::Down, LinkState::Silent, LinkState::WrongDevice] {
            patients.state(0, gone);
            assert_eq!(standings(&patients), [Agreed, Agreed], "{gone:?}");
        }
        patients.state(0, LinkState::Live);
        assert_eq!(standings(&patients), [Disputed, Withheld], "the same conversation goes on");
        patients.opened(0);
        patients.state(0, LinkState::Connecting);
        assert_eq!(standings(&patients), [Agreed, Agreed], "it has to say again whom it watches");
        name(&mut patients, 0, "77");
        assert_eq!(standings(&patients), [Withheld, Disputed]);
    }

    #[test]
    fn h2_one_stranger_among_three_is_withheld_alone() {
        let mut patients = bed(&[0, 1, 2]);
        name(&mut patients, 0, "77");
        name(&mut patients, 1, "88");
        name(&mut patients, 2, "77");
        assert_eq!(standings(&patients), [Disputed, Withheld, Disputed]);
    }
}

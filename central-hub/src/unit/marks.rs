//! What the hub itself found about an agent, as a technical alarm at its bed until a person has settled it.

use super::view::AlarmView;
use crate::store::marks::Mark;
use cotside_protocol::wire::upstream::{Alarm, AlarmKind, Condition, Inactivation, Priority};

pub(super) fn alarm(mark: &Mark) -> AlarmView {
    let text = match mark.what.as_str() {
        "identity-conflict" => "A second gateway of this name, or its log was set back",
        "store-set-back" => "The hub's store was set back: data may be missing",
        other => other,
    };
    let alarm = Alarm {
        episode: format!("hub-{}-{}", mark.what, mark.agent),
        version: 1,
        rule: mark.what.clone(),
        kind: AlarmKind::Technical,
        priority: Priority::Medium,
        condition: Condition::Active,
        inactivation: Inactivation::Enabled,
        code: None,
        site: None,
        value: None,
        limit: None,
        ucum: String::new(),
        text: text.to_owned(),
        onset_us: mark.since.0,
        active_us: Some(mark.since.0),
        ended_us: None,
    };
    // The hub's own clock and the hub's own record.
    AlarmView::new(&alarm, true, 0)
}

//! The model: what a bedside device can say, in the field's own words (IEEE 11073, IEC 60601-1-8, UCUM), free of any vendor.
//!
//! No type here is serialisable: what leaves the process is converted in [`crate::wire`].

mod alarm;
mod envelope;
mod event;
mod parameter;
mod signal;
mod text;
mod time;
mod value;

pub use alarm::{
    Alarm, AlarmKind, Apnoea, Combined, Condition, Depth, Ended, EpisodeId, Inactivation, Limit, LimitSet,
    LimitSide, Priority, Rate, Responsibility,
};
pub use envelope::{Bound, Envelope, LIMITS_MAX, RATES_MAX, beyond};
pub use event::{
    Alert, AlertPhase, DeviceTime, Event, Identity, Ignored, Malformed, NO_SAMPLE, Numeric, StoreToken,
    Tally, Waveform, Zone,
};
pub use parameter::{Code, PARAMETERS, Parameter, Site, parameter, ucum_of_mdc_unit};
pub use signal::Pattern;
pub use text::{DeviceText, Private};
pub use time::{Mono, Now, Wall};
pub use value::{Decimal, Kind, Pace, Provenance, Quality};

//! A subscriber that panics when a log line names a patient.

/// Wherever a test lets this name or number into the hub, no log line may carry it, at any level.
pub(crate) const KNOWN_NAME: &str = "Thompson-Okafor";
pub(crate) const KNOWN_IDENTIFIER: &str = "MRN-00814711";

/// Panics in the thread that logs a patient: the request fails, and its test with it.
pub(crate) struct Confidential;

pub(crate) struct Witness;

impl tracing::field::Visit for Witness {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        for known in [KNOWN_NAME, KNOWN_IDENTIFIER] {
            assert!(!text.contains(known), "a log line names a patient, in field {field}");
        }
    }
}

impl tracing::Subscriber for Confidential {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut Witness);
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Witness);
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Witness);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

//! HL7 v2 as bytes: MLLP framing, zero-copy scanning, escapes, character sets. Shared by the device driver and the hub.

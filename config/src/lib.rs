//! Typed configuration of agent and hub: checked, self-describing.

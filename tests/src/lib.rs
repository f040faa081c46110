//! The whole system in few binaries: house rules, a unit in virtual time, real processes, figures.

pub mod archive;
pub mod bad_hub;
pub mod bad_store;
pub mod bench;
pub mod broker;
pub mod burden;
pub mod cable_out;
pub mod completeness;
pub mod contract;
pub mod corpora;
pub mod counting;
pub mod figures;
pub mod full_hub;
pub mod image;
pub mod kill_nine;
pub mod ledger;
pub mod power_cut;
pub mod proxy;
pub mod settled;
pub mod tidy_end;
pub mod two_ends;
pub mod virtual_unit;

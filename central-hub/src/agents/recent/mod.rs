//! What a returning agent's repetitions are compared with, looked up once for all who return together.

pub mod run;

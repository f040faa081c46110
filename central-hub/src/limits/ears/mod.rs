//! What the agents say of their limits, between the conversations that hear it and the loop that answers for it.

pub mod run;

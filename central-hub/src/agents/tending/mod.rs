//! Where the hub's stages leave what is to be said at a bed, and the conversation with its agent finds it.

pub mod run;

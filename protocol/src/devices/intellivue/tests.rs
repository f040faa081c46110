//! The driver as a whole: recorded corpora (read in place where they are present), and the conversation with its peer.

mod conversation;
mod corpora;

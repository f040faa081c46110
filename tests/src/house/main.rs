//! The rules of the house, held by reading the tree: who may name whom, where waiting is allowed, how files begin and how long they get.

mod arrows;
mod files;
mod purity;
mod tree;

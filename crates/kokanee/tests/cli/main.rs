//! The program as a user runs it: every command on tiny data made here, and what it says to bad input.

mod architectures;
mod container;
mod demo;
mod evaluate;
mod folders;
mod hostile;
mod import;
mod inspect;
mod kmeans;
mod lexicon;
mod local;
mod local_kills;
mod local_load;
mod local_resources;
mod machine;
mod prepare;
mod records;
mod score;
mod serve;
mod situations;
mod train;
mod transform;
mod translate;
mod versions;
mod workplace;

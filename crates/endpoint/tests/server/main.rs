//! The server as clients see it: real HTTP over loopback, with a model that adds up its features.

mod bad_clients;
mod forms;
mod limits;
mod refusals;
mod streams;
mod workplace;

//! The server as clients see it: real HTTP over loopback, a real small model.

mod bad_clients;
mod contract;
mod errors;
mod guarantee;
mod life;
mod limits;
mod load;
mod precision;
mod streams;
mod workplace;

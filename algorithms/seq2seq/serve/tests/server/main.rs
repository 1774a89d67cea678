//! Tests of the server from the clients' side: real HTTP over loopback, a real small model.

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

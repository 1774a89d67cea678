//! S3's protocol in front of the store.

mod auth;
mod body;
mod buckets;
mod configuration;
mod copies;
mod described;
mod dispatch;
mod entry;
mod form;
mod lists;
mod objects;
mod service;
mod tags;
mod uploads;

pub use entry::{S3Site, router};
pub use service::Settings;

//! S3's protocol in front of the store.

mod auth;
mod body;
mod buckets;
mod configuration;
mod copies;
mod described;
mod dispatch;
mod form;
mod lists;
mod objects;
mod service;
mod tags;
mod uploads;

pub use service::{S3Site, Settings, router};

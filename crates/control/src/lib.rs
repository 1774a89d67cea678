//! A local SageMaker: what boto3, SageMaker's SDKs and the AWS CLI talk to instead of AWS.
//!
//! | module | what stands in it |
//! |---|---|
//! | [`server`] | all services on one port |
//! | [`wire`] | the protocols: from a request to a call, and back |
//! | [`console`] | pages for people |
//! | [`api`] | the operations that are answered, one file for each resource |
//! | [`operations`] | the table of operations: services, names, shapes of requests and answers, errors |
//! | [`jobs`] | what all kinds of jobs have in common |
//! | [`training`] | training jobs: their lives, and what a runner does with them |
//! | [`transform`] | batch transform jobs: their lives |
//! | [`tuning`] | hyperparameter tuning jobs: their lives |
//! | [`tuner`] | hyperparameter tuning jobs at work |
//! | [`hosting`] | models and endpoints: their lives, and the way of a request to an instance |
//! | [`runner`] | training jobs at work |
//! | [`transformer`] | batch transform jobs at work |
//! | [`fleet`] | the instances of endpoints at work |
//! | [`scaling`] | Application Auto Scaling: endpoints get the instances that they need |
//! | [`runtime`] | requests to endpoints |
//! | [`engine`] | what runs programs: processes of this machine |
//! | [`paging`] | lists of resources, page by page |
//! | [`logs`] | log groups, their streams, and what is in them |
//! | [`metrics`] | points of metrics, and statistics over them |
//! | [`images`] | images that users bring, as programs and in containers |
//! | [`store`] | what is known, in SQLite |
//! | [`s3`] | buckets and objects, as plain files |
//! | [`objects`] | what jobs are given and leave, in these buckets or in another S3 |
//! | [`signature`] | who signed a request |
//! | [`S3Uri`] | addresses in S3, as requests give them |
//! | [`environment`] | what clients need in their environment |
//! | [`proxy`] | the server as the HTTPS proxy of its clients, with certificates of its own |
//!
//! No engine is linked here: algorithms run as child processes.

pub mod api;
mod aws_names;
pub mod console;
pub mod engine;
pub mod environment;
pub mod fleet;
mod folder_files;
pub mod hosting;
pub mod images;
pub mod jobs;
pub mod logs;
mod machine;
pub mod metrics;
pub mod objects;
pub mod operations;
pub mod paging;
pub mod proxy;
pub mod runner;
pub mod runtime;
pub mod s3;
mod s3_uri;
pub mod scaling;
mod schema;
pub mod server;
pub mod signature;
pub mod store;
mod tags;
mod times;
mod tokens;
pub mod training;
pub mod transform;
pub mod transformer;
pub mod tuner;
pub mod tuning;
pub mod wire;

pub use s3_uri::{S3Uri, S3UriError};

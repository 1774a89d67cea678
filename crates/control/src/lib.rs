//! A local SageMaker, which boto3, SageMaker's SDKs and the AWS CLI use instead of AWS.
//!
//! | module | content |
//! |---|---|
//! | [`server`] | all services on one port |
//! | [`wire`] | the protocols: from a request to a call, and back |
//! | [`console`] | pages for people |
//! | [`api`] | the operations that are answered, one file per resource |
//! | [`operations`] | the table of operations: services, names, shapes of requests and answers, errors |
//! | [`jobs`] | what all kinds of jobs share |
//! | [`training`] | training jobs: their lives, and what a runner needs to run them |
//! | [`transform`] | batch transform jobs: their lives |
//! | [`tuning`] | hyperparameter tuning jobs: their lives |
//! | [`tuner`] | runs hyperparameter tuning jobs |
//! | [`hosting`] | models and endpoints: their lives, and the routing of a request to an instance |
//! | [`runner`] | runs training jobs |
//! | [`transformer`] | runs batch transform jobs |
//! | [`fleet`] | runs the instances of endpoints |
//! | [`scaling`] | Application Auto Scaling: endpoints get the instances that they need |
//! | [`runtime`] | requests to endpoints |
//! | [`engine`] | runs programs as processes of this machine |
//! | [`paging`] | lists of resources, page by page |
//! | [`logs`] | log groups, their streams, and the lines in them |
//! | [`metrics`] | points of metrics, and statistics over them |
//! | [`images`] | users' own images, as programs and in containers |
//! | [`store`] | the state of all resources, in SQLite |
//! | [`s3`] | buckets and objects, as plain files |
//! | [`objects`] | the input and output of jobs, in these buckets or in another S3 |
//! | [`signature`] | signatures of requests |
//! | [`S3Uri`] | addresses in S3, as requests give them |
//! | [`environment`] | the environment variables that clients need |
//! | [`proxy`] | the server as the HTTPS proxy of its clients, with its own certificates |
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

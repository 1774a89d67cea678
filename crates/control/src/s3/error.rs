//! Errors in S3's form: one table from code to status.

use std::io;
use std::path::Path;

use kokanee_formats::FileError;
use thiserror::Error;

/// A request that S3 refuses, or that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct S3Error {
    /// The row of the table.
    pub code: ErrorCode,
    /// What was wrong, and what to do.
    pub message: String,
    /// Further elements of the response: name and text.
    pub details: Vec<(&'static str, String)>,
}

macro_rules! codes {
    ($($name:ident = $status:literal, $doc:literal;)*) => {
        /// Kinds of errors, by AWS's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode { $(#[doc = $doc] $name,)* }

        impl ErrorCode {
            /// The table: HTTP status, and the name in responses.
            const fn row(self) -> (u16, &'static str) {
                match self { $(Self::$name => ($status, stringify!($name)),)* }
            }
        }
    };
}

codes! {
    AccessControlListNotSupported = 400, "The bucket has no access control lists.";
    AccessDenied = 403, "The bucket has another owner, or a presigned URL has expired.";
    AuthorizationHeaderMalformed = 400, "The header Authorization cannot be read.";
    AuthorizationQueryParametersError = 400, "The parameters of a presigned URL cannot be read.";
    BadDigest = 400, "A checksum is not that of the body.";
    BucketAlreadyOwnedByYou = 409, "The bucket is there.";
    BucketNotEmpty = 409, "A bucket with objects is not deleted.";
    EntityTooLarge = 400, "The object or form is larger than allowed.";
    EntityTooSmall = 400, "A part that is not the last has less than 5 MiB.";
    IllegalLocationConstraintException = 400, "The region of a bucket is none.";
    IncompleteBody = 400, "The body is shorter or longer than announced.";
    InsufficientStorage = 507, "The disk is full.";
    InternalError = 500, "A fault here.";
    InvalidAccessKeyId = 403, "The access key is not the server's.";
    InvalidArgument = 400, "A parameter or header cannot be used.";
    InvalidBucketName = 400, "No bucket may be called so.";
    InvalidDigest = 400, "A checksum that no body can have.";
    InvalidPart = 400, "A part that is not there, or has another ETag.";
    InvalidPartOrder = 400, "Parts are not listed in the order of their numbers.";
    InvalidPolicyDocument = 400, "The policy of a form cannot be read.";
    InvalidRange = 416, "The object ends before the range begins.";
    InvalidRequest = 400, "A request that contradicts itself.";
    InvalidTag = 400, "A tag is too long or cannot be read.";
    InvalidURI = 400, "The path is not percent-encoded UTF-8.";
    KeyTooLongError = 400, "A key has more than 1024 bytes.";
    MalformedPOSTRequest = 400, "A form that cannot be read.";
    MalformedXML = 400, "A body that is not the XML that was expected.";
    MetadataTooLarge = 400, "The user's metadata have more than 2 KiB.";
    MethodNotAllowed = 405, "The resource knows other methods only.";
    MissingContentLength = 411, "The length of the body is not announced.";
    NoSuchBucket = 404, "There is no such bucket.";
    NoSuchBucketPolicy = 404, "The bucket has no policy.";
    NoSuchCORSConfiguration = 404, "The bucket has no CORS configuration.";
    NoSuchKey = 404, "There is no such object.";
    NoSuchLifecycleConfiguration = 404, "The bucket has no lifecycle.";
    NoSuchPublicAccessBlockConfiguration = 404, "The bucket has no such configuration.";
    NoSuchTagSet = 404, "The bucket has no tags.";
    NoSuchUpload = 404, "There is no such upload.";
    NoSuchVersion = 404, "Objects have one version, called null.";
    NoSuchWebsiteConfiguration = 404, "The bucket is no website.";
    NotImplemented = 501, "S3 can do it, Kokanee cannot.";
    ObjectLockConfigurationNotFoundError = 404, "Objects are not locked.";
    OwnershipControlsNotFoundError = 404, "The bucket has no such configuration.";
    PreconditionFailed = 412, "A condition of the request does not hold.";
    ReplicationConfigurationNotFoundError = 404, "The bucket is not replicated.";
    RequestTimeTooSkewed = 403, "The clock of the client is wrong.";
    RequestTimeout = 400, "The body did not arrive in time.";
    ServerSideEncryptionConfigurationNotFoundError = 404, "Objects are plain files.";
    SignatureDoesNotMatch = 403, "The signature is not that of the request.";
    SlowDown = 503, "Too many requests are running.";
    XAmzContentSHA256Mismatch = 400, "The SHA-256 that was signed is not that of the body.";
}

impl ErrorCode {
    /// HTTP status.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// Name in responses.
    pub const fn name(self) -> &'static str {
        self.row().1
    }
}

/// `Result` of this module.
pub type Result<T> = std::result::Result<T, S3Error>;

impl S3Error {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// Adds an element.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// An error for an invalid parameter or header.
    pub(crate) fn argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message).with("ArgumentName", name).with("ArgumentValue", value)
    }

    pub(crate) fn no_such_bucket(bucket: &str) -> Self {
        Self::new(ErrorCode::NoSuchBucket, "The specified bucket does not exist").with("BucketName", bucket)
    }

    pub(crate) fn no_such_key(key: &str) -> Self {
        Self::new(ErrorCode::NoSuchKey, "The specified key does not exist.").with("Key", key)
    }

    pub(crate) fn precondition(name: &str) -> Self {
        let message = "At least one of the pre-conditions you specified did not hold";
        Self::new(ErrorCode::PreconditionFailed, message).with("Condition", name)
    }

    /// An error of the system.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let wrap = FileError::io(path, action);
        |error| {
            let code = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::InsufficientStorage,
                io::ErrorKind::InvalidFilename => ErrorCode::KeyTooLongError,
                _ => ErrorCode::InternalError,
            };
            Self::new(code, wrap(error).to_string())
        }
    }
}

impl From<FileError> for S3Error {
    fn from(error: FileError) -> Self {
        let FileError { path, action, source } = error;
        Self::io(&path, action)(source)
    }
}

//! Rules for names of buckets and keys.

use std::net::Ipv4Addr;

use super::error::{ErrorCode, Result, S3Error};

/// The longest key, in bytes of UTF-8.
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// Checks the name of a bucket by S3's rules.
pub(crate) fn check_bucket(name: &str) -> Result<()> {
    let is_end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inner = |byte: u8| is_end(byte) || matches!(byte, b'-' | b'.');
    let bytes = name.as_bytes();
    let is_valid = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&byte| is_inner(byte))
        && is_end(bytes[0])
        && is_end(bytes[bytes.len() - 1])
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err();
    if is_valid {
        return Ok(());
    }
    let message = "The specified bucket is not valid.: 3 to 63 lowercase letters, digits, points and hyphens, beginning and ending \
                   with a letter or digit";
    Err(S3Error::new(ErrorCode::InvalidBucketName, message).with("BucketName", name))
}

/// Checks a key.
pub(crate) fn check_key(key: &str) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        let error = S3Error::new(ErrorCode::KeyTooLongError, "Your key is too long");
        return Err(error
            .with("Size", key.len().to_string())
            .with("MaxSizeAllowed", MAX_KEY_BYTES.to_string()));
    }
    if key.is_empty() {
        return Err(S3Error::argument("key", key, "A key has at least one character."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets_follow_the_rules_of_s3() {
        for name in ["abc", "sagemaker-us-east-1-123456789012", "a.b-c.d", "1ab"] {
            check_bucket(name).unwrap();
        }
        let long = "a".repeat(64);
        for name in
            ["", "ab", &*long, "Abc", "a_b", ".ab", "ab-", "a..b", "192.168.0.1", "..", "a/b", ".kokanee-s3"]
        {
            assert_eq!(check_bucket(name).unwrap_err().code, ErrorCode::InvalidBucketName, "{name}");
        }
    }

    #[test]
    fn keys_have_1_to_1024_bytes() {
        check_key(&"é".repeat(512)).unwrap();
        assert_eq!(check_key(&"é".repeat(513)).unwrap_err().code, ErrorCode::KeyTooLongError);
        assert_eq!(check_key("").unwrap_err().code, ErrorCode::InvalidArgument);
    }
}

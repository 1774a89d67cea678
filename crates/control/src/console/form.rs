//! Fields of a form that a page sent.

use crate::s3::Query;

/// The fields.
#[derive(Debug, Default)]
pub(super) struct Form(Query);

impl Form {
    /// Reads a body of `application/x-www-form-urlencoded`; none where it is not one.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        Query::parse(std::str::from_utf8(body).ok()?).ok().map(Self)
    }

    /// A field; empty where it is missing. Browsers write ends of lines as `\r\n`.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.get(name).unwrap_or_default().replace("\r\n", "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let form = Form::read(b"body=a+b%0D%0Ac%26&type=text%2Fcsv").unwrap();
        assert_eq!((form.text("body").as_str(), form.text("type").as_str()), ("a b\nc&", "text/csv"));
        assert_eq!(form.text("other"), "");
        assert!(Form::read(b"\xff").is_none() && Form::read(b"a=%ff").is_none());
    }
}

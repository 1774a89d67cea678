//! Access to the console: open on a server without keys; on one with keys, only for browsers that have presented its token.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::signature::Keys;
use crate::wire::request_id;

/// Recognises the sign-ins of this run of the server. Cookies of another run or another server do not match.
pub(super) struct Access {
    nonce: String,
    cookie: String,
}

impl Access {
    /// `port` distinguishes the cookies of several servers on one machine.
    pub(super) fn new(port: u16) -> Self {
        Self { nonce: request_id(), cookie: format!("kokanee-console-{port}") }
    }

    /// Whether the browser has signed in.
    pub(super) fn is_signed_in(&self, keys: &Keys, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs
            .into_iter()
            .any(|(name, value)| name == self.cookie && keys.is_console_session(&self.nonce, value))
    }

    /// The cookie header for a browser that has presented the token. Pages of other sites cannot make a browser send it, and scripts cannot
    /// read it.
    pub(super) fn cookie(&self, keys: &Keys) -> String {
        let value = keys.console_session(&self.nonce);
        format!("{}={value}; Path=/console; HttpOnly; SameSite=Strict", self.cookie)
    }
}

/// Whether a changing request comes from a page of this same origin, or from no page at all.
pub(super) fn is_same_origin(head: &Parts) -> bool {
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = head.uri.authority().map(|authority| authority.as_str()).or_else(|| text("host"));
    let is_own = |origin: &str| {
        let named = origin.split_once("://").map(|(_, named)| named);
        named.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
    };
    text("origin").is_none_or(is_own)
        && text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::post("/console"), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_pages_of_the_same_origin_change_things() {
        let check = |headers: &[(&str, &str)], want: bool| {
            assert_eq!(
                is_same_origin(&head(&[&[("host", "localhost:7243")], headers].concat())),
                want,
                "{headers:?}"
            );
        };
        check(&[], true);
        check(&[("origin", "http://localhost:7243"), ("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "http://127.0.0.1:7243")], false);
        check(&[("origin", "http://localhost:8888")], false);
        check(&[("origin", "http://evil.localhost:7243")], false);
        check(&[("origin", "null")], false);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
    }

    #[test]
    fn a_cookie_fits_one_start_of_one_server() {
        let keys = Keys::new("team", "a long secret".replace(' ', "-").as_str()).unwrap();
        let access = Access::new(7243);
        let cookie = access.cookie(&keys);
        let pair = cookie.split(';').next().unwrap();
        let signed_in = |access: &Access, keys: &Keys, cookie: &str| {
            access.is_signed_in(keys, &head(&[("cookie", cookie)]).headers)
        };
        assert!(signed_in(&access, &keys, &format!("a=b; {pair}")));
        assert!(!signed_in(&Access::new(7243), &keys, pair), "another start");
        assert!(!signed_in(&access, &Keys::new("team", "another-secret").unwrap(), pair));
        assert!(!signed_in(&access, &keys, "kokanee-console-7243="));
        assert!(keys.is_console_token(&keys.console_token()) && !keys.is_console_token(""));
        assert!(!keys.is_console_token(&keys.console_session("x")));
    }
}

//! HTTP: URLs, queries, paths and the headers that are read as values.

pub mod accept;
pub mod authenticate;
pub mod path;
mod percent;
pub mod query;
pub mod url;

pub use authenticate::{WwwAuthenticate, WwwAuthenticateError};
pub use path::PathError;
pub use percent::{DecodeError, decode, decode_bytes, encode, encode_with};
pub use query::Query;
pub use url::{Host, HostError, Scheme, Url, UrlError};

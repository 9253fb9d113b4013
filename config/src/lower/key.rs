//! Keys of requests: what `"tenant"` stands for is put in its place.

use toml::Spanned;

use super::Lowering;
use crate::file::KeySource;
use crate::plan::RequestKey;
use crate::read::Key;

impl Lowering<'_> {
    /// What `server.tenant` says.
    pub(super) fn tenant(&mut self, written: &Key<KeySource>) -> Option<RequestKey> {
        match written.written()?.get_ref() {
            KeySource::Key(_) => self.request_key(written.written()?),
            KeySource::Tenant => {
                let help = "write what says which tenant it is, such as \"header:x-tenant-id\"";
                self.error(written.span(), "server.tenant is \"tenant\" itself".to_owned(), help);
                None
            }
        }
    }

    /// The key that was written. `None`: it is told already why there is none.
    pub(super) fn request_key(&mut self, written: &Spanned<KeySource>) -> Option<RequestKey> {
        match written.get_ref() {
            KeySource::Key(key) => {
                if matches!(key, RequestKey::Claim(_)) && !self.has_jwt {
                    let help = "add [server.jwt] with what verifies tokens: secret = \"${JWT_SECRET}\"";
                    self.error(written.span(), format!("\"{key}\" needs server.jwt"), help);
                }
                Some(key.clone())
            }
            KeySource::Tenant => {
                if self.tenant.is_none() {
                    let help = "add tenant = \"header:x-tenant-id\" to [server]";
                    self.error(written.span(), "\"tenant\" needs server.tenant".to_owned(), help);
                }
                self.tenant.clone()
            }
        }
    }
}

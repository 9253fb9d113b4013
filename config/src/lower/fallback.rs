//! What answers requests that nothing at an upstream has seen.

use core::ops::Range;
use std::sync::Arc;

use super::Lowering;
use super::route::Known;
use crate::file::{self, File};
use crate::plan::{ErrorPage, Fallback, Route};
use crate::read::Switch;

impl Lowering<'_> {
    /// What every upstream says, by its index.
    pub(super) fn fallbacks(&mut self, known: &Known<'_>, file: &File) -> Vec<Option<Arc<Fallback>>> {
        let written = file.upstream.get().map(|named| named.0.as_slice()).unwrap_or_default();
        let each = written.iter().enumerate().map(|(index, (_, upstream))| {
            let fallback = upstream.get_ref().fallback.written()?;
            Some(self.fallback(known, Some(index), fallback.get_ref(), fallback.span()))
        });
        each.collect()
    }

    /// What a route says, or else its upstream.
    pub(super) fn route_fallback(
        &mut self,
        known: &Known<'_>,
        fallbacks: &[Option<Arc<Fallback>>],
        route: &file::Route,
        upstream: Option<usize>,
    ) -> Option<Arc<Fallback>> {
        let Some(written) = route.fallback.written() else {
            return fallbacks.get(upstream?).cloned().flatten();
        };
        let Switch::On(fallback) = written.get_ref() else { return None };
        if let Some(span) = fallback.stale.span().filter(|_| route.cache.is_absent()) {
            let help = "add cache = true, or take stale away";
            self.error(span, "fallback.stale needs a cache on the route".to_owned(), help);
        }
        Some(self.fallback(known, upstream, fallback, written.span()))
    }

    /// What an upstream says of stale answers is for those of its routes that have a cache and say nothing else.
    pub(super) fn stale_of_nothing(
        &mut self,
        file: &File,
        fallbacks: &[Option<Arc<Fallback>>],
        routes: &[Route],
    ) {
        let written = file.upstream.get().map(|named| named.0.as_slice()).unwrap_or_default();
        for ((name, upstream), fallback) in written.iter().zip(fallbacks) {
            let stale = upstream.get_ref().fallback.get().and_then(|fallback| fallback.stale.span());
            let (Some(span), Some(fallback)) = (stale, fallback) else { continue };
            let takes = |of: &Route| of.fallback.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, fallback));
            if !routes.iter().any(|route| route.cache.is_some() && takes(route)) {
                let message = format!(
                    "fallback.stale has no effect: no route with a cache takes it from upstream \"{}\"",
                    name.get_ref()
                );
                self.warn(span, message, "add cache = true to a route, or take stale away");
            }
        }
    }

    fn fallback(
        &mut self,
        known: &Known<'_>,
        of: Option<usize>,
        fallback: &file::Fallback,
        span: Range<usize>,
    ) -> Arc<Fallback> {
        let is_empty =
            fallback.stale.is_absent() && fallback.upstream.is_absent() && fallback.file.is_absent();
        if is_empty {
            let help = "add stale = \"1h\", upstream = \"…\" or file = \"…\"";
            self.error(span, "fallback names nothing that could answer".to_owned(), help);
        }
        let upstream = fallback.upstream.written().map(|name| self.upstream_named(known, name));
        if let Some(name) = fallback.upstream.written().filter(|_| upstream.is_some() && upstream == of) {
            let message = format!("upstream \"{}\" is its own fallback", name.get_ref());
            self.error(name.span(), message, "name another one");
        }
        if let Some(span) = fallback.status.span().filter(|_| fallback.file.is_absent()) {
            let help = "add file = \"…\": the status is the one that the file is sent with";
            self.error(span, "fallback.status needs fallback.file".to_owned(), help);
        }
        let page = fallback.file.written().and_then(|file| self.page(file)).map(|(content_type, body)| {
            ErrorPage { status: fallback.status().0 as u16, content_type: content_type.to_owned(), body }
        });
        Arc::new(Fallback { stale: fallback.stale.get().map(|stale| stale.0), upstream, page })
    }
}

//! Files of a folder, and compression.

use core::ops::Range;
use core::time::Duration;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use traffic::route::PathPattern;

use super::Lowering;
use crate::field::is_token;
use crate::file;
use crate::plan::{Algorithm, Coding, Compress, Files, MediaTypes, Rewrite};
use crate::read::{Key, Toggle};

impl Lowering<'_> {
    pub(super) fn files(&mut self, route: &file::Route, files: &file::Files) -> Files {
        self.takes_get(route, "files", route.files.span());
        let root = files.root.written();
        if let Some(root) = root {
            self.folder(root);
        }
        let index = files.index().on().cloned();
        if let Some(name) = index.as_ref().filter(|name| !is_path(name) || name.contains('/')) {
            let help = "write the name of a file, such as \"index.html\", or \"off\"";
            self.error(files.index.span(), format!("files.index: \"{name}\" is no name of a file"), help);
        }
        Files {
            fallback: self.within("fallback", root, &files.fallback),
            not_found: self.within("not_found", root, &files.not_found),
            root: root.map_or_else(Default::default, |root| root.get_ref().into()),
            index,
            clean_urls: files.clean_urls(),
            precompressed: files.precompressed(),
            hashed_cache_control: cache_control(files.cache_hashed().0, ", immutable"),
            cache_control: cache_control(files.cache().0, ""),
        }
    }

    /// Checks that a folder is there.
    fn folder(&mut self, root: &Spanned<String>) {
        let (span, text) = (root.span(), root.get_ref());
        let help = "the path is taken from the folder of this file";
        match (self.read)(Path::new(text)) {
            _ if text.is_empty() => self.error(span, "files names no folder".to_owned(), "write \"public/\""),
            Err(why) if why.kind() == ErrorKind::IsADirectory => {}
            Err(why) => self.error(span, format!("cannot read \"{text}\": {why}"), help),
            Ok(_) => {
                let help = "name the folder that it is in";
                self.error(span, format!("\"{text}\" is a file, not a folder"), help);
            }
        }
    }

    /// A file of the folder that is named by itself: it has to be there.
    fn within(&mut self, key: &str, root: Option<&Spanned<String>>, file: &Key<String>) -> Option<String> {
        let name = file.written()?;
        let text = name.get_ref();
        if !is_path(text) {
            let help = "write a path in the folder, such as \"index.html\"";
            self.error(name.span(), format!("files.{key}: \"{text}\" is no path in the folder"), help);
        } else if let Some(root) = root
            && let Err(why) = (self.read)(&Path::new(root.get_ref()).join(text))
        {
            let help = "the path is taken from the folder that files names";
            self.error(name.span(), format!("files.{key}: cannot read \"{text}\": {why}"), help);
        }
        Some(text.clone())
    }

    /// Checks that a route takes GET or HEAD, without which `key` has no effect.
    pub(super) fn takes_get(&mut self, route: &file::Route, key: &str, span: Option<Range<usize>>) {
        let methods = route.method.get().map(|methods| methods.0.as_slice()).unwrap_or_default();
        if !methods.is_empty()
            && methods.iter().all(|method| !matches!(method.get_ref().as_str(), "GET" | "HEAD"))
        {
            let help = format!("add \"GET\" to method, or leave {key} out");
            self.warn(span, format!("{key} has no effect on a route without GET"), help);
        }
    }

    pub(super) fn compress(&mut self, written: Option<&Toggle<file::Compress>>) -> Option<Arc<Compress>> {
        let compress = written?.on()?;
        let codings = self.codings(compress);
        let types = compress.types();
        for kind in &types.0 {
            if !is_media_type(kind.get_ref()) {
                let help = "write a type such as \"text/html\", \"text/*\" or \"application/*+json\"";
                self.error(kind.span(), format!("\"{}\" is no media type", kind.get_ref()), help);
            }
        }
        if types.0.is_empty() {
            let help = "name at least one, or write compress = false";
            self.error(compress.types.span(), "compress.types names no type".to_owned(), help);
        }
        let types = MediaTypes::new(types.0.iter().map(|kind| kind.get_ref().as_str()));
        Some(Arc::new(Compress { codings, min_bytes: compress.min().0, types }))
    }

    fn codings(&mut self, compress: &file::Compress) -> Vec<Coding> {
        let (level, stored) = (compress.level(), compress.stored_level());
        let mut codings: Vec<Coding> = Vec::new();
        for word in compress.algorithms().0 {
            let (algorithm, level, stored_level) = match word.get_ref() {
                file::Algorithm::Zstd => (Algorithm::Zstd, level.zstd().0, stored.zstd().0),
                file::Algorithm::Br => (Algorithm::Brotli, level.br().0, stored.br().0),
                file::Algorithm::Gzip => (Algorithm::Gzip, level.gzip().0, stored.gzip().0),
            };
            if codings.iter().any(|coding| coding.algorithm == algorithm) {
                let message = format!("\"{}\" stands twice in compress.algorithms", algorithm.token());
                self.error(word.span(), message, "take one away");
            }
            codings.push(Coding { algorithm, level: level as u8, stored_level: stored_level as u8 });
        }
        if codings.is_empty() {
            let help = "name at least one, or write compress = false";
            self.error(compress.algorithms.span(), "compress.algorithms names none".to_owned(), help);
        }
        let levels = [
            ("level.zstd", level.zstd.span(), Algorithm::Zstd),
            ("level.br", level.br.span(), Algorithm::Brotli),
            ("level.gzip", level.gzip.span(), Algorithm::Gzip),
            ("stored_level.zstd", stored.zstd.span(), Algorithm::Zstd),
            ("stored_level.br", stored.br.span(), Algorithm::Brotli),
            ("stored_level.gzip", stored.gzip.span(), Algorithm::Gzip),
        ];
        for (key, span, algorithm) in levels {
            if span.is_some() && codings.iter().all(|coding| coding.algorithm != algorithm) {
                let help = format!("add \"{}\" to algorithms, or leave {key} out", algorithm.token());
                self.warn(span, format!("compress.{key} has no effect"), help);
            }
        }
        codings
    }
}

/// The path in the folder: what the star of the route's path matched.
pub(super) fn below(path: &PathPattern) -> Rewrite {
    match path.prefix() {
        Some(prefix) if prefix.is_empty() => Rewrite::None,
        Some(prefix) => Rewrite::Strip(prefix),
        None if path.to_string().ends_with("/*") => Rewrite::Replace("/{rest}".to_owned()),
        None => Rewrite::None,
    }
}

/// Whether a text names a file below a folder, without leaving it.
fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text.split('/').all(|piece| !matches!(piece, "" | "." | "..") && !piece.contains('\0'))
}

fn is_media_type(text: &str) -> bool {
    text.matches('*').count() <= 1
        && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

fn cache_control(time: Duration, behind: &str) -> String {
    match time.as_secs() {
        0 => "no-cache".to_owned(),
        seconds => format!("public, max-age={seconds}{behind}"),
    }
}

//! Waiting rooms: what routes say of them, put together by name.

use core::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use traffic::room;

use super::Lowering;
use crate::file::{self, Binding, File, When};
use crate::plan::Room;
use crate::read::Toggle;

/// What a page for those who wait may hold.
const PLACEHOLDERS: [&str; 5] = ["position", "wait", "wait_seconds", "poll_seconds", "room"];

/// Fewer characters can be guessed.
const SECRET_LEAST: usize = 16;

impl Lowering<'_> {
    /// Every room that a route names. Routes that say how it is have to agree; the order of the file decides nothing.
    pub(super) fn rooms(&mut self, file: &File, has_state: bool) -> Vec<Room> {
        let routes = file.route.get().map(|list| list.0.as_slice()).unwrap_or_default();
        let mut rooms: Vec<(Room, Option<Range<usize>>)> = Vec::new();
        for route in routes.iter().map(Spanned::get_ref) {
            let Some(room) = route.waiting_room.get().and_then(Toggle::on) else { continue };
            let span = route.waiting_room.span().unwrap_or_default();
            let (made, says) = (self.room(room), says_how(room));
            let known = rooms.iter_mut().find(|(known, _)| known.name == made.name);
            match known {
                None => rooms.push((made, says.then_some(span))),
                Some(known) if says && known.1.is_none() => *known = (made, Some(span)),
                Some((known, first)) if says && *known != made => {
                    let message = format!("two routes say differently how waiting room \"{}\" is", made.name);
                    let mut two = crate::Diagnostic::error(span, message);
                    if let Some(first) = first {
                        two = two.note(first.clone(), "the other one");
                    }
                    self.report(two.help("say it on one of them, and give the others its name alone"));
                }
                Some(_) => {}
            }
        }
        if let Some((room, span)) =
            rooms.iter().find(|(room, _)| room.secret.is_none()).filter(|_| !has_state)
        {
            let message = format!("places in waiting room \"{}\" end with this process", room.name);
            self.warn(span.clone(), message, "add state = \"/var/lib/tidegate\" to [server]");
        }
        rooms.into_iter().map(|(room, _)| room).collect()
    }

    fn room(&mut self, written: &file::WaitingRoom) -> Room {
        let name = written.name();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            let help = "name it with at most 64 letters, digits, \"-\" and \"_\"";
            self.error(written.name.span(), format!("\"{name}\" is no name for a waiting room"), help);
        }
        if let Some(secret) = written.secret.written().filter(|secret| secret.get_ref().len() < SECRET_LEAST)
        {
            let help = "write at least 16 random characters, such as \"${ROOM_SECRET}\"";
            self.error(secret.span(), "waiting_room.secret can be guessed".to_owned(), help);
        }
        Room {
            name,
            settings: room::Settings {
                rate: written.rate().count as f64 / written.rate().per.as_secs_f64(),
                capacity: written.capacity.get().map(|count| count.0),
                ttl: written.ttl().0,
                hold: written.hold().0,
                is_bound: written.bind() == Binding::Client,
            },
            is_for_surges: written.when() == When::Surge,
            secret: written.secret.get().cloned(),
            page: written.page.written().and_then(|page| self.waiting_page(page)).map(Arc::from),
        }
    }

    fn waiting_page(&mut self, file: &Spanned<String>) -> Option<String> {
        let (content_type, body) = self.page(file)?;
        if !content_type.starts_with("text/html") {
            self.error(file.span(), format!("\"{}\" is no page", file.get_ref()), "end its name in .html");
        }
        let Ok(text) = String::from_utf8(body) else {
            let help = "save it as UTF-8 text";
            self.error(file.span(), format!("\"{}\" is not UTF-8", file.get_ref()), help);
            return None;
        };
        let unknown = text.split("{{").skip(1).find_map(|rest| {
            let name = rest.split("}}").next().unwrap_or(rest);
            (!PLACEHOLDERS.contains(&name)).then(|| name.chars().take(40).collect::<String>())
        });
        if let Some(name) = unknown {
            let help = format!("the names there are {{{{{}}}}}", PLACEHOLDERS.join("}}, {{"));
            let message = format!("\"{}\": nothing is called \"{{{{{name}}}}}\"", file.get_ref());
            self.error(file.span(), message, help);
        }
        Some(text)
    }
}

/// Whether it says more than a name.
fn says_how(room: &file::WaitingRoom) -> bool {
    let file::WaitingRoom { name: _, rate, capacity, ttl, hold, when, bind, secret, page, has_mistakes: _ } =
        room;
    let absent = [
        rate.is_absent(),
        capacity.is_absent(),
        ttl.is_absent(),
        hold.is_absent(),
        when.is_absent(),
        bind.is_absent(),
        secret.is_absent(),
        page.is_absent(),
    ];
    absent.contains(&false)
}

//! `route.waiting_room`: a line in front of an app that more people come to than it can take.

use crate::file::When;
use crate::read::Toggle;
use crate::table::{table, words};
use crate::value::{Count, Frequency, Time};

/// What a route says of its waiting room.
pub type RouteRoom = Toggle<WaitingRoom>;

table! {
    /// A line in front of the route: people come in at a rate, first come first served, and those who wait are shown a
    /// page that tells their place. Routes that name the same room share one line, and whoever is inside is inside on
    /// all of them; it is enough that one of them says how.
    pub struct WaitingRoom {
        /// Name in metrics, in `tidegate status` and in the cookie: letters, digits, `-` and `_`.
        name: String => default("main"),
        /// People who come in: `"50/s"`, `"600/m"`. Those who are inside are not counted again.
        rate: Frequency => default("50/s"),
        /// Most people inside at once.
        capacity: Count<1, 1_000_000_000> => absent("as many as the rate lets in"),
        /// When people wait in line: `"surge"` is only while a surge is on.
        when: When => default("always"),
        /// Who sends no request for so long has left.
        ttl: Time<1000> => default("5m"),
        /// How long somebody whose turn has come has to come in. Browsers wake pages in the background once a minute.
        hold: Time<30000> => default("2m"),
        /// Whether the cookie of somebody inside is good for others.
        bind: Binding => default("client"),
        /// What cookies are signed with; at least 16 characters. Instances with the same one know each other's cookies.
        secret: String => absent("one at random, kept in `server.state` if that is set"),
        /// File of the page for browsers: .html, at most 256 KiB, found from this file's folder and read when it is
        /// loaded. `{{position}}`, `{{wait}}`, `{{wait_seconds}}`, `{{poll_seconds}}` and `{{room}}` in it are filled
        /// in.
        page: String => absent("Tidegate's own page"),
    }
}

words! {
    /// Whom the cookie of somebody inside is good for.
    pub enum Binding {
        /// The address that they came in from (IPv6: its /64). Whoever moves to another network waits again.
        Client = "client",
        /// Anybody: a cookie that is passed on lets others in beside the line.
        Off = "off",
    }
}

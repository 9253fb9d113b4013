//! What counts only when the process starts.

use super::Plan;

impl Plan {
    /// Takes over from `before`, the plan in force, what a running process cannot change. Gives the keys that somebody has
    /// changed and that therefore wait for the next start.
    pub fn keep(&mut self, before: &Self) -> Vec<&'static str> {
        let mut waiting = Vec::new();
        keep("server.threads", &mut self.server.threads, &before.server.threads, &mut waiting);
        keep("server.admin", &mut self.server.admin, &before.server.admin, &mut waiting);
        keep("server.state", &mut self.server.state, &before.server.state, &mut waiting);
        keep("server.watch", &mut self.server.watch, &before.server.watch, &mut waiting);
        if self.has_limits() && before.has_limits() {
            // With the first limit the memory is taken, with the last one it is given back.
            let (now, before) = (&mut self.server.limits, &before.server.limits);
            let key = "server.limits.limit_memory";
            keep(key, &mut now.limit_memory_bytes, &before.limit_memory_bytes, &mut waiting);
        }
        if self.cache.shards_are_auto && before.cache.shards_are_auto {
            // Nobody has asked for another number; something else in the file has changed what is chosen.
            self.cache.shards = before.cache.shards;
        }
        keep("cache.shards", &mut self.cache.shards, &before.cache.shards, &mut waiting);
        let path = |plan: &Self| plan.cache.disk.as_ref().map(|disk| disk.path.clone());
        if path(self) != path(before) {
            // Its size may change, but it is of no use to the folder that stays.
            keep("cache.disk", &mut self.cache.disk, &before.cache.disk, &mut waiting);
        }
        waiting
    }

    /// Whether any request or connection is counted.
    pub fn has_limits(&self) -> bool {
        !self.server.limit.is_empty()
            || self.server.limits.connection_rate.is_some()
            || self.routes.iter().any(|route| !route.limit.is_empty())
    }
}

/// Keeps one setting.
fn keep<T: PartialEq + Clone>(key: &'static str, now: &mut T, before: &T, waiting: &mut Vec<&'static str>) {
    if now != before {
        now.clone_from(before);
        waiting.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const LIMITED: &str = "server.limits.connection_rate = \"9/s\"";
    const LIMITED_IN_LESS: &str = "server.limits = { connection_rate = \"9/s\", limit_memory = \"1 MiB\" }";

    fn plan(text: &str) -> Plan {
        let app = "[[listener]]\naddress = \":8080\"\n[upstream.app]\nendpoints = [\":3000\"]\n[[route]]\nupstream = \"app\"\n";
        let none = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        parse(&format!("{text}\n{app}"), "tidegate.toml", &|_| None, &none).expect(text).plan
    }

    #[test]
    fn what_counts_at_the_start_is_kept_and_told() {
        for (before, wanted, told) in [
            ("", "", &[][..]),
            ("server.threads = 2", "server.threads = 3", &["server.threads"]),
            ("", "server.admin = \"off\"", &["server.admin"]),
            ("", "server.state = \"/s\"", &["server.state"]),
            ("server.state = \"/s\"", "server.watch = true", &["server.state", "server.watch"]),
            (LIMITED, LIMITED_IN_LESS, &["server.limits.limit_memory"]),
            ("cache.shards = 4", "cache.shards = 8", &["cache.shards"]),
            ("cache.shards = 64", "", &["cache.shards"]),
            ("", "[cache.disk]\npath = \"/a\"", &["cache.disk"]),
            ("[cache.disk]\npath = \"/a\"", "[cache.disk]\npath = \"/b\"", &["cache.disk"]),
            ("[cache.disk]\npath = \"/a\"\nsize = \"1 GiB\"", "", &["cache.disk"]),
        ] {
            let (before, mut now) = (plan(before), plan(wanted));
            assert_eq!(now.keep(&before), told, "{wanted}");
            assert_eq!(now.keep(&before), [""; 0], "{wanted}: all is as it was");
        }
    }

    #[test]
    fn what_may_change_does_and_is_not_told() {
        let (before, mut now) = (plan("[cache]\nmemory = \"1 GiB\""), plan("[cache]\nmemory = \"2 GiB\""));
        assert_eq!(now.keep(&before), [""; 0]);
        assert_eq!(now.cache.memory_bytes, 2 << 30);
        let disk = |size: &str| plan(&format!("[cache.disk]\npath = \"/a\"\nsize = \"{size}\""));
        let (before, mut now) = (disk("1 GiB"), disk("2 GiB"));
        assert_eq!(now.keep(&before), [""; 0]);
        assert_eq!(now.cache.disk.map(|disk| disk.bytes), Some(2 << 30));
    }

    #[test]
    fn memory_for_limits_may_change_while_there_are_none() {
        let less = "server.limits.limit_memory = \"1 MiB\"";
        for (before, wanted) in [("", LIMITED_IN_LESS), (less, LIMITED), ("", less), (LIMITED, less)] {
            let (before, mut now) = (plan(before), plan(wanted));
            let bytes = now.server.limits.limit_memory_bytes;
            assert_eq!(now.keep(&before), [""; 0]);
            assert_eq!(now.server.limits.limit_memory_bytes, bytes);
        }
    }

    #[test]
    fn the_reference_says_of_as_many_keys_that_they_wait() {
        let (before, mut now) = (
            plan(LIMITED),
            plan(&format!(
                "{LIMITED_IN_LESS}
            server.threads = 77\nserver.admin = \"off\"\nserver.state = \"/s\"\nserver.watch = true
            cache.shards = 1\ncache.disk.path = \"/a\""
            )),
        );
        let told = now.keep(&before).len();
        assert_eq!(crate::reference().matches("takes effect at the next start").count(), told);
    }

    #[test]
    fn a_number_of_shards_that_nobody_wrote_is_no_wish() {
        let (before, mut now) =
            (plan("[server]\nthreads = 2"), plan("[cache]\nmemory = \"64 MiB\"\n[server]\nthreads = 2"));
        assert_ne!(now.cache.shards, before.cache.shards);
        assert_eq!(now.keep(&before), [""; 0]);
        assert_eq!(now.cache.shards, before.cache.shards);
    }
}

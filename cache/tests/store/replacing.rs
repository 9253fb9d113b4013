//! Bodies that others take the place of, and keys that only their bytes tell apart.

use tidegate_cache::store::{Found, Purge};
use tidegate_cache::{Body, Key, Stored};

use crate::support::*;

#[test]
fn a_body_takes_the_place_of_another_one_with_the_same_meaning() {
    let world = World::new(1 << 20);
    let fields = &["Cache-Control: max-age=60", "ETag: W/\"v\"", "Vary: Accept-Language", "Cache-Tag: t"];
    for (path, len) in [("/small", 300), ("/large", 40_000)] {
        let old = world.fill(path, &["Accept-Language: de"], fields, &vec![b'o'; len]).unwrap();
        assert_eq!(matches!(old.body(), Stored::Near(_)), len == 300);
        assert!(world.store.replace_body(&old, Body::from_pieces([b"new"[..].into()])));
        let Found::Hit(new) = world.look(path, &["Accept-Language: de"]) else { panic!("it is still there") };
        assert_eq!((body(&new), body(&old)), (b"new".to_vec(), vec![b'o'; len]));
        assert_eq!(
            (new.key(), new.head(), new.vary(), new.terms()),
            (old.key(), old.head(), old.vary(), old.terms())
        );
        assert!(new.tags().eq(old.tags()) && new.stored_ms() == old.stored_ms());
        assert!(!world.store.replace_body(&old, Body::Empty), "it has left");
        assert!(world.usage().leaving_bytes >= len as u64);
        drop(old);
        assert_eq!(world.usage().leaving_bytes, 0);
    }
    assert_eq!(world.usage().entries, 2);
    world.store.purge(Purge::Tag(b"t"), false, NOW);
    assert_eq!((world.usage().entries, world.usage().body_bytes), (0, 0));
}

#[test]
fn what_was_purged_meanwhile_does_not_come_back_by_its_new_body() {
    let mut world = World::new(1 << 20);
    let old =
        world.fill("/x", &[], &["Cache-Control: max-age=60, stale-while-revalidate=60"], b"old").unwrap();
    world.now += 1000;
    world.store.purge(Purge::All, true, world.now);
    assert!(world.store.replace_body(&old, Body::from_pieces([b"new"[..].into()])));
    assert!(matches!(world.look("/x", &[]), Found::Stale { entry, .. } if body(&entry) == b"new"));
    let new = world.peek("/x", &[]).entry.unwrap();
    world.store.purge(Purge::All, false, world.now);
    assert!(!world.store.replace_body(&new, Body::Empty));
    assert!(world.peek("/x", &[]).entry.is_none());
}

#[test]
fn without_room_the_body_stays() {
    let world = World::sharded(64 * 1024, 1);
    let old = world.fill("/x", &[], FRESH, b"old").unwrap();
    assert!(!world.store.replace_body(&old, Body::from_pieces([vec![0; 70_000].into()])));
    assert!(world.usage().used_bytes <= 64 * 1024);
}

/// Two keys with one hash: each gets its own, stored and on its way.
#[test]
fn keys_that_collide_are_told_apart() {
    let world = World::new(1 << 20);
    let look = |path: &str| {
        world.asking(path, &[], |key, ask| {
            let key = Key { hash: 42, url_hash: 42, ..*key };
            world.store.look(&key, ask, &world.rules, world.now)
        })
    };
    let mut writers = Vec::new();
    for path in ["/one", "/two", "/six"] {
        let Found::Fill(ticket) = look(path) else { panic!("nobody fills {path}") };
        writers.push((path, world.begin(ticket, FRESH)));
    }
    for (path, mut writer) in writers {
        assert!(matches!(look(path), Found::Follow(_)));
        writer.push(path.as_bytes().into());
        writer.finish(NOW).unwrap();
    }
    for path in ["/one", "/two", "/six"] {
        assert!(matches!(look(path), Found::Hit(entry) if body(&entry) == path.as_bytes()), "{path}");
    }
    assert!(matches!(look("/ten"), Found::Fill(_)));
    assert_eq!(world.store.purge(Purge::Prefix(b"http://a/two"), false, NOW), 1);
    assert!(matches!(look("/two"), Found::Fill(_)));
    for path in ["/one", "/six"] {
        assert!(matches!(look(path), Found::Hit(entry) if body(&entry) == path.as_bytes()), "{path}");
    }
}

//! Any bytes as a path, a host and a query: nothing panics, normalising twice is normalising once, and a path in
//! order has no dot segment left however its escapes are read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::uri;

fuzz_target!(|data: &[u8]| {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    if let Ok(path) = uri::normalise(data, &mut first) {
        assert_eq!(path[0], b'/');
        assert_eq!(uri::normalise(path, &mut second), Ok(path));
        let segments = || path.split(|&byte| byte == b'/');
        assert!(!segments().any(|segment| segment == b"." || segment == b".."));
        let decoded = uri::percent_decode(path, &mut second).expect("escapes were checked");
        assert!(!decoded.contains(&0));
        // Escapes that are left are of reserved characters, so decoding them cannot make a dot.
        let dots = |text: &[u8]| text.iter().filter(|&&byte| byte == b'.').count();
        assert_eq!(dots(decoded), dots(path));
    }

    let (mut first, mut second) = (Vec::new(), Vec::new());
    if let Ok(host) = uri::host(data, &mut first) {
        let again = uri::host(host.name, &mut second).expect("a host in order is a host");
        assert_eq!(again.name, host.name);
        assert!(!host.name.iter().any(u8::is_ascii_uppercase));
    }

    let pairs: usize = uri::query_pairs(data).map(|(name, value)| name.len() + value.len()).sum();
    assert!(pairs <= data.len());
    let _ = uri::percent_decode(data, &mut second);
});

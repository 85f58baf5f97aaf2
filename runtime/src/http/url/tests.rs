use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::exchange::random::{ROUNDS, Random};

fn parse(url: &str) -> Url {
    url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn error(url: &str) -> UrlError {
    url.parse::<Url>().expect_err(url)
}

fn named(scheme: Scheme, host: &str) -> Url {
    Url::new(scheme, host.parse::<Host>().unwrap())
}

#[test]
fn urls_are_printed() {
    let name = named(Scheme::Http, "example.org");
    assert_eq!(name.to_string(), "http://example.org/");
    assert_eq!(name.with_port(80).to_string(), "http://example.org:80/");
    assert_eq!(
        named(Scheme::Https, "example.org")
            .with_port(8080)
            .to_string(),
        "https://example.org:8080/"
    );

    let ip = Url::new(Scheme::Http, Ipv4Addr::new(172, 16, 1, 23));
    let (eighty, query) = (ip.clone().with_port(80), [("foo", "bar"), ("baz", "bam")]);
    for (url, printed) in [
        (ip.with_port(8080), "http://172.16.1.23:8080/"),
        (
            eighty.clone().with_path("/path"),
            "http://172.16.1.23:80/path",
        ),
        (
            eighty.clone().with_query(query),
            "http://172.16.1.23:80/?foo=bar&baz=bam",
        ),
        (
            eighty.clone().with_path("path").with_query(query),
            "http://172.16.1.23:80/path?foo=bar&baz=bam",
        ),
        (
            eighty.clone().with_query(query).with_fragment("fragment"),
            "http://172.16.1.23:80/?foo=bar&baz=bam#fragment",
        ),
        (
            eighty
                .with_path("/path")
                .with_query(query)
                .with_fragment("fragment"),
            "http://172.16.1.23:80/path?foo=bar&baz=bam#fragment",
        ),
    ] {
        assert_eq!(url.to_string(), printed);
        assert_eq!(parse(printed), url);
    }
}

#[test]
fn urls_are_parsed() {
    for (url, scheme, host, port, path) in [
        (
            "https://auth.example.com",
            Scheme::Https,
            "auth.example.com",
            443,
            "/",
        ),
        ("http://example.com/", Scheme::Http, "example.com", 80, "/"),
        (
            "http://registry.example.com:1234/abc/1",
            Scheme::Http,
            "registry.example.com",
            1234,
            "/abc/1",
        ),
        ("HTTP://A_b-1.C.:0/", Scheme::Http, "a_b-1.c.", 0, "/"),
        ("http://a:/x//y", Scheme::Http, "a", 80, "/x//y"),
        ("http://a//x", Scheme::Http, "a", 80, "//x"),
        ("https://a:00443", Scheme::Https, "a", 443, "/"),
        (
            "http://127.0.0.1:5050/scheduler(1)/x",
            Scheme::Http,
            "127.0.0.1",
            5050,
            "/scheduler(1)/x",
        ),
        (
            "http://[2001:DB8::1]:80/",
            Scheme::Http,
            "[2001:db8::1]",
            80,
            "/",
        ),
        (
            "http://[::ffff:1.2.3.4]",
            Scheme::Http,
            "[::ffff:1.2.3.4]",
            80,
            "/",
        ),
    ] {
        let parsed = parse(url);
        assert_eq!(parsed.scheme(), scheme, "{url}");
        assert_eq!(parsed.host().to_string(), host, "{url}");
        assert_eq!(parsed.port_or_default(), port, "{url}");
        assert_eq!(parsed.path(), path, "{url}");
        assert!(parsed.query().is_empty() && parsed.fragment().is_none());
        assert_eq!(parse(&parsed.to_string()), parsed, "{url}");
    }
}

#[test]
fn a_host_is_a_name_or_an_address() {
    assert_eq!(
        parse("http://[::1]:80").address(),
        Some((Ipv6Addr::LOCALHOST, 80).into())
    );
    assert_eq!(parse("http://1.2.3.4").host().name(), None);
    assert_eq!(parse("http://1.2.3.4.example").host().ip(), None);
    assert_eq!("::1".parse::<Host>(), Ok(Ipv6Addr::LOCALHOST.into()));
    let long = [
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(61),
    ]
    .join(".");
    assert!(long.parse::<Host>().is_ok());
    assert!(format!("{long}.").parse::<Host>().is_ok());
    assert!(format!("{long}e").parse::<Host>().is_err());
    assert!("a".repeat(64).parse::<Host>().is_err());
}

#[test]
fn queries_and_fragments_are_taken_apart() {
    let url = parse("http://a?b=c/d?e&f=%20+;b=%C3%A9#/g?h%20:@");
    assert_eq!(url.path(), "/");
    assert_eq!(
        url.query(),
        &Query::from([("b", "c/d?e"), ("f", "  "), ("b", "é")])
    );
    assert_eq!(url.query().get("b"), Some("é"));
    assert_eq!(url.fragment(), Some("/g?h%20:@"));
    assert_eq!(
        url.to_string(),
        "http://a/?b=c%2Fd%3Fe&f=%20%20&b=%C3%A9#/g?h%20:@"
    );
    assert_eq!(parse("http://a/?#").to_string(), "http://a/#");
    assert_eq!(parse("http://a#?b").fragment(), Some("?b"));
}

#[test]
fn a_query_is_escaped_once() {
    let url = named(Scheme::Http, "example.org").with_port(80);
    let url = url.with_query([("path", r"C:\foo\bar%3Abaz")]);
    assert_eq!(
        url.to_string(),
        "http://example.org:80/?path=C%3A%5Cfoo%5Cbar%253Abaz"
    );
    assert_eq!(url.path_and_query(), "/?path=C%3A%5Cfoo%5Cbar%253Abaz");
    assert_eq!(parse(&url.to_string()), url);
}

#[test]
fn what_is_no_url_is_an_error() {
    let text = |text: &str| text.to_owned();
    for url in [
        "mesos.com",
        "http/abcdef",
        "://///",
        "://",
        "",
        "/a",
        "http:/a",
    ] {
        assert_eq!(error(url), UrlError::NoScheme { url: text(url) });
    }
    for scheme in ["abc", "http+unix", "ftp", " http", "?http", "é"] {
        assert_eq!(
            error(&format!("{scheme}://abc.com:80")),
            UrlError::Scheme {
                scheme: text(scheme)
            }
        );
    }
    for url in [
        "http://",
        "http:////",
        "http:///a",
        "http://?a",
        "http://#a",
        "http://:80",
    ] {
        assert_eq!(error(url), UrlError::Host(HostError::Missing), "{url}");
    }
    for url in [
        "http://a@b/",
        "http://a:b@c",
        "http://@a",
        "http://good@evil:80/",
    ] {
        assert_eq!(error(url), UrlError::Credentials, "{url}");
    }
    for (url, port) in [
        ("http://a:80:90/", ":80:90"),
        ("http://a:65536", ":65536"),
        ("http://a:-1", ":-1"),
        ("http://a:+1", ":+1"),
        ("http://a: 1", ": 1"),
        ("http://a:x", ":x"),
        ("http://a::", "::"),
        ("http://[::1]80", "80"),
    ] {
        assert_eq!(error(url), UrlError::Port { port: text(port) }, "{url}");
    }
    // Brackets are what is missing here: the port's error says so.
    assert!(matches!(error("http://fe80::1/"), UrlError::Port { .. }));
}

#[test]
fn what_is_no_host_is_an_error() {
    let text = |text: &str| text.to_owned();
    for host in [
        "[",
        "[::1",
        "[]",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "[::1]]",
        "[a",
    ] {
        let error = error(&format!("http://{host}/"));
        assert!(
            matches!(
                error,
                UrlError::Host(HostError::Ipv6 { .. }) | UrlError::Port { .. }
            ),
            "{host}: {error:?}"
        );
    }
    for (host, character) in [
        ("a b", ' '),
        ("a\\b", '\\'),
        ("é.fr", 'é'),
        ("a%2eb", '%'),
        ("a\r\nb", '\r'),
        ("a]", ']'),
        ("a\0", '\0'),
    ] {
        let host = text(host);
        assert_eq!(
            error(&format!("http://{host}/")),
            UrlError::Host(HostError::Character { character, host })
        );
    }
    for host in ["a..b", ".a", ".", "..", "a.."] {
        let host = text(host);
        assert_eq!(host.parse::<Host>(), Err(HostError::Length { host }));
    }
    for host in [
        "127.1",
        "1",
        "256.1.1.1",
        "010.0.0.1",
        "1.2.3.4.",
        "0x7f000001",
        "a.0X",
        "a.5",
    ] {
        let host = text(host);
        assert_eq!(host.parse::<Host>(), Err(HostError::Ipv4 { host }));
    }
}

#[test]
fn what_has_to_be_escaped_is_an_error_when_parsed() {
    for (url, part, character) in [
        ("http://a/b c", "path", ' '),
        ("http://a/b\r\nc", "path", '\r'),
        ("http://a/é", "path", 'é'),
        ("http://a/{b}", "path", '{'),
        ("http://a/\x7f", "path", '\x7f'),
        ("http://a/?b\tc", "query", '\t'),
        ("http://a/?é", "query", 'é'),
        ("http://a/#b#c", "fragment", '#'),
        ("http://a/#\0", "fragment", '\0'),
    ] {
        assert_eq!(error(url), UrlError::Character { part, character });
    }
    for (url, part) in [
        ("http://a/%", "path"),
        ("http://a/%2", "path"),
        ("http://a/%zz", "path"),
        ("http://a/?b=%", "query"),
        ("http://a/?b=%FF", "query"),
        ("http://a/#%4", "fragment"),
    ] {
        let error = error(url);
        assert!(
            matches!(error, UrlError::Decode { part: its, .. } if its == part),
            "{url}: {error:?}"
        );
    }
    assert_eq!(
        error("http://a/\x7f").to_string(),
        r"'\u{7f}' cannot stand in the path of a URL: write it as %7F"
    );
    assert!(error("http://a/?b=100%").to_string().contains("query"));
}

#[test]
fn what_has_to_be_escaped_is_escaped_when_set() {
    let url = named(Scheme::Http, "a");
    for (path, printed) in [
        ("", "/"),
        ("/", "/"),
        ("//", "//"),
        ("b c\r\nHost: d", "/b%20c%0D%0AHost:%20d"),
        ("/b%20c%zz%", "/b%20c%25zz%25"),
        ("/é?#", "/%C3%A9%3F%23"),
        ("/%é", "/%25%C3%A9"),
        ("/[{\"}]", "/%5B%7B%22%7D%5D"),
    ] {
        assert_eq!(url.clone().with_path(path).path(), printed, "{path}");
    }
    assert_eq!(url.with_fragment("b #?").fragment(), Some("b%20%23?"));
}

#[test]
fn the_header_has_the_port_that_is_not_the_default() {
    for (url, header) in [
        ("http://a", "a"),
        ("http://a:80", "a"),
        ("http://a:443", "a:443"),
        ("https://a:443", "a"),
        ("https://a:80", "a:80"),
        ("https://[::1]:8080/", "[::1]:8080"),
    ] {
        assert_eq!(parse(url).host_header(), header, "{url}");
    }
}

#[test]
fn uris_are_urls_and_the_other_way_round() {
    for url in [
        "http://a/",
        "https://a:8080/b?c=d&c",
        "http://[::1]:1/%20",
        "http://1.2.3.4//b",
    ] {
        let (parsed, uri) = (parse(url), url.parse::<Uri>().unwrap());
        assert_eq!(Uri::try_from(&parsed).unwrap(), uri, "{url}");
        assert_eq!(Url::try_from(&uri), Ok(parsed), "{url}");
    }
    for uri in [
        "/a?b",
        "*",
        "a:80",
        "ftp://a/",
        "http://a@b/",
        "http://a/{b}",
    ] {
        let uri: Uri = uri.parse().unwrap();
        assert!(Url::try_from(&uri).is_err(), "{uri}");
    }
    let long = named(Scheme::Http, "a").with_path("b".repeat(70_000));
    assert!(Uri::try_from(&long).is_err());
}

fn random_host(random: &mut Random) -> Host {
    match random.below(3) {
        0 => Ipv4Addr::from(random.below(1 << 32) as u32).into(),
        // Of few bits, so that zeros are left out.
        1 => {
            let segments = [(); 8].map(|()| [0, 0, 0xffff, random.below(1 << 16)][random.below(4)]);
            Ipv6Addr::from(segments.map(|segment| segment as u16)).into()
        }
        _ => loop {
            let labels = random.pieces(&["a", "Z", "0", "-", "_", ".", "xn--", "0x"], 9);
            if let Ok(host) = labels.parse() {
                break host;
            }
        },
    }
}

#[test]
fn what_is_printed_parses_back() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let scheme = [Scheme::Http, Scheme::Https][random.below(2)];
        let mut url = Url::new(scheme, random_host(&mut random)).with_path(random.text(12));
        if random.below(2) == 0 {
            url = url.with_port(random.below(1 << 16) as u16);
        }
        for _ in 0..random.below(3) {
            url.query_mut().append(random.text(4), random.text(4));
        }
        if random.below(2) == 0 {
            url = url.with_fragment(random.text(8));
        }
        let printed = url.to_string();
        assert!(printed.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(printed.parse(), Ok(url.clone()), "seed {seed}: {printed}");
        let uri = Uri::try_from(&url).unwrap_or_else(|error| panic!("{printed}: {error}"));
        let back = Url::try_from(&uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
        assert_eq!(back.path_and_query(), url.path_and_query(), "seed {seed}");
        assert_eq!(back.host(), url.host(), "seed {seed}");
    }
}

#[test]
fn no_text_panics() {
    let pieces = [
        "http", "https", "://", ":", "/", "[", "]", "::1", "1.2.3.4", "@", "?", "#", "a", "é", "%",
        "%41", ".", "80", "=", "&", " ", "\\",
    ];
    let mut accepted = 0;
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let bytes = random.bytes(30);
        for text in [
            random.text(30),
            String::from_utf8_lossy(&bytes).into_owned(),
            random.pieces(&pieces, 12),
            "http://a".to_owned() + &random.pieces(&pieces, 8),
        ] {
            let _ = text.parse::<Host>();
            if let Ok(url) = text.parse::<Url>() {
                accepted += 1;
                assert_eq!(url.to_string().parse(), Ok(url), "seed {seed}: {text}");
            }
            if let Ok(uri) = text.parse::<Uri>() {
                let _ = Url::try_from(&uri);
            }
        }
    }
    assert!(accepted > 100, "{accepted} URLs only");
}

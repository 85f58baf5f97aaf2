use super::*;
use crate::exchange::random::{ROUNDS, Random};

fn read(value: &str) -> (String, Vec<(String, String)>) {
    let challenge: WwwAuthenticate = value.parse().unwrap();
    (challenge.scheme, challenge.parameters)
}

fn owned(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    (scheme.to_owned(), parameters.iter().map(pair).collect())
}

#[test]
fn challenges_are_read() {
    for (value, scheme, parameters) in [
        (
            r#"Basic realm="basic-realm""#,
            "Basic",
            &[("realm", "basic-realm")][..],
        ),
        (
            r#"Bearer realm="https://auth.example.org/token", service="registry.example.org",scope="repository:team/image:pull""#,
            "Bearer",
            &[
                ("realm", "https://auth.example.org/token"),
                ("service", "registry.example.org"),
                ("scope", "repository:team/image:pull"),
            ],
        ),
        // Commas and equals signs within quotes.
        (
            r#"Bearer realm="https://r.example/auth?scope=repository:team/model:pull,push""#,
            "Bearer",
            &[(
                "realm",
                "https://r.example/auth?scope=repository:team/model:pull,push",
            )],
        ),
        (
            "  Digest\t realm = here ,, qop\t=\tauth , ",
            "Digest",
            &[("realm", "here"), ("qop", "auth")],
        ),
        (
            r#"Basic realm="a \"b\" \\c""#,
            "Basic",
            &[("realm", r#"a "b" \c"#)],
        ),
        (
            "Bearer realm=https://a.b/c;d?e",
            "Bearer",
            &[("realm", "https://a.b/c;d?e")],
        ),
        (r#"basic REALM="""#, "basic", &[("REALM", "")]),
        (r#"Basic realm="é€""#, "Basic", &[("realm", "é€")]),
    ] {
        assert_eq!(read(value), owned(scheme, parameters), "{value}");
    }
}

#[test]
fn what_is_malformed_is_an_error() {
    use WwwAuthenticateError::*;
    let text = |text: &str| text.to_owned();
    for (value, error) in [
        ("", Missing),
        (" ", Missing),
        (" ,\t,", Missing),
        (
            "Digest",
            Realm {
                scheme: text("Digest"),
            },
        ),
        ("Digest =", Parameter { text: text("=") }),
        (
            "Digest ,,",
            Realm {
                scheme: text("Digest"),
            },
        ),
        (
            r#"Digest uri="/dir/index.html",qop=auth"#,
            Realm {
                scheme: text("Digest"),
            },
        ),
        (
            r#"Bearer ="https://https://example.com""#,
            Parameter {
                text: text(r#"="https://https://example.com""#),
            },
        ),
        (
            r#"Bearer "realm"="https://example.com""#,
            Parameter {
                text: text(r#""realm"="https://example.com""#),
            },
        ),
        ("Negotiate abc==", Value { name: text("abc") }),
        ("Negotiate abc", Parameter { text: text("abc") }),
        (
            "Basic realm=",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=,",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=\"a",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=\"a\\",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=\"a\"b",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=a\"b\"",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=a=b",
            Value {
                name: text("realm"),
            },
        ),
        (
            "Basic realm=\"a\r\nb\"",
            Value {
                name: text("realm"),
            },
        ),
        ("Basic realm=a b", Parameter { text: text("b") }),
        (
            "Basic realm=a, Realm=b",
            Duplicate {
                name: text("Realm"),
            },
        ),
        ("Basic realm=a, Bearer realm=b", Several),
        (
            "Basic realm=a, Bearer",
            Realm {
                scheme: text("Bearer"),
            },
        ),
        (
            "Basic=realm",
            Scheme {
                text: text("Basic=realm"),
            },
        ),
        (
            "\"Basic\" realm=a",
            Scheme {
                text: text("\"Basic\" realm=a"),
            },
        ),
        (
            "Basic\nrealm=a",
            Scheme {
                text: text("Basic\nrealm=a"),
            },
        ),
    ] {
        assert_eq!(value.parse::<WwwAuthenticate>(), Err(error), "{value}");
    }
}

#[test]
fn a_challenge_has_a_bounded_number_of_parameters() {
    let parameters = |count: usize| -> String {
        let parameters: Vec<_> = (1..count).map(|index| format!("p{index}=v")).collect();
        format!("Basic realm=a,{}", parameters.join(","))
    };
    let most: WwwAuthenticate = parameters(64).parse().unwrap();
    assert_eq!(most.iter().len(), 64);
    assert_eq!(most.with("more", "v"), Err(Error::TooMany));
    assert_eq!(
        parameters(100_000).parse::<WwwAuthenticate>(),
        Err(Error::TooMany)
    );
}

#[test]
fn a_challenge_that_is_not_accepted_does_not_hide_the_next() {
    let value = "Negotiate, Basic realm=a, realm=b,, Digest qop=auth , Bearer realm=c, x=\"y, Z\"";
    let read: Vec<_> = challenges(value)
        .map(|challenge| challenge.map(|challenge| challenge.to_string()))
        .collect();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        read,
        [
            Err(Error::Realm {
                scheme: text("Negotiate")
            }),
            Err(Error::Duplicate {
                name: text("realm")
            }),
            Err(Error::Realm {
                scheme: text("Digest")
            }),
            Ok(text(r#"Bearer realm="c", x="y, Z""#)),
        ]
    );
    // But what cannot be read does.
    let mut unreadable = challenges("Basic realm=\", Bearer realm=a");
    assert!(unreadable.next().unwrap().is_err());
    assert!(unreadable.next().is_none());
}

#[test]
fn headers_are_read_and_written() {
    let mut headers = HeaderMap::new();
    let bearer = WwwAuthenticate::bearer("é").unwrap();
    headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=a,"));
    headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(b"\xff").unwrap());
    headers.append(WWW_AUTHENTICATE, HeaderValue::from(&bearer));
    let read: Vec<_> = challenges_in(&headers).collect();
    let basic = WwwAuthenticate::basic("a").unwrap();
    assert_eq!(read, [Ok(basic), Err(Error::NotUtf8), Ok(bearer.clone())]);
    assert_eq!(
        WwwAuthenticate::try_from(&HeaderValue::from(&bearer)),
        Ok(bearer)
    );
}

#[test]
fn no_part_ends_the_header_early() {
    assert!(WwwAuthenticate::basic("a\r\nb: c").is_err());
    assert!(WwwAuthenticate::new("Basic x", "a").is_err());
    assert!(WwwAuthenticate::new("", "a").is_err());
    let basic = WwwAuthenticate::basic("a").unwrap();
    assert!(basic.clone().with("b=c", "d").is_err());
    assert!(basic.clone().with("", "d").is_err());
    assert!(basic.clone().with("b", "\x7f").is_err());
    let quoted = basic.with("b", "\", c=\"").unwrap();
    assert_eq!(quoted.to_string(), r#"Basic realm="a", b="\", c=\"""#);
    // Known to some clients without quotes only; quoted where they would not be a word.
    let bare = WwwAuthenticate::new("Digest", "a").unwrap();
    let bare = bare
        .with("Algorithm", "MD5")
        .unwrap()
        .with("stale", "no, yes");
    assert_eq!(
        bare.unwrap().to_string(),
        r#"Digest realm="a", Algorithm=MD5, stale="no, yes""#
    );
}

#[test]
fn what_is_printed_reads_back() {
    const NAMES: [&str; 6] = ["scope", "stale", "algorithm", "Nonce", "x-y", "!"];
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let mut text = || random.text(8).replace(|next| !is_quotable(next), "\t");
        let mut challenge = WwwAuthenticate::new("Some-Scheme", text()).unwrap();
        for name in NAMES {
            challenge = challenge.with(name, text()).unwrap();
        }
        let printed = challenge.to_string();
        assert_eq!(printed.parse(), Ok(challenge.clone()), "seed {seed}");
        let header = HeaderValue::from(&challenge);
        assert_eq!(WwwAuthenticate::try_from(&header), Ok(challenge.clone()));
        // And beside others.
        let list = format!("Basic realm=a, {printed},{printed}");
        let read: Result<Vec<_>, _> = challenges(&list).skip(1).collect();
        assert_eq!(read, Ok(vec![challenge.clone(), challenge]), "seed {seed}");
    }
}

#[test]
fn no_text_panics() {
    let pieces = [
        "Basic", "realm", "=", "\"", ",", " ", "\t", "\\", "a", "é", "realm=a", ", ", "\x7f",
    ];
    let mut accepted = 0;
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        for text in [
            random.text(30),
            "Basic realm=".to_owned() + &random.pieces(&pieces, 12),
        ] {
            // No more challenges than bytes: the list ends.
            assert!(challenges(&text).count() <= text.len(), "seed {seed}");
            for challenge in challenges(&text).flatten() {
                accepted += 1;
                assert_eq!(challenge.to_string().parse(), Ok(challenge), "seed {seed}");
            }
        }
    }
    assert!(accepted > 100, "{accepted} challenges only");
}

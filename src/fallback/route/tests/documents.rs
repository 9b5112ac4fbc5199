//! Nothing but the name is touched, whatever the document.

use http_body_util::StreamBody;
use proptest::prelude::*;
use tower::BoxError;

use crate::fallback::route::tests::*;

/// A document as text, with the blanks and escapes that a writer may choose.
fn document() -> impl Strategy<Value = String> {
    let blank = || "[ \n\t\r]{0,2}";
    let text = || r#""([a-z{}\[\]:, éλ]|\\"|\\\\|\\u00e9|model|\\"model\\":\\"m\\")*""#;
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        text(),
        Just(r#"{"model":"nested"}"#.to_owned()),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let member = (blank(), text(), blank(), inner.clone()).prop_map(|(a, name, b, value)| {
            format!("{a}{}{b}:{a}{value}", if name == r#""model""# { "\"m\"".to_owned() } else { name })
        });
        prop_oneof![
            prop::collection::vec((blank(), inner), 0..4).prop_map(|items| list(
                '[',
                items.iter().map(|(a, item)| format!("{a}{item}{a}")),
                ']'
            )),
            prop::collection::vec(member, 0..4).prop_map(|members| list('{', members, '}')),
        ]
    })
}

fn list(open: char, items: impl IntoIterator<Item = String>, close: char) -> String {
    format!("{open}{}{close}", items.into_iter().collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn every_other_byte_of_a_document_is_kept(
        before in prop::collection::vec(document(), 0..3),
        after in prop::collection::vec(document(), 0..3),
        blanks in "[ \n\t]{0,3}",
        escaped in any::<bool>(),
        old in r#"([a-z0-9./:-]|\\"|\\u00e9|\\\\|é){1,9}"#,
        new in "\\PC{1,9}|[\"\\\\]{1,3}",
        cut in any::<prop::sample::Index>(),
    ) {
        let members = |values: &[String]| values.iter().enumerate().fold(String::new(), |all, (index, value)| {
            format!("{all}{blanks}\"m{index}\":{value},")
        });
        let name = if escaped { r#""\u006d\u006Fdel""# } else { r#""model""# };
        let with = |value: &str| {
            let (before, after) = (members(&before), members(&after));
            format!("{blanks}{{{before}{name}{blanks}:{blanks}{value},{after}\"end\":0}}{blanks}")
        };
        let original = with(&format!("\"{old}\""));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&original).is_ok(), "{original}");
        let expected = with(&serde_json::to_string(&new).unwrap());

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let out = runtime.block_on(async {
            let (head, tail) = original.as_bytes().split_at(cut.index(original.len()));
            let frames = [head, tail].map(|part| Ok::<_, BoxError>(http_body::Frame::data(Bytes::copy_from_slice(part))));
            let body = StreamBody::new(futures_util::stream::iter(frames));
            let request = Request::post(CHAT).body(ReplayBody::new(body, 1 << 20).await).unwrap();
            sent(&Route::new().any_model(new.as_str()), request, None).await.unwrap()
        });
        prop_assert_eq!(std::str::from_utf8(&out.body).unwrap(), expected);
    }
}

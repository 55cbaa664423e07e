//! Types whose values are texts of a fixed form. Each is a row of [`FORMATS`]; everything else, from `model.yaml` to sort keys, filters and
//! documents, follows from the row.

/// A type whose values are texts of a fixed form, all ASCII.
#[derive(Debug)]
pub struct TextFormat {
    /// Name of the type in `model.yaml`.
    pub name: &'static str,
    /// The `format` keyword of its JSON Schema.
    pub json_schema: &'static str,
    /// Maximum length.
    pub max: usize,
    /// What a value must be, as the rest of a sentence: `must be ...`.
    pub expected: &'static str,
    /// A value for documents.
    pub example: &'static str,
    /// Whether filters search for parts of a value.
    pub partial: bool,
    /// Whether a field of this type may be part of a composite id.
    pub in_id: bool,
    /// The form in which a value is stored, so that equal values are equal bytes; `None` if the text is not of this form.
    pub normalise: fn(&str) -> Option<String>,
}

impl PartialEq for TextFormat {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// An address as `input type=email` of HTML accepts it: what mail systems accept in practice.
pub static EMAIL: TextFormat = TextFormat {
    name: "email",
    json_schema: "email",
    max: 254,
    expected: "an address such as ann@example.com",
    example: "example@example.com",
    partial: true,
    in_id: false,
    normalise: email,
};

/// An absolute http or https URL without user.
pub static URL: TextFormat = TextFormat {
    name: "url",
    json_schema: "uri",
    max: 2048,
    expected: "an absolute URL such as https://example.com/page",
    example: "https://example.com/",
    partial: true,
    in_id: false,
    normalise: url,
};

/// A UUID, stored in lower case.
pub static UUID: TextFormat = TextFormat {
    name: "uuid",
    json_schema: "uuid",
    max: 36,
    expected: "a UUID such as 0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10",
    example: "00000000-0000-7000-8000-000000000000",
    partial: false,
    in_id: true,
    normalise: uuid,
};

/// All of them, in the order in which messages list types.
pub static FORMATS: [&TextFormat; 3] = [&EMAIL, &URL, &UUID];

fn email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@').filter(|_| text.len() <= EMAIL.max)?;
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let valid =
        (1..=64).contains(&local.len()) && local.bytes().all(atom) && domain.contains('.') && domain.split('.').all(label);
    valid.then(|| text.to_owned())
}

fn url(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte);
    let uri = text.parse::<http::Uri>().ok().filter(|_| text.len() <= URL.max && text.bytes().all(plain))?;
    let valid = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    valid.then(|| text.to_owned())
}

/// Only the notation with hyphens: the others (braces, `urn:`, without hyphens) would be further names for one value.
fn uuid(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == UUID.max).map(|uuid| uuid.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_a_value_in_its_stored_form() {
        for format in FORMATS {
            assert_eq!((format.normalise)(format.example).as_deref(), Some(format.example), "{}", format.name);
            assert!(format.example.len() <= format.max && format.example.is_ascii());
        }
    }

    #[test]
    fn nothing_longer_than_the_maximum_is_a_value() {
        for format in FORMATS {
            let long = format!("{}{}", format.example, "a".repeat(format.max));
            assert_eq!((format.normalise)(&long), None, "{}", format.name);
        }
        let email = |domain: usize| format!("a@{}.de", vec!["b".repeat(59); domain].join("."));
        assert!((EMAIL.normalise)(&email(5)).is_none());
        assert!((URL.normalise)(&format!("https://example.com/{}", "a".repeat(2029))).is_none());
        assert!((URL.normalise)(&format!("https://example.com/{}", "a".repeat(2028))).is_some());
        assert!((EMAIL.normalise)(&email(4)).is_some());
    }
}

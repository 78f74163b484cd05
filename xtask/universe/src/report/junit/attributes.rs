//! Attributes, always in double quotes, in which `'` needs no escape: two readers do not decode
//! `&apos;`, which both XML writers write.

use quick_xml::escape::partial_escape;
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::Attribute;
use quick_xml::name::QName;

/// An element with these attributes.
pub(super) fn element<V: AsRef<str>>(name: &str, attributes: &[(&str, V)]) -> BytesStart<'static> {
    let mut element = BytesStart::new(name.to_owned());
    for (name, value) in attributes {
        let value = partial_escape(value.as_ref()).replace('"', "&quot;");
        push(&mut element, name.as_bytes(), value.into_bytes());
    }
    element
}

/// An element of another writer, whose attributes are escaped already.
pub(super) fn plainly(element: &BytesStart<'_>) -> BytesStart<'static> {
    let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
    let mut plain = BytesStart::new(name);
    for attribute in element.attributes().flatten() {
        let value = String::from_utf8_lossy(&attribute.value);
        let value = value.replace("&apos;", "'").replace('"', "&quot;");
        push(&mut plain, attribute.key.as_ref(), value.into_bytes());
    }
    plain
}

/// `value` is escaped.
fn push(element: &mut BytesStart<'_>, key: &[u8], value: Vec<u8>) {
    element.push_attribute(Attribute {
        key: QName(key),
        value: value.into(),
    });
}
